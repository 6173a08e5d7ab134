"""Frames of a source, read ahead in a thread, each when it is due."""

import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from dysr_jax.video.prefetch import Prefetched

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

    def __init__(
        self, frames: Iterable[tuple[np.ndarray, Fraction]], period_s: float | None
    ) -> None:
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
