"""A part of a video: frames, audio, subtitles and chapters from a start on, for a duration."""

import collections
import itertools
import math
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dysr_jax.errors import InputError
from dysr_jax.video.decode import Decoder
from dysr_jax.video.reader import open_video
from dysr_jax.video.writer import open_writer

GROUPS = (("g", "12"), ("bf", "2"), ("keyint_min", "12"))
KINDS = {
    "a.mp4": {"options": GROUPS},
    "a.mkv": {"options": (*GROUPS, ("x264-params", "open-gop=1"))},
    "a.mov": {"codec": "mpeg4", "options": (("g", "12"), ("bf", "2"))},
    "a.ts": {"codec": "mpeg2video", "options": (("g", "12"), ("bf", "2"))},
    "a.mpg": {"codec": "mpeg2video", "options": (("g", "12"),)},
    "a.avi": {"options": GROUPS},
    "a.h264": {"options": GROUPS},
    "a.y4m": {"codec": "rawvideo"},
    "a.gif": {"codec": "gif", "form": "rgb8"},
}


def read(path, **options):
    with open_video(path, **options) as reader:
        return reader, list(reader.frames())


def check_span(path, whole, start, duration):
    """Against the frames of the whole video."""
    end = math.inf if duration is None else start + duration
    expected = [frame for frame in whole if start <= frame.time < end]
    reader, frames = read(path, start=float(start), duration=None if duration is None else float(duration))
    assert [frame.time for frame in frames] == [frame.time - start for frame in expected]
    for a, b in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
    assert reader.ended and reader.damaged is None
    assert not any("decoded" in note or "damaged" in note for note in reader.notes)
    return reader


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize(
    ("start", "duration"),
    [(0, 1), (Fraction(1, 25), None), (1, 1), (4, None), (Fraction(37, 10), Fraction(1, 2))],
)
def test_a_part_has_the_frames_of_the_whole(films, name, start, duration):
    path = films.make(name, frames=125, **KINDS[name])
    _, whole = read(path)
    assert len(whole) == 125
    check_span(path, whole, Fraction(start) + whole[0].time, duration)


def test_a_part_of_standard_input(films, standard_input):
    path = films.make("a.mkv", frames=50, options=GROUPS)
    _, whole = read(path)
    standard_input(path)
    with open_video("-", start=1.0, duration=0.4) as reader:
        frames = list(reader.frames())
    assert [frame.time for frame in frames] == [Fraction(n, 25) for n in range(10)]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, whole[25:35], strict=True))


@given(st.integers(0, 74), st.none() | st.integers(1, 80))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_part(films, start, count):
    path = films.folder / "a.mp4"
    if not path.exists():
        films.make("a.mp4", frames=75, options=GROUPS)
    _, whole = read(path)
    check_span(path, whole, Fraction(start, 25), None if count is None else Fraction(count, 25))


def test_planes_of_a_part(films):
    path = films.make("a.mp4", frames=50, options=GROUPS)
    with open_video(path) as reader:
        whole = list(reader.plane_frames())
    with open_video(path, start=1) as reader:
        frames = list(reader.plane_frames(ahead=2))
    assert len(frames) == 25
    for a, b in zip(frames, whole[25:], strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a.arrays, b.arrays, strict=True))


@pytest.mark.parametrize(("name", "most"), [("a.mp4", 60), ("a.mkv", 60), ("a.avi", 60), ("a.ts", 30)])
def test_what_lies_before_is_not_decoded(films, monkeypatch, name, most):
    """It is skipped: from a key frame on, packets are decoded."""
    path = films.make(name, frames=500, **KINDS[name])
    decoded = []
    whole = Decoder._decode
    monkeypatch.setattr(
        Decoder, "_decode", lambda self, packet: decoded.append(packet.size) or whole(self, packet)
    )
    _, frames = read(path, start=18, duration=0.4)
    assert len(frames) == 10
    assert len([size for size in decoded if size]) < most


def test_a_rate_that_varies(films):
    times = tuple(Fraction(ms, 1000) for ms in (0, 40, 50, 200, 240, 1000, 1500, 1510))
    path = films.make("a.mkv", frames=8, times=times)
    _, frames = read(path, start=0.05, duration=1.0)
    assert [frame.time for frame in frames] == [Fraction(ms, 1000) for ms in (0, 150, 190, 950)]


def test_joined_transport_streams_are_read_past(films, tmp_path):
    part = films.make("a.ts", frames=25, **KINDS["a.ts"])
    path = tmp_path / "in.ts"
    path.write_bytes(part.read_bytes() * 3)
    _, whole = read(path)
    _, frames = read(path, start=1.6, duration=1)
    assert len(frames) == 25
    first = next(frame for frame in whole if frame.time >= Fraction(16, 10))
    np.testing.assert_array_equal(frames[0].image, first.image)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": -1}, "start -1: must be a number of seconds, at least 0"),
        ({"start": math.nan}, "start nan: must be"),
        ({"start": math.inf}, "start inf: must be"),
        ({"start": "1"}, "start '1': must be"),
        ({"duration": 0}, "duration 0: must be a number of seconds above 0"),
        ({"duration": -2.5}, r"duration -2\.5: must be"),
        ({"duration": math.nan}, "duration nan: must be"),
        ({"start": 4}, r"start 4\.0: must be before the end of the video, 3\.00 s"),
        ({"start": 3}, r"start 3\.0: must be before the end"),
    ],
)
def test_times_that_cannot_be_are_refused_by_name(films, options, words):
    path = films.make("a.mp4", frames=75, options=GROUPS)
    with pytest.raises(InputError, match=words):
        open_video(path, **options)


def test_what_a_part_declares(films):
    path = films.make("a.mp4", frames=75, options=GROUPS)
    reader, _ = read(path, start=1, duration=1.5)
    assert (reader.duration, reader.end) == (Fraction(3, 2), Fraction(3, 2))
    reader, _ = read(path, start=1, duration=15)
    assert (reader.duration, reader.end) == (2, 2)


def test_a_part_of_a_video_that_is_cut_off(films, tmp_path):
    path = films.make("a.mkv", codec="mpeg4", frames=100)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert read(cut, start=1, duration=0.2)[0].damaged is None
    assert "of the 3.00 s it declares" in read(cut, start=1)[0].damaged


# --- what is copied -------------------------------------------------------------------------------


def written(source, target, **options):
    """What a stream does, without upscaling; returns when the first frame is in the source."""
    with (
        open_video(source, **options) as reader,
        open_writer(
            target, width=reader.width, height=reader.height, rate=reader.rate, like=reader
        ) as writer,
    ):
        times = [time for image, time in reader.frames() if not writer.write(image, time)]
    return reader.start + times[0]


AUDIO = {"a.mp4": "aac", "a.mkv": "libopus", "a.ts": "mp2", "a.mov": "aac"}


@pytest.mark.parametrize("name", list(AUDIO))
@pytest.mark.parametrize(
    ("start", "duration"), [(1, None), (1, 1), (Fraction(13, 10), Fraction(7, 10)), (0, 1)]
)
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_audio_is_in_step(films, tmp_path, name, start, duration, suffix):
    path = films.make(name, frames=75, audio=AUDIO[name], **KINDS[name])
    target = tmp_path / f"out.{suffix}"
    first = written(path, target, start=float(start), duration=duration and float(duration))
    given, found = films.packets(path, "audio"), films.packets(target, "audio")
    times = {content: time for time, content in given}
    unique = {content for content, count in collections.Counter(c for _, c in given).items() if count == 1}
    assert len(unique) > 0.9 * len(given)
    shifts = [time - times[content] for time, content in found if content in unique]
    assert len(shifts) > 0.9 * len(found) > 10
    pictures = films.packets(target, "video")[0][0] - first
    assert max(abs(shift - pictures) for shift in shifts) < 10e-3
    count = 75 / 25 - float(start) if duration is None else float(duration)
    assert found[0][0] - films.packets(target, "video")[0][0] < 0.05
    assert found[-1][0] - found[0][0] == pytest.approx(count, abs=0.08)


CHAPTERS = [
    {
        "id": number,
        "start": number * 1000,
        "end": number * 1000 + 1000,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": title},
    }
    for number, title in enumerate(("One", "Two", "Three"))
]
SUBTITLES = """1
00:00:00,200 --> 00:00:00,800
early

2
00:00:00,900 --> 00:00:01,600
across

3
00:00:01,700 --> 00:00:01,900
within

4
00:00:01,950 --> 00:00:02,700
out

5
00:00:02,800 --> 00:00:02,900
late
"""


@pytest.fixture
def with_more(films, tmp_path):
    """Three seconds with subtitles, chapters and a time code."""
    film, text, path = (
        films.make("film.mkv", frames=75, options=GROUPS),
        tmp_path / "a.srt",
        tmp_path / "more.mkv",
    )
    text.write_text(SUBTITLES)
    with av.open(str(film)) as a, av.open(str(text)) as b, av.open(str(path), "w") as output:
        into = [output.add_stream_from_template(each.streams[0]) for each in (a, b)]
        into[0].metadata["timecode"] = "10:00:00:00"
        output.set_chapters(CHAPTERS)
        found = [packet for each in (a, b) for packet in each.demux() if packet.size]
        for item in sorted(found, key=lambda packet: packet.pts * packet.time_base):
            item.stream, item.dts = into[item.stream.type == "subtitle"], item.pts
            output.mux(item)
    return path


def test_subtitles_and_chapters_begin_and_end_with_the_part(with_more, films, tmp_path):
    target = tmp_path / "out.mkv"
    written(with_more, target, start=1.0, duration=1.0)
    with av.open(str(target)) as container:
        (stream,) = (s for s in container.streams if s.type == "subtitle")
        shown = [
            (bytes(p).decode(), float(p.pts * p.time_base), float(p.duration * p.time_base))
            for p in container.demux(stream)
            if p.size
        ]
        chapters = container.chapters()
    texts, starts, lengths = zip(*shown, strict=True)
    assert texts == ("across", "within", "out")
    assert starts == pytest.approx((0, 0.7, 0.95), abs=2e-3)
    assert lengths == pytest.approx((0.6, 0.2, 0.05), abs=2e-3)
    (chapter,) = chapters
    tick = chapter["time_base"]
    assert chapter["metadata"] == {"title": "Two"}
    assert (chapter["start"] * tick, chapter["end"] * tick) == (0, 1)


def test_chapters_of_a_part_that_begins_within_one(with_more, tmp_path):
    with open_video(with_more, start=0.5, duration=2) as reader:
        found = [
            (c["metadata"]["title"], c["start"] * c["time_base"], c["end"] * c["time_base"])
            for c in reader.film.chapters
        ]
    half = Fraction(1, 2)
    assert found == [("One", 0, half), ("Two", half, 3 * half), ("Three", 3 * half, 2)]
    assert all(b[1] == a[2] for a, b in itertools.pairwise(found))


def test_a_time_code_is_that_of_the_beginning(with_more):
    with open_video(with_more) as reader:
        assert "10:00:00:00" in (*reader.film.tags.values(), *reader.tags.values())
    with open_video(with_more, start=1) as reader:
        assert "timecode" not in {key.lower() for key in (*reader.film.tags, *reader.tags)}
        assert "its time code is left out" in reader.notes[-1]
