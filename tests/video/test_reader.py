"""Frames, times and sizes of videos, and what cannot be read."""

import os
import shutil
import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from dysr_jax.errors import InputError
from dysr_jax.video.reader import open_video

LOSSLESS = {"codec": "ffv1", "form": "bgr0"}


def read(path, **options):
    with open_video(path) as reader:
        return reader, list(reader.frames(**options))


def test_the_frames_of_a_lossless_rgb_video_are_its_pixels(films):
    path = films.make("a.mkv", **LOSSLESS)
    reader, frames = read(path)
    expected = [frame.to_ndarray(format="rgb24") for frame in films.raw(**LOSSLESS)]
    assert (reader.width, reader.height, reader.rate) == (32, 24, 25)
    assert not np.array_equal(expected[0], expected[1])
    for frame, image in zip(frames, expected, strict=True):
        assert frame.image.dtype == np.uint8
        np.testing.assert_array_equal(frame.image, image)
    assert reader.notes == ()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_times_are_those_of_the_frames(films, name):
    reader, frames = read(films.make(name, codec="mpeg4", frames=7))
    assert [frame.time for frame in frames] == [Fraction(n, 25) for n in range(7)]
    assert not reader.variable and reader.ended and reader.damaged is None


def test_frames_ahead_are_the_same_frames(films):
    path = films.make("a.mkv", **LOSSLESS)
    _, expected = read(path)
    _, frames = read(path, ahead=3)
    assert [frame.time for frame in frames] == [frame.time for frame in expected]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, expected, strict=True))


def test_a_reader_that_is_closed_early_ends_its_thread(films):
    with open_video(films.make("a.mkv", frames=40, **LOSSLESS)) as reader:
        frames = reader.frames(ahead=2)
        next(frames)
    assert not reader.ended and reader.damaged is None
    assert list(frames) == []


def test_a_variable_rate_is_kept_in_the_times(films):
    times = tuple(Fraction(ms, 1000) for ms in (0, 40, 50, 200, 240, 1000))
    reader, frames = read(films.make("a.mkv", frames=6, times=times))
    assert [frame.time for frame in frames] == list(times)
    assert reader.variable
    assert "its frame rate is variable" in reader.notes


def test_an_ntsc_rate_in_milliseconds_is_not_variable(films):
    reader, frames = read(films.make("a.mkv", rate=Fraction(30000, 1001)))
    assert frames[1].time != Fraction(1001, 30000)  # Matroska rounds
    assert not reader.variable


def test_times_start_where_the_first_stream_starts(films):
    reader, frames = read(films.make("a.ts", codec="mpeg2video", audio="aac"))
    assert reader.start > 0
    assert 0 <= frames[0].time < 1
    assert frames[1].time - frames[0].time == Fraction(1, 25)


def test_a_stream_without_times_is_timed_by_its_rate(films):
    path = films.make("a.h264", options=(("bf", "0"),), rate=Fraction(20))
    _, frames = read(path)
    assert [frame.time for frame in frames] == [n * (frames[1].time) for n in range(10)]
    assert frames[1].time > 0


@pytest.mark.parametrize(("rotation", "turns"), [(None, 0), (0, 0), (90, 1), (180, 2), (-90, 3), (270, 3)])
def test_frames_are_turned_as_the_file_says(films, rotation, turns):
    """PyAV's `rotation` is counterclockwise, as `np.rot90` turns."""
    path = films.make("a.mp4", codec="mpeg4", rotation=rotation, frames=2)
    stored = films.decoded(path)[0]
    assert stored.rotation % 360 == 90 * turns
    shown = read(films.make("b.mp4", codec="mpeg4", frames=2))[1][0].image
    reader, frames = read(path)
    np.testing.assert_array_equal(frames[0].image, np.rot90(shown, turns))
    assert (reader.height, reader.width) == frames[0].image.shape[:2]


@pytest.mark.parametrize("size", [(33, 25), (1, 1), (34, 25)])
def test_odd_sizes(films, size):
    reader, frames = read(films.make("a.mkv", codec="ffv1", size=size, frames=2))
    assert frames[0].image.shape == (size[1], size[0], 3)
    assert (reader.width, reader.height) == size


def test_pixels_that_are_not_square_turn_too(films):
    assert read(films.make("a.mp4", aspect=Fraction(4, 3)))[0].pixel_aspect == Fraction(4, 3)
    turned = films.make("b.mp4", aspect=Fraction(4, 3), rotation=90)
    assert read(turned)[0].pixel_aspect == Fraction(3, 4)


def test_a_resolution_that_changes_gives_frames_of_both_sizes(films):
    small = films.make("small.h264", frames=5)
    large = films.make("large.h264", size=(64, 48), frames=5)
    both = small.with_name("both.h264")
    both.write_bytes(small.read_bytes() + large.read_bytes())
    reader, frames = read(both)
    assert [frame.image.shape for frame in frames] == [(24, 32, 3)] * 5 + [(48, 64, 3)] * 5
    assert "from 0.20 s on it is 64x48" in reader.notes[-1]


def test_fields_are_said(films):
    path = films.make("a.mkv", codec="mpeg2video", options=(("flags", "+ildct+ilme"),))
    assert films.decoded(path)[0].interlaced_frame
    reader, frames = read(path)
    assert f"interlaced frames, used as they are woven: {len(frames)}" in reader.notes


@pytest.mark.parametrize("name", ["missing.mp4", "folder.mp4", "empty.mp4", "text.mp4", "text.txt"])
def test_what_is_no_video_is_refused_in_a_line(tmp_path, name):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "empty.mp4").touch()
    for text in ("text.mp4", "text.txt"):
        (tmp_path / text).write_text("no video\n" * 100)
    with pytest.raises(InputError, match=name) as caught:
        open_video(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "bmp", "tif", "ico", "avif"])
def test_an_image_is_refused(tmp_path, suffix):
    Image.new("RGB", (16, 16)).save(tmp_path / f"a.{suffix}")
    with pytest.raises(InputError, match="is an image"):
        open_video(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("suffix", ["gif", "avif"])
def test_images_that_move_are_a_video(tmp_path, suffix):
    images = [Image.new("RGB", (16, 16), (90 * n, 0, 0)) for n in range(3)]
    images[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=images[1:], duration=100)
    assert len(read(tmp_path / f"a.{suffix}")[1]) == 3


def test_music_with_a_cover_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.mp3"), "w") as output:
        output.add_stream("mp3", rate=48000)
        output.start_encoding()
    (tmp_path / "empty.mkv").touch()
    for name in ("a.mp3", "empty.mkv"):
        with pytest.raises(InputError, match="cannot be read"):
            open_video(tmp_path / name)


def test_a_size_that_cannot_be_is_refused_before_it_takes_memory(films, tmp_path):
    """The head says 60000x60000; so many pixels were never written."""
    path = films.make("a.y4m", codec="rawvideo", frames=1)
    content = path.read_bytes().replace(b"W32 H24", b"W60000 H60000", 1)
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        open_video(path)


def test_a_pipe_with_a_name_is_read_once(films, tmp_path):
    path, source = tmp_path / "pipe.mkv", films.make("a.mkv", audio="aac")
    os.mkfifo(path)
    thread = threading.Thread(target=lambda: path.write_bytes(source.read_bytes()))
    thread.start()
    (note,) = films.upscaled(path, tmp_path / "out.mkv").notes
    thread.join()
    assert note == "audio, subtitles and attachments of standard input are not copied"
    assert len(films.decoded(tmp_path / "out.mkv")) == 10


def test_names_that_cannot_be_opened(tmp_path):
    for name in ("a" * 300 + ".mp4", "a\0b.mp4"):
        with pytest.raises(InputError, match="cannot be read"):
            open_video(tmp_path / name)


def test_a_closed_standard_input_is_refused(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        open_video("-")


def test_music_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.wav"), "w") as output:
        output.add_stream("pcm_s16le", rate=48000)
        output.start_encoding()
    with pytest.raises(InputError, match=r"no video stream|it is no video"):
        open_video(tmp_path / "a.wav")


def test_a_name_that_looks_like_an_address_is_a_file(films, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(films.make("a.mkv"), tmp_path / "concat:b.mkv")
    assert len(read("concat:b.mkv")[1]) == 10


@pytest.mark.parametrize("name", ["a.mkv", "a.y4m"])
def test_standard_input(films, standard_input, name):
    path = films.make(name, codec="rawvideo" if name == "a.y4m" else "libx264", frames=3)
    _, expected = read(path)
    standard_input(path)
    _, frames = read("-", ahead=1)
    assert [frame.time for frame in frames] == [Fraction(n, 25) for n in range(3)]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, expected, strict=True))


def test_a_file_that_a_thread_hangs_in_is_left_to_it(films):
    reader = open_video(films.make("in.mkv"))
    entered, leave = threading.Event(), threading.Event()

    def hanging():
        entered.set()
        leave.wait(30)
        yield

    reader._frames = hanging()
    thread = threading.Thread(target=next, args=(reader._frames, None))
    thread.start()
    entered.wait(30)
    reader.close()
    leave.set()
    thread.join()
