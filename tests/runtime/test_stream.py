"""Streams: every frame comes out once and in order, by the member that the policy chose; what is late is."""

import threading
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.errors import InputError
from dysr_jax.model.planes import Frame, FrameFormat, PlaneFormat
from dysr_jax.runtime import stream as module
from dysr_jax.runtime.policy.base import FixedPolicy, MemberTiming, Observation
from dysr_jax.runtime.stream import Stream, StreamOptions
from dysr_jax.runtime.trace import FrameRecord, Trace, trace_from_json

TIMINGS = (MemberTiming("fast", 1.0, 27.0), MemberTiming("best", 2.0, 30.0))


def images(count, pause_s=0.0):
    for number in range(count):
        time.sleep(pause_s)
        yield np.full((2, 3, 3), number, np.uint8), Fraction(number, 25)


class Alternate:
    """Another member for every frame; keeps what it was told."""

    def __init__(self):
        self.seen: list[Observation] = []

    def start(self, timings, deadline_ms):
        self.deadline_ms = deadline_ms
        return 0, timings[0].name

    def __call__(self, state, observation):
        self.seen.append(observation)
        return state + 1, TIMINGS[(state + 1) % 2].name


class Dispatching:
    """As much of a server as a stream needs."""

    def __init__(self, dispatch):
        self.dispatch = dispatch


def run(dispatch, policy, count, **options):
    out = []
    stream = Stream(Dispatching(dispatch), policy, TIMINGS, StreamOptions(**{"fps": 1000.0, **options}))
    trace = stream.run(images(count), lambda image, when: out.append((image, when)))
    return trace, out


def twice(image, member):
    del member
    return image.repeat(2, 0).repeat(2, 1)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(0, 30), in_flight=st.integers(1, 4))
def test_every_frame_comes_out_once_and_in_order(count, in_flight):
    trace, out = run(twice, FixedPolicy("best"), count, in_flight=in_flight)
    assert [int(image[0, 0, 0]) for image, _ in out] == list(range(count))
    assert all(image.shape == (4, 6, 3) for image, _ in out)
    assert [when for _, when in out] == [Fraction(n, 25) for n in range(count)]
    assert [frame.number for frame in trace.frames] == list(range(count))
    assert {frame.member for frame in trace.frames} <= {"best"}


@pytest.mark.parametrize("in_flight", [1, 3])
def test_the_policy_hears_of_every_frame_and_chooses_the_next(in_flight):
    members, policy = [], Alternate()

    def dispatch(image, member):
        members.append(member)
        return twice(image, member)

    trace, _ = run(dispatch, policy, 12, in_flight=in_flight)
    assert [frame.member for frame in trace.frames] == members
    assert [seen.member for seen in policy.seen] == members
    assert [seen.frame_ms for seen in policy.seen] == [f.frame_ms for f in trace.frames]
    assert {seen.deadline_ms for seen in policy.seen} == {1.0}
    if in_flight == 1:
        assert members == ["fast", "best"] * 6
        assert trace.switches == 11


def test_frames_in_flight_are_dispatched_before_one_is_fetched():
    """As many as are allowed, not more."""
    flying, most = set(), 0

    class Output:
        def __init__(self, image):
            self.image = image
            flying.add(id(self))

        def __array__(self, dtype=None, copy=None):
            time.sleep(0.1)
            flying.discard(id(self))
            return self.image

    def dispatch(image, member):
        nonlocal most
        time.sleep(0.01)  # the source is ahead
        output = Output(image)
        most = max(most, len(flying))
        return output

    stream = Stream(
        Dispatching(dispatch), FixedPolicy("best"), TIMINGS, StreamOptions(fps=100.0, in_flight=3)
    )
    stream.run(images(10), lambda image, when: None)
    assert most == 3
    assert not flying


def test_frames_in_real_time_come_when_they_are_due():
    trace, _ = run(twice, FixedPolicy("fast"), 6, fps=100.0, real_time=True, most_waiting=6)
    arrived = [frame.arrived_s for frame in trace.frames]
    np.testing.assert_allclose(arrived, np.arange(6) / 100)
    assert all(f.begun_s >= f.arrived_s for f in trace.frames)
    assert trace.frames[-1].done_s >= 5 / 100


def test_frames_that_take_too_long_are_late():
    def slow(image, member):
        time.sleep(0.03)
        return twice(image, member)

    trace, _ = run(slow, FixedPolicy("best"), 5, fps=100.0, real_time=True, most_waiting=5)
    assert [frame.late for frame in trace.frames] == [True] * 5
    assert trace.frames[2].queued >= 1  # two more have come
    assert trace.frames[-1].queued == 0  # the end of the source is no frame
    assert trace.interruptions == 4  # every gap is of three frame times
    trace, _ = run(slow, FixedPolicy("best"), 3, fps=100.0)
    assert trace.late == 3
    assert all(frame.frame_ms > 29 for frame in trace.frames)


class HandClock:
    """In place of `time`: it moves when it is told to, and counts how often the fetching thread looks."""

    def __init__(self):
        self.changed, self.now, self.fetched = threading.Condition(), 0.0, 0

    def perf_counter(self):
        with self.changed:
            self.fetched += threading.current_thread().name.startswith("fetch")
            self.changed.notify_all()
            return self.now

    def move(self, seconds):
        with self.changed:
            self.now += seconds


def test_time_spent_waiting_for_the_encoder_is_not_the_devices(monkeypatch):
    """A frame takes 2 ms; writing one takes 60, longer than a period, in which all in flight are done."""
    clock, dispatched = HandClock(), []
    monkeypatch.setattr(module, "time", clock)

    class Output:
        def __init__(self, image):
            self.image = image

        def block_until_ready(self):
            clock.move(0.002)
            return self

        def __array__(self, dtype=None, copy=None):
            return self.image

    def dispatch(image, member):
        dispatched.append(member)
        return Output(image)

    def write(image, when):
        with clock.changed:
            assert clock.changed.wait_for(lambda: clock.fetched == 2 * len(dispatched), timeout=60)
        clock.move(0.06)

    options = StreamOptions(fps=20.0, in_flight=3)
    trace = Stream(Dispatching(dispatch), FixedPolicy("best"), TIMINGS, options).run(images(15), write)
    assert len(trace.frames) == 15
    assert max(frame.frame_ms for frame in trace.frames) < 50
    assert trace.late == 0


def test_a_stream_runs_again():
    stream = Stream(Dispatching(twice), FixedPolicy("best"), TIMINGS, StreamOptions(fps=1000.0))
    for count in (3, 2):
        trace = stream.run(images(count), lambda image, when: None)
        assert [frame.number for frame in trace.frames] == list(range(count))


def test_an_error_of_the_source_comes_after_what_was_finished():
    def broken():
        yield from images(4)
        raise InputError("a damaged packet")

    out = []
    stream = Stream(Dispatching(twice), FixedPolicy("best"), TIMINGS, StreamOptions(fps=1000.0))
    with pytest.raises(InputError, match="a damaged packet"):
        stream.run(broken(), lambda image, when: out.append(image))
    assert len(out) == 4
    assert len(stream.trace.frames) == 4


def test_what_emit_raises_ends_the_stream():
    def full(image, when):
        if when >= Fraction(2, 25):
            raise OSError(28, "No space left on device")

    stream = Stream(Dispatching(twice), FixedPolicy("best"), TIMINGS, StreamOptions(fps=1000.0))
    with pytest.raises(OSError, match="No space left"):
        stream.run(images(10_000), full)
    assert len(stream.trace.frames) < 10_000


def test_no_thread_is_left():
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        run(lambda image, member: 1 // 0, FixedPolicy("best"), 10)
    run(twice, FixedPolicy("best"), 3)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"fps": 0.0}, r"fps 0.0: must be in \(0, 1000\]"),
        ({"fps": -3.0}, "fps -3.0"),
        ({"fps": float("nan")}, "fps nan"),
        ({"fps": 30.0, "in_flight": 0}, "in_flight 0: must be at least 1"),
    ],
)
def test_options_that_cannot_be_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        StreamOptions(**options)


def test_a_policy_that_names_no_member_is_refused():
    with pytest.raises(InputError, match="none"):
        run(twice, FixedPolicy("none"), 1)


def test_a_trace_adds_up_and_can_be_kept():
    def frame(number, done_s, member, late):
        return FrameRecord(number, number / 10, number / 10, done_s, 50.0, member, late, 0)

    frames = (
        frame(0, 0.05, "fast", False),
        frame(1, 0.15, "best", False),
        frame(2, 0.45, "best", True),
        frame(3, 0.50, "fast", True),
    )
    trace = Trace(10.0, True, {"fast": 27.0, "best": 30.0}, frames)
    summary = trace.summary()
    assert (summary["frames"], summary["late"], summary["on_time"]) == (4, 2, 0.5)
    assert (summary["switches"], summary["interruptions"]) == (2, 1)
    assert summary["longest_gap_ms"] == pytest.approx(300)
    assert summary["mean_psnr_y"] == pytest.approx(28.5)
    assert summary["frames_per_second"] == pytest.approx(8.0)
    assert summary["members"] == {"fast": 0.5, "best": 0.5}
    assert trace_from_json(trace.to_json()) == Trace(10.0, True, trace.psnr_y, list(frames))


def slow(image, member):
    time.sleep(0.03)
    return twice(image, member)


@pytest.mark.parametrize("upload", [False, True])
def test_a_live_stream_drops_the_oldest_waiting_frames_and_stays_in_time(upload):
    """Frames come every 10 ms and take 30: two of three go, and none waits for more than the queue."""
    options = {"fps": 100.0, "real_time": True, "most_waiting": 2, "upload": upload}
    trace, out = run(slow, FixedPolicy("best"), 60, **options)
    numbers = [frame.number for frame in trace.frames]
    assert numbers == sorted(set(numbers)) and numbers[-1] >= 58
    assert [int(np.asarray(image)[0, 0, 0]) for image, _ in out] == numbers
    assert [when for _, when in out] == [Fraction(number, 25) for number in numbers]
    assert trace.dropped == 60 - len(numbers) > 20
    assert trace.on_time <= len(numbers) / 60
    assert max(frame.queued for frame in trace.frames) <= 2 + upload
    assert trace.summary()["dropped"] == trace.dropped
    assert trace_from_json(trace.to_json()).dropped == trace.dropped


def test_a_file_drops_nothing():
    trace, out = run(slow, FixedPolicy("best"), 20, fps=1000.0, most_waiting=1)
    assert len(out) == 20 and trace.dropped == 0


def stills(levels):
    for number, level in enumerate(levels):
        yield np.full((2, 3, 3), level, np.uint8), Fraction(number, 25)


@settings(max_examples=40, deadline=None)
@given(
    levels=st.lists(st.integers(0, 3), max_size=30),
    threshold=st.integers(-1, 2),
    in_flight=st.integers(1, 3),
    upload=st.booleans(),
)
def test_frames_that_repeat_are_not_computed_again(levels, threshold, in_flight, upload):
    """What is computed is a frame that differs from the last computed one; all come out, in order."""
    computed, out = [], []

    def dispatch(image, member):
        computed.append(int(image[0, 0, 0]))
        return twice(np.asarray(image), member)

    expected, shown = [], []
    for level in levels:
        if not expected or abs(level - expected[-1]) > threshold:
            expected.append(level)
        shown.append(expected[-1])
    options = StreamOptions(fps=1000.0, in_flight=in_flight, repeat_threshold=threshold, upload=upload)
    stream = Stream(Dispatching(dispatch), FixedPolicy("best"), TIMINGS, options)
    trace = stream.run(stills(levels), lambda image, when: out.append((int(image[0, 0, 0]), when)))
    assert computed == expected
    assert out == [(level, Fraction(number, 25)) for number, level in enumerate(shown)]
    assert trace.repeated == len(levels) - len(expected)
    assert [frame.number for frame in trace.frames] == list(range(len(levels)))


def test_a_still_is_computed_again_by_a_better_member():
    """`Alternate` begins with the fast member; the better one makes the picture anew, and then it stays."""
    members = []

    def dispatch(image, member):
        members.append(member)
        return twice(image, member)

    stream = Stream(Dispatching(dispatch), Alternate(), TIMINGS, StreamOptions(fps=1000.0))
    trace = stream.run(stills([7] * 6), lambda image, when: None)
    assert members == ["fast", "best"]
    assert [frame.member for frame in trace.frames] == ["fast"] + ["best"] * 5
    assert trace.repeated == 4


def test_planes_repeat_only_if_all_of_them_do():
    form = FrameFormat(PlaneFormat(), PlaneFormat())
    luma, chroma = np.zeros((4, 4), np.uint8), np.zeros((2, 2), np.uint8)
    frames = [Frame((luma, chroma, chroma), form) for _ in range(2)]
    frames.append(Frame((luma, chroma, chroma + 1), form))
    stream = Stream(
        Dispatching(lambda frame, member: frame.arrays[2]),
        FixedPolicy("best"),
        TIMINGS,
        StreamOptions(fps=1000.0),
    )
    out = []
    timed = ((frame, Fraction(n)) for n, frame in enumerate(frames))
    trace = stream.run(timed, lambda image, when: out.append(int(image[0, 0])))
    assert out == [0, 0, 1] and [frame.repeated for frame in trace.frames] == [False, True, False]
