"""Videos that are written: read back by PyAV alone, with their times, colours, sound and names."""

import os
import pathlib
import resource
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.video import sink as formats
from dysr_jax.video.reader import open_video
from dysr_jax.video.writer import open_writer

RATE = Fraction(25)


def picture(number: int, width: int = 32, height: int = 24) -> np.ndarray:
    """Flat enough to be encoded well, and another one for each number."""
    colours = np.random.default_rng(number).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return colours.repeat(8, 0).repeat(8, 1)


def write(path, frames: int = 10, times=None, **options) -> tuple:
    options = {"width": 32, "height": 24, "rate": RATE} | options
    with open_writer(path, **options) as writer:
        for number in range(frames):
            image = picture(number, options["width"], options["height"])
            writer.write(image, times[number] if times else number / RATE)
    return writer.notes


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


@pytest.mark.parametrize("suffix", list(formats.FORMATS))
def test_what_is_written_is_what_was_given(films, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    assert write(path, 5) == ()
    frames = films.decoded(path)
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(5)], abs=6e-4)
    matrix = 1 if suffix != ".y4m" else 6
    for number, frame in enumerate(frames):
        assert (frame.colorspace, frame.color_range) == (matrix if matrix == 1 else 2, 1)
        frame.colorspace = matrix
        with open_video(path) as reader:
            image = list(reader.frames())[number].image
        # Chroma of a quarter of the pixels, and lossy but in Y4M.
        inside = (slice(3, None, 8), slice(3, None, 8))
        assert psnr(image[inside], picture(number)[inside]) > 30
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]


def test_colours_are_tagged_and_matched(films, tmp_path):
    """Flat colours come back within what 8-bit luma and chroma and the encoder round."""
    path = tmp_path / "a.mp4"
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (90, 140, 60)]
    with open_writer(path, width=32, height=32, rate=RATE, crf=1) as writer:
        for number, rgb in enumerate(colours):
            writer.write(np.full((32, 32, 3), rgb, np.uint8), number / RATE)
    for frame, rgb in zip(films.decoded(path), colours, strict=True):
        tags = frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc
        assert tags == (1, 1, 1, 1)
        luma = 16 + 219 / 255 * np.dot(rgb, (0.2126, 0.7152, 0.0722))
        plane = np.frombuffer(frame.planes[0], np.uint8)[:32]
        assert np.abs(plane - luma).max() < 2
    with open_video(path) as reader:
        for (image, _), rgb in zip(reader.frames(), colours, strict=True):
            assert np.abs(image.astype(int) - rgb).max() <= 4


def test_primaries_and_transfer_of_the_source_are_kept(films, tmp_path):
    tags = (("color_primaries", 12), ("color_trc", 13), ("colorspace", 6))
    films.upscaled(films.make("a.mkv", tags=tags), tmp_path / "b.mkv")
    frame = films.decoded(tmp_path / "b.mkv")[0]
    assert (frame.color_primaries, frame.color_trc, frame.colorspace) == (12, 13, 1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_times_of_a_variable_rate_are_kept(films, tmp_path, suffix):
    times = tuple(Fraction(ms, 1000) for ms in (0, 40, 50, 200, 240, 1000))
    source = films.make("a.mkv", frames=6, times=times)
    films.upscaled(source, tmp_path / f"b{suffix}")
    frames = films.decoded(tmp_path / f"b{suffix}")
    assert [frame.pts * frame.time_base for frame in frames] == list(times)


def test_times_of_an_ntsc_rate_are_exact_in_mp4(films, tmp_path):
    rate = Fraction(30000, 1001)
    films.upscaled(films.make("a.mp4", rate=rate), tmp_path / "b.mp4")
    times = [frame.pts * frame.time_base for frame in films.decoded(tmp_path / "b.mp4")]
    assert times == [n / rate for n in range(10)]


@pytest.mark.parametrize(("source", "target"), [("a.mp4", "b.mp4"), ("a.mkv", "b.mkv"), ("a.mp4", "b.mov")])
def test_sound_is_copied_packet_by_packet(films, tmp_path, source, target):
    path = films.make(source, audio="aac", frames=30)
    assert films.upscaled(path, tmp_path / target).notes == ()
    expected, copied = (films.packets(p, "audio") for p in (path, tmp_path / target))
    assert len(expected) > 40
    assert [content for _, content in copied] == [content for _, content in expected]
    assert [time for time, _ in copied] == [time for time, _ in expected]


def test_sound_of_a_broadcast_goes_into_mp4(films, tmp_path):
    path = films.make("a.ts", codec="mpeg2video", audio="aac", frames=30)
    assert films.upscaled(path, tmp_path / "b.mp4").notes == ()
    with av.open(str(path)) as a, av.open(str(tmp_path / "b.mp4")) as b:
        sounds = [np.concatenate([f.to_ndarray() for f in c.decode(audio=0)], 1) for c in (a, b)]
    np.testing.assert_array_equal(*sounds)


def test_sound_that_a_container_does_not_take_is_left_out(films, tmp_path):
    path = films.make("a.mp4", audio="aac")
    (note,) = films.upscaled(path, tmp_path / "b.webm").notes
    assert note == "audio stream 1 (aac) is left out: webm does not take it"
    assert len(films.decoded(tmp_path / "b.webm")) == 10


def test_sound_ends_with_frames_that_end_early(films, tmp_path):
    path = films.make("a.mkv", audio="aac", frames=50)
    with open_video(path) as reader:
        size = {"width": 32, "height": 24}
        with open_writer(tmp_path / "b.mkv", **size, rate=RATE, like=reader) as writer:
            for frame in [next(reader.frames()) for _ in range(25)]:
                writer.write(*frame)
    last, _ = films.packets(tmp_path / "b.mkv", "audio")[-1]
    assert 0.9 < last < 1.1


def test_subtitles_are_copied(tmp_path, films):
    (tmp_path / "a.srt").write_text("1\n00:00:00,040 --> 00:00:00,200\nA line.\n")
    source = tmp_path / "with.mkv"
    film = films.make("a.mkv", metadata=(("title", "A film"),))
    with (
        av.open(str(film)) as pictures,
        av.open(str(tmp_path / "a.srt")) as text,
        av.open(str(source), "w") as both,
    ):
        # A stream of a subtitle codec has no encoder of its own in PyAV, so that it is copied.
        streams = [pictures.streams.video[0], text.streams.subtitles[0]]
        added = [both.add_stream_from_template(stream, opaque=True) for stream in streams]
        both.metadata.update(pictures.metadata)
        for container, stream, into in zip((pictures, text), streams, added, strict=True):
            for packet in container.demux(stream):
                if packet.size:
                    packet.stream = into
                    both.mux(packet)
    assert films.upscaled(source, tmp_path / "b.mkv").notes == ()
    assert films.packets(tmp_path / "b.mkv", "subtitle") == films.packets(source, "subtitle")


def test_metadata_and_the_shape_of_pixels_are_kept(films, tmp_path):
    path = films.make("a.mp4", metadata=(("title", "A film"),), aspect=Fraction(4, 3))
    films.upscaled(path, tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.metadata["title"] == "A film"
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_a_turned_video_is_written_upright(films, tmp_path):
    films.upscaled(films.make("a.mp4", rotation=90), tmp_path / "b.mp4")
    frame = films.decoded(tmp_path / "b.mp4")[0]
    assert (frame.rotation, frame.width, frame.height) == (0, 48, 64)


@pytest.mark.parametrize(("suffix", "size"), [(".mp4", (34, 26)), (".webm", (33, 25)), (".y4m", (33, 25))])
def test_odd_sizes(films, tmp_path, suffix, size):
    path = tmp_path / f"a{suffix}"
    with open_writer(path, width=33, height=25, rate=RATE) as writer:
        writer.write(np.zeros((25, 33, 3), np.uint8), Fraction(0))
    frame = films.decoded(path)[0]
    assert (frame.width, frame.height) == size
    assert bool(writer.notes) == (suffix == ".mp4")


def test_y4m_repeats_and_leaves_out_frames_to_keep_the_times(films, tmp_path):
    times = [Fraction(ms, 1000) for ms in (0, 40, 50, 160, 200)]
    (note,) = write(tmp_path / "a.y4m", 5, times)
    assert "2 frames are repeated and 1 left out" in note
    expected = [0, 1, 1, 1, 3, 4]
    shown = [np.asarray(frame.planes[0]) for frame in films.decoded(tmp_path / "a.y4m")]
    assert len(shown) == 6
    for number, given in enumerate(expected[1:], 1):
        same = np.array_equal(shown[number], shown[number - 1])
        assert same == (given == expected[number - 1])


def test_standard_output_takes_y4m(tmp_path, capfdbinary):
    write(tmp_path / "a.y4m", 3)
    capfdbinary.readouterr()
    write("-", 3)
    out = capfdbinary.readouterr().out
    assert out.startswith(b"YUV4MPEG2 W32 H24 F25:1")
    assert out == (tmp_path / "a.y4m").read_bytes()


def test_a_reader_of_standard_output_that_ends_is_a_broken_pipe(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    kept = os.dup(1)
    os.dup2(writing, 1)
    try:
        with pytest.raises(BrokenPipeError), open_writer("-", width=32, height=24, rate=RATE) as writer:
            for number in range(1000):
                writer.write(picture(number), number / RATE)
        assert writer.frames < 1000
    finally:
        os.dup2(kept, 1)
        for descriptor in (kept, writing):
            os.close(descriptor)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".y4m"])
def test_what_a_kill_leaves_plays(films, tmp_path, suffix):
    """The bytes on disk at any moment are what a kill leaves."""
    path, snapshots = tmp_path / f"a{suffix}", []
    with open_writer(path, width=32, height=24, rate=RATE) as writer:
        for number in range(150):
            writer.write(picture(number), number / RATE)
            if number % 30 == 29:
                snapshots.append((tmp_path / f"a.partial{suffix}").read_bytes())
        assert not path.exists()
    lengths = []
    for content in snapshots:
        (tmp_path / f"snapshot{suffix}").write_bytes(content)
        try:
            lengths.append(len(films.decoded(tmp_path / f"snapshot{suffix}")))
        except av.error.FFmpegError:  # no second was complete yet
            lengths.append(0)
    assert lengths == sorted(lengths)
    assert lengths[-1] >= 25
    assert len(films.decoded(path)) == 150


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("limit", [3_000, 40_000, 60_000])
def test_a_full_disk_leaves_what_plays(films, tmp_path, suffix, limit):
    path = tmp_path / f"a{suffix}"
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    rng = np.random.default_rng(0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, kept[1]))
    try:
        with (
            pytest.raises(InputError, match=r"cannot be written: File too large.*partial") as caught,
            open_writer(path, width=32, height=24, rate=RATE) as writer,
        ):
            for number in range(200):
                writer.write(rng.integers(0, 256, (24, 32, 3), np.uint8), number / RATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    assert "\n" not in str(caught.value)
    assert not path.exists()
    partial = tmp_path / f"a.partial{suffix}"
    assert partial.stat().st_size == limit
    assert limit < 40_000 or len(films.decoded(partial)) >= 25


def test_an_exception_keeps_what_plays_under_its_partial_name(films, tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        open_writer(tmp_path / "a.mp4", width=32, height=24, rate=RATE) as writer,
    ):
        for number in range(7):
            writer.write(picture(number), number / RATE)
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["a.partial.mp4"]
    assert writer.partial == str(tmp_path / "a.partial.mp4")
    assert len(films.decoded(writer.partial)) == 7


def test_closing_early_gives_the_file_its_name(films, tmp_path):
    writer = open_writer(tmp_path / "a.mp4", width=32, height=24, rate=RATE)
    writer.write(picture(0), Fraction(0))
    writer.close()
    writer.close()
    assert len(films.decoded(tmp_path / "a.mp4")) == 1


def test_a_video_without_a_frame_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="no frame"):
        write(tmp_path / "a.mp4", 0)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_there_is_kept(films, tmp_path):
    path = tmp_path / "a.mkv"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"exists; allowed with --overwrite"):
        write(path)
    assert path.read_bytes() == b"mine"
    write(path, overwrite=True)
    assert len(films.decoded(path)) == 10


@pytest.mark.parametrize("name", ["a.mkv", "a.partial.mkv"])
def test_the_source_is_never_written_over(films, tmp_path, name):
    path = films.make(name)
    content = path.read_bytes()
    with pytest.raises(InputError, match="is the input"):
        films.upscaled(path, tmp_path / "a.mkv", overwrite=True)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.xyz", r"allowed suffixes are \.mp4"),
        ("a", r"allowed suffixes are \.mp4"),
        ("nowhere/a.mp4", "is no folder"),
        ("folder.mp4", "is no file"),
    ],
)
def test_places_that_cannot_be_written_to(tmp_path, name, reason):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(InputError, match=reason):
        write(tmp_path / name, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.mp4"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"crf": 52}, "crf must be .*, got 52"),
        ({"rate": Fraction(0)}, "rate must be .*, got 0"),
        ({"width": 70_000, "height": 16}, "cannot be encoded"),
    ],
)
def test_options_that_cannot_be_encoded(tmp_path, options, reason):
    with pytest.raises(InputError, match=reason):
        write(tmp_path / "a.mp4", 0, **options)
    assert list(tmp_path.iterdir()) == []


def test_an_image_of_another_size_is_refused(tmp_path):
    with (
        pytest.raises(InputError, match=r"must be \(24, 32, 3\) and uint8, got \(24, 33, 3\)"),
        open_writer(tmp_path / "a.mp4", width=32, height=24, rate=RATE) as writer,
    ):
        writer.write(np.zeros((24, 33, 3), np.uint8), Fraction(0))


def test_crf_is_passed_on(films, tmp_path):
    for crf in (5, 45):
        write(tmp_path / f"{crf}.mp4", crf=crf)
    encoded = [films.packets(tmp_path / f"{crf}.mp4", "video") for crf in (5, 45)]
    fine, coarse = (sum(len(content) for _, content in packets) for packets in encoded)
    assert fine > 1.5 * coarse


def test_an_older_ffmpeg_keeps_the_fragments(films, tmp_path, monkeypatch):
    monkeypatch.setattr(av, "library_versions", {"libavformat": (61, 7, 100)})
    write(tmp_path / "old.mp4")
    monkeypatch.undo()
    write(tmp_path / "new.mp4")
    assert [b"mfra" in (tmp_path / name).read_bytes() for name in ("old.mp4", "new.mp4")] == [True, False]
    for name in ("old.mp4", "new.mp4"):
        times = [frame.pts * frame.time_base for frame in films.decoded(tmp_path / name)]
        assert times == [Fraction(n, 25) for n in range(10)]


def test_pyav_is_imported_when_it_is_needed():
    """Importing the package stays quick, and works where a wheel is missing."""
    names = [f"dysr_jax.video.{path.stem}" for path in pathlib.Path(formats.__file__).parent.glob("*.py")]
    assert len(names) > 10
    code = "import sys; list(map(__import__, sys.argv[1:])); sys.exit('av' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, *names], check=True)


def test_without_x264_another_encoder_is_taken_and_said(films, tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    (note,) = write(tmp_path / "a.mp4")
    assert "encoded with mpeg4" in note
    assert len(films.decoded(tmp_path / "a.mp4")) == 10
    with pytest.raises(InputError, match="no libvpx-vp9"):
        write(tmp_path / "a.webm")
