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

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.runtime.policy import MemberTiming, Observation, Policy, checked
from dysr_jax.runtime.server import Server
from dysr_jax.runtime.trace import FrameRecord, Trace
from dysr_jax.threads import Prefetched

READ_AHEAD = 64
"""Frames that may wait for their turn; a source that is further ahead waits itself."""

SLACK_PERIODS = 1
"""Periods that a frame may wait before its own, what a player buffers: in real time a frame is due
`1 + SLACK_PERIODS` periods after it arrived."""

TimedFrame = tuple[np.ndarray, Fraction]
"""An image `[H, W, 3]` uint8, and its time in seconds."""

Emit = Callable[[np.ndarray, Fraction], Any]
"""Takes an output `[s H, s W, 3]` uint8 and its time in seconds; what takes long belongs into a thread."""


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
        if not 0.0 < self.fps <= 1000.0:
            raise InputError(f"fps must be in (0, 1000], got {self.fps}")
        if self.in_flight < 1:
            raise InputError(f"in_flight must be at least 1, got {self.in_flight}")

    @property
    def period_s(self) -> float:
        """Seconds per frame."""
        return 1.0 / self.fps


class _Arrival(NamedTuple):
    """A frame as it comes."""

    number: int
    image: np.ndarray
    time: Fraction
    arrived_s: float
    """Seconds since the stream began: when it was due in real time, else when it was decoded."""


class _Arrivals:
    """A source's frames, read ahead in a thread, each when it is due (`period_s` None: as they are taken)."""

    def __init__(self, frames: Iterable[TimedFrame], period_s: float | None) -> None:
        self._start_s = time.perf_counter()
        self._items = Prefetched(self._paced(frames, period_s), READ_AHEAD)
        self.close = self._items.close

    def _paced(self, frames: Iterable[TimedFrame], period_s: float | None) -> Iterator[_Arrival]:
        for number, (image, when) in enumerate(frames):
            if not number:
                self._start_s = time.perf_counter()  # the first frame is there: now it begins
            now = self.seconds()
            due = now if period_s is None else number * period_s
            if due > now:
                time.sleep(due - now)
            yield _Arrival(number, image, when, due)

    def seconds(self) -> float:
        """Since the stream began."""
        return time.perf_counter() - self._start_s

    @property
    def waiting(self) -> int:
        """Frames that are there now."""
        return self._items.waiting

    def next(self) -> _Arrival | None:
        """The next frame; None at the end of the source."""
        return next(self._items, None)


class _Flight(NamedTuple):
    """A frame that was dispatched."""

    arrival: _Arrival
    member: str
    begun_s: float
    queued: int
    output: "concurrent.futures.Future[tuple[np.ndarray, float]]"
    """The image on the host, and when it was there."""


class Stream:
    """One run of frames through the members.

    Args:
        server: prepared for the frames' shape and the members.
        policy: chooses the member of each frame.
        timings: the members, with their frame times on this machine at rest.
        options: the rate and how it is held.
        watch: called with every frame's record, for a live display.
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
        self._policy = checked(policy, timings)
        self._options = options
        self._watch = watch
        self._deadline_ms = 1e3 / options.fps
        self.records: list[FrameRecord] = []

    @property
    def trace(self) -> Trace:
        """Of the frames that are finished."""
        psnr_y = {timing.name: timing.psnr_y for timing in self._policy.timings}
        return Trace(self._options.fps, self._options.real_time, psnr_y, tuple(self.records))

    def run(self, frames: Iterable[TimedFrame], emit: Emit) -> Trace:
        """Send frames, all of one shape, through until the source ends; `emit` takes the outputs in order.

        Raises:
            Exception: what the source or `emit` raised; what was finished before was emitted.
            InputError: the policy names a member that has no timing.
        """
        self.records = []
        state, member = self._policy.start(self._deadline_ms)
        flights: collections.deque[_Flight] = collections.deque()
        arrivals = _Arrivals(frames, self._options.period_s if self._options.real_time else None)
        ended = False
        # A thread of its own sees when a frame is done, also while `emit` makes this one wait.
        fetcher = concurrent.futures.ThreadPoolExecutor(1, "fetch")
        try:
            while not ended or flights:
                room = len(flights) < self._options.in_flight
                if not ended and room and (arrivals.waiting or not flights):
                    arrival = arrivals.next()
                    if arrival is None:
                        ended = True
                    else:
                        flights.append(self._begin(arrival, member, arrivals, fetcher))
                    continue
                record = self._finish(flights.popleft(), emit)
                queued = arrivals.waiting if self._options.real_time else 0
                seen = Observation(record.frame_ms, record.member, self._deadline_ms, queued)
                state, member = self._policy(state, seen)
        finally:
            fetcher.shutdown(cancel_futures=True)
            arrivals.close()
        return self.trace

    def _begin(
        self, arrival: _Arrival, member: str, arrivals: _Arrivals, fetcher: concurrent.futures.Executor
    ) -> _Flight:
        queued = arrivals.waiting if self._options.real_time else 0
        begun = arrivals.seconds()
        output = self._server.dispatch(arrival.image, member)

        def fetch() -> tuple[np.ndarray, float]:
            image = np.asarray(output)
            return image, arrivals.seconds()

        return _Flight(arrival, member, begun, queued, fetcher.submit(fetch))

    def _finish(self, flight: _Flight, emit: Emit) -> FrameRecord:
        image, done = flight.output.result()
        before = self.records[-1].done_s if self.records else 0.0
        busy_ms = (done - max(flight.begun_s, before)) * 1e3
        record = FrameRecord(
            number=flight.arrival.number,
            arrived_s=flight.arrival.arrived_s,
            begun_s=flight.begun_s,
            done_s=done,
            frame_ms=busy_ms,
            member=flight.member,
            late=self._is_late(flight.arrival.arrived_s, done, busy_ms),
            queued=flight.queued,
        )
        self.records.append(record)
        emit(image, flight.arrival.time)
        if self._watch:
            self._watch(record)
        return record

    def _is_late(self, arrived_s: float, done_s: float, busy_ms: float) -> bool:
        if not self._options.real_time:
            return busy_ms > self._deadline_ms
        return done_s > arrived_s + (1 + SLACK_PERIODS) * self._options.period_s
