"""A stream: frames in, frames out, at a rate that is held by switching between members.

The policy sees how long each frame took and says which member makes the next one. A switch is the choice of
another executable, so it happens between two frames and interrupts nothing. Each stage has a thread of its
own, with a bounded queue before it: frames are decoded, sent to the device, computed, fetched and emitted at
once, and in order.
"""

import collections
import concurrent.futures
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Final, NamedTuple

import chex
import jax
import numpy as np

from dysr_jax.fields import require
from dysr_jax.model import Frame
from dysr_jax.runtime.policy import CheckedPolicy, MemberTiming, Observation, Policy
from dysr_jax.runtime.server import FrameLike, Server
from dysr_jax.runtime.trace import FrameRecord, Trace
from dysr_jax.threads import Prefetched

READ_AHEAD: Final = 8  # frames that are read ahead at most

SLACK_PERIODS: Final = 1
"""Periods that a frame may wait before its own, what a player buffers: in real time a frame is due
`1 + SLACK_PERIODS` periods after it arrived."""

TimedFrame = tuple[FrameLike, Fraction]
"""An image `[H, W, 3]` uint8 or planes, on the host, and its time in seconds."""

Emit = Callable[[np.ndarray, Fraction], Any]
"""Takes what a frame became, `[s H, s W, 3]` uint8 or samples `[size]`, and its time in seconds; slow work
belongs in a thread."""


@dataclasses.dataclass(frozen=True)
class StreamOptions:
    """How a stream runs."""

    fps: float
    """Frames per second to hold."""
    real_time: bool = False
    """Frames come at that rate, as from a live source; else as fast as they are taken."""
    paced: bool = True
    """In real time: the source is held to the rate. A live source comes at its own."""
    most_waiting: int = 4
    """In real time: frames that may wait. The oldest beyond it is dropped, so that a stream stays in time."""
    in_flight: int = 1
    """Frames that may be dispatched and not finished: 2 or 3 hide the copies of an accelerator."""
    upload: bool = False
    """Whether a thread of its own sends frames to the device, ahead of the network."""
    repeat_threshold: int = 0
    """A frame whose samples all differ by at most so many levels from the last computed one is not computed
    again; -1: every frame is computed."""

    def __post_init__(self) -> None:
        require(0.0 < self.fps <= 1000.0, "fps", self.fps, "in (0, 1000]")
        require(self.most_waiting >= 1, "most_waiting", self.most_waiting, "at least 1")
        require(self.in_flight >= 1, "in_flight", self.in_flight, "at least 1")
        require(self.repeat_threshold >= -1, "repeat_threshold", self.repeat_threshold, "at least -1")

    @property
    def period_s(self) -> float:
        """Seconds per frame."""
        return 1.0 / self.fps


class _Clock:
    """Seconds since the stream began."""

    def __init__(self) -> None:
        self.start_s = time.perf_counter()

    def __call__(self) -> float:
        return time.perf_counter() - self.start_s


class _Arrival(NamedTuple):
    """A frame as it comes."""

    number: int
    frame: FrameLike
    time: Fraction
    arrived_s: float  # when it was due in real time, else when it was decoded
    decode_ms: float
    upload_ms: float = 0.0
    repeats: bool = False  # whether it is the last frame that does not


def _arrivals(frames: Iterable[TimedFrame], period_s: float | None, clock: _Clock) -> Iterator[_Arrival]:
    """Frames when they are due; where there is no period, as they are taken."""
    begun = time.perf_counter()
    for number, (frame, when) in enumerate(frames):
        decode_ms = (time.perf_counter() - begun) * 1e3
        if not number:
            clock.start_s = time.perf_counter()  # the first frame is there: now it begins
        now = clock()
        due = now if period_s is None else number * period_s
        if due > now:
            time.sleep(due - now)
        yield _Arrival(number, frame, when, due, decode_ms)
        begun = time.perf_counter()


def _compared(arrivals: Iterable[_Arrival], threshold: int) -> Iterator[_Arrival]:
    """The frames; those that repeat the last one that does not are marked."""
    last: FrameLike | None = None
    for arrival in arrivals:
        repeats = last is not None and threshold >= 0 and _alike(last, arrival.frame, threshold)
        last = last if repeats else arrival.frame
        yield arrival._replace(repeats=repeats)


def _alike(one: FrameLike, other: FrameLike, threshold: int) -> bool:
    """Whether no sample differs by more than so many levels."""
    if isinstance(one, Frame) and isinstance(other, Frame):
        return one.format == other.format and all(
            _alike(a, b, threshold) for a, b in zip(one.arrays, other.arrays, strict=True)
        )
    if isinstance(one, Frame) or isinstance(other, Frame) or one.shape != other.shape:
        return False
    if not threshold:
        return np.array_equal(one, other)
    return bool((np.maximum(one, other) - np.minimum(one, other) <= threshold).all())


def _uploaded(arrivals: Iterable[_Arrival]) -> Iterator[_Arrival]:
    """The frames on the device."""
    for arrival in arrivals:
        begun = time.perf_counter()
        frame = arrival.frame
        if not arrival.repeats:
            arrays = frame.arrays if isinstance(frame, Frame) else frame
            sent = jax.block_until_ready(jax.device_put(arrays))
            frame = Frame(sent, frame.format) if isinstance(frame, Frame) else sent
        yield arrival._replace(frame=frame, upload_ms=(time.perf_counter() - begun) * 1e3)


class _Result(NamedTuple):
    """What a frame became, on the host; seconds when the network was done, and when it lay there."""

    output: np.ndarray
    computed_s: float
    done_s: float


def _fetch(output: chex.Array, clock: _Clock) -> _Result:
    jax.block_until_ready(output)
    computed_s = clock()
    return _Result(np.asarray(output), computed_s, clock())


class _Flight(NamedTuple):
    """A frame that was dispatched."""

    arrival: _Arrival
    member: str
    begun_s: float
    queued: int
    result: "concurrent.futures.Future[_Result]"


class Stream:
    """One run of frames through the members.

    `server` is prepared for the frames' shape and format and for the members, whose frame times at rest are
    the `timings`. `watch` is called with every frame's record, for a live display.
    """

    def __init__(
        self,
        server: Server,
        policy: Policy[Any],
        timings: Sequence[MemberTiming],
        options: StreamOptions,
        watch: Callable[[FrameRecord], Any] | None = None,
    ) -> None:
        self._server = server
        self._policy = CheckedPolicy(policy, timings)
        self._options = options
        self._watch = watch
        self._deadline_ms = 1e3 / options.fps
        self._psnr_y = {timing.name: timing.psnr_y for timing in self._policy.timings}
        self._dropped = 0
        self._computed_s = 0.0  # when the network was done with the last frame
        self.records: list[FrameRecord] = []

    @property
    def trace(self) -> Trace:
        """The frames that are finished."""
        options = self._options
        frames = tuple(self.records)
        return Trace(options.fps, options.real_time, self._psnr_y, frames, dropped=self._dropped)

    def run(self, frames: Iterable[TimedFrame], emit: Emit) -> Trace:
        """Send frames of one shape and format through until the source ends; `emit` takes outputs in order.

        What the source or `emit` raises is raised here, after what was finished before was emitted; a policy
        that names a member without a timing is an InputError.
        """
        self.records, self._dropped, self._computed_s = [], 0, 0.0
        state, member = self._policy.start(self._deadline_ms)
        flights: collections.deque[_Flight] = collections.deque()
        computed: _Flight | None = None  # the last one that is no repetition
        options, clock = self._options, _Clock()
        period_s = options.period_s if options.real_time and options.paced else None
        room = options.most_waiting if options.real_time else READ_AHEAD
        arrivals = Prefetched(_arrivals(frames, period_s, clock), room, drop=options.real_time)
        compared = _compared(arrivals, options.repeat_threshold)
        ahead = Prefetched(_uploaded(compared), 1) if options.upload else None
        ready = ahead or compared

        def waiting() -> int:
            return arrivals.waiting + (ahead.waiting if ahead else 0)

        ended = False
        # A thread of its own sees when a frame is done, also while `emit` makes this one wait.
        fetcher = concurrent.futures.ThreadPoolExecutor(1, "fetch")
        try:
            while not ended or flights:
                if not ended and len(flights) < options.in_flight and (waiting() or not flights):
                    arrival = next(ready, None)
                    if arrival is None:
                        ended = True
                        continue
                    queued, begun_s = waiting() if options.real_time else 0, clock()
                    if arrival.repeats and computed and not self._better(member, computed.member):
                        again = computed._replace(arrival=arrival, begun_s=begun_s, queued=queued)
                        flights.append(again)
                        continue
                    output = self._server.dispatch(arrival.frame, member)
                    fetched = fetcher.submit(_fetch, output, clock)
                    computed = _Flight(arrival._replace(repeats=False), member, begun_s, queued, fetched)
                    flights.append(computed)
                    continue
                record = self._finish(flights.popleft(), emit)
                if record.repeated:
                    continue
                queued = waiting() if options.real_time else 0
                seen = Observation(record.frame_ms, record.member, self._deadline_ms, queued)
                state, member = self._policy(state, seen)
        finally:
            self._dropped = arrivals.dropped
            fetcher.shutdown(cancel_futures=True)
            for stage in filter(None, (arrivals, ahead)):
                stage.close()
        return self.trace

    def _better(self, member: str, other: str) -> bool:
        return self._psnr_y[member] > self._psnr_y[other]

    def _finish(self, flight: _Flight, emit: Emit) -> FrameRecord:
        output, computed_s, done_s = flight.result.result()
        arrival, real_time = flight.arrival, self._options.real_time
        download_ms = (done_s - computed_s) * 1e3
        if arrival.repeats:
            computed_s = done_s = max(flight.begun_s, done_s)
            busy_ms = download_ms = 0.0
        else:
            busy_ms = (computed_s - max(flight.begun_s, self._computed_s)) * 1e3
            self._computed_s = computed_s
        due_s = arrival.arrived_s + (1 + SLACK_PERIODS) * self._options.period_s
        record = FrameRecord(
            arrival.number,
            arrival.arrived_s,
            flight.begun_s,
            done_s,
            busy_ms,
            flight.member,
            late=done_s > due_s if real_time else busy_ms > self._deadline_ms,
            queued=flight.queued,
            repeated=arrival.repeats,
            decode_ms=arrival.decode_ms,
            upload_ms=arrival.upload_ms,
            download_ms=download_ms,
        )
        self.records.append(record)
        emit(output, arrival.time)
        if self._watch:
            self._watch(record)
        return record
