"""A stream: frames in, frames out, at a rate that is held by switching between members.

The policy sees how long each frame took and says which member makes the next one. A switch is the choice of
another executable, so it happens between two frames and interrupts nothing.
"""

import collections
import concurrent.futures
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import chex
import numpy as np

from dysr_jax.fields import require
from dysr_jax.runtime.policy import CheckedPolicy, MemberTiming, Observation, Policy
from dysr_jax.runtime.server import Server
from dysr_jax.runtime.trace import FrameRecord, Trace
from dysr_jax.threads import Prefetched

READ_AHEAD = 64  # frames that are read ahead at most

SLACK_PERIODS = 1
"""Periods that a frame may wait before its own, what a player buffers: in real time a frame is due
`1 + SLACK_PERIODS` periods after it arrived."""

TimedFrame = tuple[np.ndarray, Fraction]
"""An image `[H, W, 3]` uint8, and its time in seconds."""

Emit = Callable[[np.ndarray, Fraction], Any]
"""Takes an output `[s H, s W, 3]` uint8 and its time in seconds; slow work belongs in a thread."""


@dataclasses.dataclass(frozen=True)
class StreamOptions:
    """How a stream runs."""

    fps: float
    """Frames per second to hold."""
    real_time: bool = False
    """Frames come at that rate, as from a live source; else as fast as they are taken."""
    in_flight: int = 1
    """Frames that may be dispatched and not finished: 2 or 3 hide the copies of an accelerator."""

    def __post_init__(self) -> None:
        require(0.0 < self.fps <= 1000.0, "fps", self.fps, "in (0, 1000]")
        require(self.in_flight >= 1, "in_flight", self.in_flight, "at least 1")

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
    image: np.ndarray
    time: Fraction
    arrived_s: float  # when it was due in real time, else when it was decoded


def _arrivals(frames: Iterable[TimedFrame], period_s: float | None, clock: _Clock) -> Iterator[_Arrival]:
    """Frames when they are due; where there is no period, as they are taken."""
    for number, (image, when) in enumerate(frames):
        if not number:
            clock.start_s = time.perf_counter()  # the first frame is there: now it begins
        now = clock()
        due = now if period_s is None else number * period_s
        if due > now:
            time.sleep(due - now)
        yield _Arrival(number, image, when, due)


class _Flight(NamedTuple):
    """A frame that was dispatched."""

    arrival: _Arrival
    member: str
    begun_s: float
    queued: int
    output: "concurrent.futures.Future[tuple[np.ndarray, float]]"  # on the host, and when it was there


def _fetch(output: chex.Array, clock: _Clock) -> tuple[np.ndarray, float]:
    return np.asarray(output), clock()


class Stream:
    """One run of frames through the members.

    `server` is prepared for the frames' shape and the members, whose frame times at rest are the `timings`.
    `watch` is called with every frame's record, for a live display.
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
        self.records: list[FrameRecord] = []

    @property
    def trace(self) -> Trace:
        """The frames that are finished."""
        psnr_y = {timing.name: timing.psnr_y for timing in self._policy.timings}
        return Trace(self._options.fps, self._options.real_time, psnr_y, tuple(self.records))

    def run(self, frames: Iterable[TimedFrame], emit: Emit) -> Trace:
        """Send frames `[H, W, 3]` of one shape through until the source ends; `emit` takes outputs in order.

        What the source or `emit` raises is raised here, after what was finished before was emitted; a policy
        that names a member without a timing is an InputError.
        """
        self.records = []
        state, member = self._policy.start(self._deadline_ms)
        flights: collections.deque[_Flight] = collections.deque()
        real_time, clock = self._options.real_time, _Clock()
        period_s = self._options.period_s if real_time else None
        arrivals = Prefetched(_arrivals(frames, period_s, clock), READ_AHEAD)
        ended = False
        # A thread of its own sees when a frame is done, also while `emit` makes this one wait.
        fetcher = concurrent.futures.ThreadPoolExecutor(1, "fetch")
        try:
            while not ended or flights:
                room = len(flights) < self._options.in_flight
                if not ended and room and (arrivals.waiting or not flights):
                    arrival = next(arrivals, None)
                    if arrival is None:
                        ended = True
                        continue
                    queued, begun_s = arrivals.waiting if real_time else 0, clock()
                    output = self._server.dispatch(arrival.image, member)
                    fetched = fetcher.submit(_fetch, output, clock)
                    flights.append(_Flight(arrival, member, begun_s, queued, fetched))
                    continue
                record = self._finish(flights.popleft(), emit)
                queued = arrivals.waiting if real_time else 0
                seen = Observation(record.frame_ms, record.member, self._deadline_ms, queued)
                state, member = self._policy(state, seen)
        finally:
            fetcher.shutdown(cancel_futures=True)
            arrivals.close()
        return self.trace

    def _finish(self, flight: _Flight, emit: Emit) -> FrameRecord:
        image, done_s = flight.output.result()
        before_s = self.records[-1].done_s if self.records else 0.0
        busy_ms = (done_s - max(flight.begun_s, before_s)) * 1e3
        number, _, when, arrived_s = flight.arrival
        if self._options.real_time:
            late = done_s > arrived_s + (1 + SLACK_PERIODS) * self._options.period_s
        else:
            late = busy_ms > self._deadline_ms
        times = (arrived_s, flight.begun_s, done_s, busy_ms)
        record = FrameRecord(number, *times, flight.member, late, flight.queued)
        self.records.append(record)
        emit(image, when)
        if self._watch:
            self._watch(record)
        return record
