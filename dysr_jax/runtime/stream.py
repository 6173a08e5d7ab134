"""A stream: frames in, frames out, at a rate that is held by switching between members.

The policy sees how long each frame took and says which member makes the next one. A switch is the choice of
another executable, so it happens between two frames and interrupts nothing.

Frames of a source, read ahead in a thread, each when it is due.
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

from dysr_jax.errors import InputError
from dysr_jax.runtime.policy import Observation, Policy, Rung, checked
from dysr_jax.runtime.trace import FrameRecord, Trace
from dysr_jax.threads import Prefetched

AHEAD = 64
"""Frames that may wait for their turn; a source that is further ahead waits itself."""


class Arrival(NamedTuple):
    """A frame as it comes."""

    number: int
    image: np.ndarray
    """`[H, W, 3]` uint8."""
    time: Fraction
    """Seconds, in the source's clock."""
    arrived_s: float
    """Seconds since the stream began: when it was due in real time, else when it was decoded."""


class Arrivals:
    """An iterator over a source's frames.

    Args:
        frames: image and time of each.
        period_s: from one frame to the next in real time; None: as fast as they are taken.
    """

    def __init__(self, frames: Iterable[tuple[np.ndarray, Fraction]], period_s: float | None) -> None:
        self._start_s = time.perf_counter()
        self._items = Prefetched(self._paced(frames, period_s), AHEAD)

    def _paced(
        self, frames: Iterable[tuple[np.ndarray, Fraction]], period_s: float | None
    ) -> Iterator[Arrival]:
        for number, (image, when) in enumerate(frames):
            if not number:
                self._start_s = time.perf_counter()  # the first frame is there: now it begins
            now = self.seconds()
            due = now if period_s is None else number * period_s
            if due > now:
                time.sleep(due - now)
            yield Arrival(number, image, when, due)

    def seconds(self) -> float:
        """Since the stream began."""
        return time.perf_counter() - self._start_s

    @property
    def waiting(self) -> int:
        """Frames that are there now."""
        return self._items.waiting

    def __iter__(self) -> Iterator[Arrival]:
        return self

    def __next__(self) -> Arrival:
        return next(self._items)

    def close(self) -> None:
        """Let the thread end."""
        self._items.close()


SLACK = 1
"""Periods that a frame may wait before its own, what a player buffers: in real time a frame is due
`1 + SLACK` periods after it arrived."""

Dispatch = Callable[[np.ndarray, str], chex.Array]
"""Starts to upscale a frame `[H, W, 3]` uint8 by the member of this name (`Serving.dispatch`)."""

Emit = Callable[[np.ndarray, Fraction], Any]
"""Takes an output `[s H, s W, 3]` uint8 and its time in seconds; what takes long belongs into a thread."""


@dataclasses.dataclass(frozen=True)
class StreamOptions:
    """How a stream runs."""

    fps: float
    """Frames a second to hold."""
    real_time: bool = False
    """Frames come at that rate, as from a live source; else as fast as they are taken."""
    in_flight: int = 1
    """Frames that may be dispatched and not finished: 2 or 3 hide the copies of an accelerator."""

    def __post_init__(self) -> None:
        if not 0.0 < self.fps <= 1000.0:
            raise InputError(f"fps {self.fps}: allowed is above 0, up to 1000")
        if self.in_flight < 1:
            raise InputError(f"in_flight {self.in_flight}: allowed is 1 or more")

    @property
    def period_s(self) -> float:
        """Seconds a frame."""
        return 1.0 / self.fps


@dataclasses.dataclass(frozen=True)
class _Flight:
    """A frame that was dispatched."""

    arrival: Arrival
    member: str
    begun_s: float
    queued: int
    output: "concurrent.futures.Future[tuple[np.ndarray, float]]"
    """The image on the host, and when it was there."""


class Stream:
    """One run of frames through the members.

    Args:
        dispatch: see `Dispatch`.
        policy: chooses the member of each frame.
        rungs: the members, with their frame times on this machine at rest.
        options: the rate and how it is held.
        watch: called with every frame's record, for a live display.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        policy: Policy,
        rungs: Sequence[Rung],
        options: StreamOptions,
        watch: Callable[[FrameRecord], Any] | None = None,
    ) -> None:
        self._dispatch = dispatch
        self._policy = checked(policy, rungs)
        self._options = options
        self._watch = watch
        self._deadline_ms = 1e3 / options.fps
        self.records: list[FrameRecord] = []

    @property
    def trace(self) -> Trace:
        """Of the frames that are finished."""
        psnr_y = {rung.name: rung.psnr_y for rung in self._policy.rungs}
        return Trace(self._options.fps, self._options.real_time, psnr_y, tuple(self.records))

    def run(self, frames: Iterable[tuple[np.ndarray, Fraction]], emit: Emit) -> Trace:
        """Send frames through until the source ends.

        Args:
            frames: images `[H, W, 3]` uint8, all of one shape, with their times in seconds.
            emit: takes every output with its time, in order.

        Raises:
            Exception: what the source or `emit` raised; what was finished before was emitted.
            InputError: the policy names a member that is none of the rungs.
        """
        self.records = []
        state, member = self._policy.start(self._deadline_ms)
        flights: collections.deque[_Flight] = collections.deque()
        arrivals = Arrivals(frames, self._options.period_s if self._options.real_time else None)
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
                    else:
                        flights.append(self._begin(arrival, member, arrivals, fetcher))
                    continue
                record = self._finish(flights.popleft(), emit)
                state, member = self._policy(state, self._observed(record, arrivals.waiting))
        finally:
            fetcher.shutdown(cancel_futures=True)
            arrivals.close()
        return self.trace

    def _begin(
        self, arrival: Arrival, member: str, arrivals: Arrivals, fetcher: concurrent.futures.Executor
    ) -> _Flight:
        queued = arrivals.waiting if self._options.real_time else 0
        begun = arrivals.seconds()
        output = self._dispatch(arrival.image, member)

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
        return done_s > arrived_s + (1 + SLACK) * self._options.period_s

    def _observed(self, record: FrameRecord, queued: int) -> Observation:
        return Observation(
            frame_ms=record.frame_ms,
            member=record.member,
            deadline_ms=self._deadline_ms,
            queued=queued if self._options.real_time else 0,
        )
