"""Files that were joined byte by byte, and time stamps that are wrong: what plays is what ffmpeg gives."""

import itertools
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dysr_jax.video.packets import Timeline
from dysr_jax.video.reader import open_video
from dysr_jax.video.source import open_container

SECOND = 90_000
FILM = {"codec": "mpeg2video", "frames": 25, "audio": "mp2"}
WITH_B = {"codec": "libx264", "frames": 25, "audio": "aac", "options": (("bf", "2"),)}


def joined(path, *parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def frames_of(path):
    with open_video(path) as reader:
        return reader, list(reader.frames())


def even(frames, count, period=Fraction(1, 25)):
    """Whether all frames are there, one period apart."""
    gaps = [b.time - a.time for a, b in itertools.pairwise(frames)]
    return len(frames) == count and all(abs(gap - period) < Fraction(2, 100) for gap in gaps)


@pytest.fixture
def parts(films):
    """One second each, the second one 5,000 s later."""
    late = (("output_ts_offset", "5000"),)
    return films.make("a.ts", **WITH_B), films.make("b.ts", **WITH_B, muxer=late)


@pytest.mark.parametrize("order", ["aa", "ab", "ba", "aba"])
def test_joined_transport_streams_are_one_film(films, tmp_path, parts, order):
    source = joined(tmp_path / "in.ts", *(parts["ab".index(name)] for name in order))
    reader, frames = frames_of(source)
    assert even(frames, 25 * len(order))
    assert reader.damaged is None and not any("increase" in note for note in reader.notes)
    films.upscaled(source, tmp_path / "out.mkv")
    sound = films.packets(tmp_path / "out.mkv", "audio")
    alone = films.packets(parts[0], "audio")
    assert [content for _, content in sound] == [content[7:] for _, content in alone] * len(order)
    times = [time for time, _ in sound]
    assert times == sorted(times)
    assert len(order) - 0.15 < times[-1] < len(order) + 0.15


@pytest.mark.parametrize("order", ["aa", "ab", "ba"])
def test_sound_stays_with_the_pictures(parts, tmp_path, order):
    """From the first packet of each part on, what was together in its file is together."""
    source = joined(tmp_path / "in.ts", *(parts["ab".index(name)] for name in order))
    with open_container(str(source)) as container:
        timeline, starts = Timeline(container), []
        before = {}
        for packet in container.demux():
            if packet.size:
                raw = packet.dts
                timeline(packet)
                kind = packet.stream.type
                if kind not in before or raw != before[kind] + packet.duration:
                    starts.append((kind, packet.dts, raw))
                before[kind] = raw
    apart = {
        kind: [shifted - raw for found, shifted, raw in starts if found == kind][-1]
        for kind in ("video", "audio")
    }
    assert abs(apart["video"] - apart["audio"]) < SECOND / 9


def test_a_clock_that_wraps(films):
    wrapping = (("output_ts_offset", "95443.0"),)
    _, frames = frames_of(films.make("a.ts", **WITH_B, muxer=wrapping))
    assert even(frames, 25)
    assert 0 <= frames[0].time < 1


@pytest.mark.parametrize("suffix", [".mpg", ".mkv"])
def test_other_joined_files(films, tmp_path, suffix):
    part = films.make(f"a{suffix}", **FILM)
    source = joined(tmp_path / f"in{suffix}", part, part)
    _, alone = frames_of(part)
    reader, frames = frames_of(source)
    assert len(frames) >= 2 * len(alone) - 1 and reader.damaged is None
    assert frames[-1].time == pytest.approx(2 * len(alone) / 25, abs=0.2)
    films.upscaled(source, tmp_path / "out.mkv")
    assert films.packets(tmp_path / "out.mkv", "audio")[-1][0] == pytest.approx(2.1, abs=0.2)


def test_a_pause_is_no_jump(films):
    """In the sound that goes on lies the difference: pictures may stand for long."""
    times = (Fraction(0), Fraction(1, 25), Fraction(30))
    _, frames = frames_of(films.make("a.mkv", frames=3, times=times))
    assert [frame.time for frame in frames] == list(times)


def packet(stream, dts, duration=3600, kind="video"):
    tick = Fraction(1, SECOND)
    of = SimpleNamespace(index=stream, type=kind)
    return SimpleNamespace(stream=of, dts=dts, pts=dts, duration=duration, time_base=tick)


def timeline(jumps=True, duration=None):
    from av.format import Flags

    flags = Flags.ts_discont.value if jumps else 0
    return Timeline(SimpleNamespace(format=SimpleNamespace(flags=flags), start_time=0, duration=duration))


def through(line, packets):
    for item in packets:
        line(item)
    return [item.dts for item in packets]


def test_a_gap_in_the_pictures_alone_is_kept():
    line = timeline()
    sound = [packet(1, n * 3600, kind="audio") for n in range(1000)]
    pictures = [packet(0, 0), packet(0, 999 * 3600)]
    given = [pictures[0], *sound, pictures[1]]
    expected = [item.dts for item in given]
    assert through(line, given) == expected
    assert not line.joined


@given(st.lists(st.integers(0, 2**33 - 1), min_size=1, max_size=5), st.integers(1, 20))
def test_whatever_the_clock_says_a_film_goes_on(starts, length):
    """Parts that begin anywhere are one behind the other."""
    line = timeline()
    given = [packet(0, start + 3600 * n) for start in starts for n in range(length)]
    raw = [item.dts for item in given]
    found = through(line, given)
    for before, after, a, b in zip(raw, raw[1:], found, found[1:], strict=False):
        kept = 0 <= after - before <= 10 * SECOND
        assert b - a == (after - before if kept else 3600) or b - a > -SECOND / 10
        assert abs(b - a) <= 11 * SECOND


def test_times_that_cannot_be_are_not_believed():
    line = timeline(jumps=False, duration=2_000_000)
    absurd = 10**12 * SECOND
    found = through(line, [packet(0, 0), packet(0, absurd), packet(0, absurd + 3600)])
    assert found == [0, 3600, 7200]
    found = through(line, [packet(0, 4 * 3600)])
    assert found == [3 * 3600]


@pytest.mark.parametrize("name", ["a.avi", "a.h264"])
def test_pictures_in_the_order_of_decoding(films, name):
    """These files have no times of presentation."""
    path = films.make(name, frames=25, options=(("bf", "3"),))
    reader, frames = frames_of(path)
    assert frames[0].time == 0
    assert even(frames, 25, frames[1].time)
    assert not any("increase" in note for note in reader.notes)


def test_repeated_and_empty_packets_are_none(films, tmp_path):
    source, path = films.make("a.mkv", **FILM), tmp_path / "twice.avi"
    with av.open(str(source)) as given, av.open(str(path), "w") as output:
        stream = given.streams.video[0]
        into = output.add_stream_from_template(stream, opaque=True)
        number = 0
        for item in given.demux(stream):
            if item.size:
                item.stream, item.dts, item.pts = into, number, number
                item.time_base = Fraction(1, 25)
                output.mux(item)
                number += 3  # between them the file has empty ones
    _, frames = frames_of(path)
    assert len(frames) == 25
    gaps = {b.time - a.time for a, b in itertools.pairwise(frames[2:-2])}
    assert gaps == {Fraction(3, 25)}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".y4m"])
def test_a_last_frame_that_stands_long(films, tmp_path, suffix):
    with av.open(str(tmp_path / "in.mp4"), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for number, frame in enumerate(films.raw(frames=3)):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.duration = 100 if number == 2 else 1
            for item in stream.encode(frame):
                item.duration = frame.duration
                output.mux(item)
        output.mux(stream.encode(None))
    reader, frames = frames_of(tmp_path / "in.mp4")
    assert reader.end == Fraction(102, 25) and len(frames) == 3
    films.upscaled(tmp_path / "in.mp4", tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == Fraction(102, 25)
    shown = [np.asarray(frame.planes[0]) for frame in films.decoded(tmp_path / f"out{suffix}")]
    assert len(shown) == (102 if suffix == ".y4m" else 3)
    assert not any(np.array_equal(a, b) for a, b in itertools.pairwise(shown[:3]))


def test_sound_that_starts_late_stays_late(films, tmp_path):
    source = films.make("a.mkv", **FILM)
    late = tmp_path / "late.mkv"
    with av.open(str(source)) as given, av.open(str(late), "w") as output:
        into = {
            stream.index: output.add_stream_from_template(stream, opaque=True) for stream in given.streams
        }
        for item in given.demux():
            if item.size:
                if item.stream.type == "audio":
                    item.dts, item.pts = item.dts + 400, item.pts + 400
                item.stream = into[item.stream.index]
                output.mux(item)
    films.upscaled(late, tmp_path / "out.mkv")
    firsts = [films.packets(tmp_path / "out.mkv", kind)[0][0] for kind in ("video", "audio")]
    expected = [films.packets(late, kind)[0][0] for kind in ("video", "audio")]
    assert firsts[1] - firsts[0] == pytest.approx(expected[1] - expected[0], abs=2e-3)
    assert np.all(np.diff([time for time, _ in films.packets(tmp_path / "out.mkv", "audio")]) > 0)
