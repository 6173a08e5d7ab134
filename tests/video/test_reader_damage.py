"""Videos that are cut off or overwritten in the middle give their frames, and say what is wrong."""

import av
import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.video.reader import open_video


def read(path, **options):
    with open_video(path) as reader:
        return reader, list(reader.frames(**options))


def cut(path, share: float):
    """The beginning of a file."""
    short = path.with_name(f"cut_{path.name}")
    content = path.read_bytes()
    short.write_bytes(content[: int(len(content) * share)])
    return short


def overwritten(path, share: float, length: int):
    """A file with noise in it."""
    bad = path.with_name(f"bad_{path.name}")
    content = bytearray(path.read_bytes())
    at = int(len(content) * share)
    content[at : at + length] = np.random.default_rng(0).bytes(length)
    bad.write_bytes(content)
    return bad


FASTSTART = (("movflags", "faststart"),)


@pytest.mark.parametrize(("name", "ahead"), [("a.mp4", 0), ("a.mp4", 2), ("a.mkv", 0), ("a.webm", 0)])
def test_a_video_that_is_cut_off_gives_the_frames_before(films, name, ahead):
    codec = "libvpx-vp9" if name == "a.webm" else "mpeg4"
    options = (("deadline", "realtime"),) if name == "a.webm" else ()
    muxer = FASTSTART if name == "a.mp4" else ()
    path = films.make(name, codec=codec, frames=50, muxer=muxer, options=options)
    whole, all_frames = read(path)
    assert whole.damaged is None
    reader, frames = read(cut(path, 0.5), ahead=ahead)
    assert 10 < len(frames) < 40
    for a, b in zip(frames[:-1], all_frames, strict=False):  # the last may be half a frame
        assert a.time == b.time
        np.testing.assert_array_equal(a.image, b.image)
    assert reader.ended
    assert reader.damaged is not None
    assert "of the 2.00 s it declares" in reader.damaged


def test_every_cut_is_an_error_in_a_line_or_a_beginning(films):
    path = films.make("a.mkv", codec="mpeg4", frames=12, audio="aac")
    counts = []
    for share in np.linspace(0.01, 1, 25):
        try:
            counts.append(len(read(cut(path, share))[1]))
        except InputError as error:
            assert "\n" not in str(error)
            counts.append(0)
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 12)


def test_a_video_without_its_index_is_refused(films):
    path = films.make("a.mp4", codec="mpeg4")  # its index is at the end
    with pytest.raises(InputError, match="cut off before its index"):
        open_video(cut(path, 0.6))


def test_packets_that_cannot_be_decoded_are_left_out_and_counted(films):
    path = films.make("a.avi", codec="png", form="rgb24", frames=20)
    _, all_frames = read(path)
    bad = overwritten(path, 0.5, 200)
    reader, frames = read(bad)
    assert 1 <= reader.skipped <= 2
    assert len(frames) == 20 - reader.skipped
    at_end = {frame.time: frame.image for frame in all_frames}
    np.testing.assert_array_equal(frames[-1].image, at_end[frames[-1].time])
    assert f"packets that cannot be decoded, left out: {reader.skipped}" in reader.notes


def test_raw_frames_that_are_cut_off(films):
    """Y4M declares no length, so that nothing says that more was meant to come."""
    path = films.make("a.y4m", codec="rawvideo", frames=6)
    reader, frames = read(cut(path, 0.5))
    assert len(frames) == 2 and reader.ended


def test_raw_frames_with_noise_between_them(films):
    path = films.make("a.y4m", codec="rawvideo", frames=6)
    head = path.read_bytes().index(b"FRAME")
    frame = 6 + 32 * 24 * 3 // 2
    content = bytearray(path.read_bytes())
    content[head + 3 * frame : head + 3 * frame + 5] = b"NOISE"
    path.write_bytes(content)
    reader, frames = read(path)
    assert len(frames) == 3
    assert reader.damaged is not None and "cannot be read after 0.12 s" in reader.damaged


MADE = {
    "a.mp4": {"audio": "aac"},
    "a.mkv": {"audio": "aac"},
    "a.ts": {"audio": "aac", "codec": "mpeg2video"},
    "a.avi": {"audio": "mp3"},
    "a.flv": {"audio": "aac", "codec": "flv"},
    "a.y4m": {"codec": "rawvideo"},
}


@pytest.mark.parametrize("name", list(MADE))
def test_damage_is_a_line_or_a_film_of_its_length(films, tmp_path, name):
    """Bits that are wrong, anywhere: no other error, and no film of hours."""
    options = {"codec": "mpeg4", "frames": 12} | MADE[name]
    content = films.make(name, **options).read_bytes()
    rng = np.random.default_rng(0)
    for number in range(12):
        bad = bytearray(content)
        for at in rng.integers(0, len(bad) if number % 2 else 800, 1 + number % 4):
            bad[at] ^= 1 << rng.integers(8)
        source, target = tmp_path / f"bad_{name}", tmp_path / "out.mkv"
        source.write_bytes(bad if number % 3 else bad[: len(bad) // 2])
        try:
            films.upscaled(source, target, overwrite=True)
        except InputError as error:
            assert "\n" not in str(error)
            continue
        with av.open(str(target)) as container:
            assert container.duration / 1e6 < 12
