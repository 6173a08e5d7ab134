"""Two threads around a stream: one brings the frames when they are due, one takes away what is finished."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

WAITING = 64
"""Frames that may wait for their turn; a source that is further ahead waits itself."""
FINISHED = 8
"""Finished frames that may wait to be written."""
_POLL_S = 0.05

T = TypeVar("T")


class Incoming(NamedTuple):
    """A frame as it comes."""

    number: int
    image: np.ndarray
    """`[H, W, 3]` uint8."""
    time: Fraction
    """Seconds, in the source's clock."""
    arrived_s: float
    """Seconds since the stream began: by the clock in real time, else when it was decoded."""


class _Line(Generic[T]):
    """A bounded queue between two threads, either of which may end."""

    def __init__(self, length: int) -> None:
        self._queue: queue.Queue[T | None] = queue.Queue(length)
        self._closed = threading.Event()
        self.error: BaseException | None = None

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, item: T | None) -> bool:
        """Wait for room. False: nobody takes any more."""
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def get(self, *, wait: bool = True) -> T | None:
        """The next item; None at the end.

        Raises:
            queue.Empty: there is none yet, and `wait` is off.
        """
        item = self._queue.get(block=wait)
        if item is None:
            self._queue.put(None)
        return item

    def close(self) -> None:
        """Take no more."""
        self._closed.set()


class Feed:
    """Frames of a source in a thread, each when it is due.

    Args:
        frames: image and time of each.
        period_s: from one frame to the next in real time; None: as fast as they are taken.
    """

    def __init__(
        self, frames: Iterable[tuple[np.ndarray, Fraction]], period_s: float | None
    ) -> None:
        self._line: _Line[Incoming] = _Line(WAITING)
        self._frames = iter(frames)
        self._period_s = period_s
        self.start_s = time.perf_counter()  # of the stream: when its first frame is there
        self._thread = threading.Thread(target=self._run, name="dysr-feed", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._line)

    def _run(self) -> None:
        try:
            for incoming in self._paced():
                if not self._line.put(incoming):
                    return
        except BaseException as error:
            self._line.error = error
        self._line.put(None)

    def _paced(self) -> Iterator[Incoming]:
        for number, (image, when) in enumerate(self._frames):
            if not number:
                self.start_s = time.perf_counter()
            now = time.perf_counter() - self.start_s
            if self._period_s is None:
                yield Incoming(number, image, when, now)
                continue
            due = number * self._period_s
            if due > now:
                time.sleep(due - now)
            yield Incoming(number, image, when, due)

    def next(self, *, wait: bool = True) -> Incoming | None:
        """The next frame; None after the last.

        Raises:
            queue.Empty: none is there yet, and `wait` is off.
            Exception: what the source raised.
        """
        incoming = self._line.get(wait=wait)
        if incoming is None and self._line.error is not None:
            raise self._line.error
        return incoming

    def close(self) -> None:
        """Let the thread end with the frame that it reads."""
        self._line.close()
        self._thread.join()


class Drain:
    """Finished frames to `emit`, in a thread and in order."""

    def __init__(self, emit: Callable[[np.ndarray, Fraction], Any]) -> None:
        self._line: _Line[tuple[np.ndarray, Fraction]] = _Line(FINISHED)
        self._emit = emit
        self._thread = threading.Thread(target=self._run, name="dysr-drain", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while (item := self._line.get()) is not None:
                self._emit(*item)
        except BaseException as error:
            self._line.error = error
            self._line.close()

    def put(self, image: np.ndarray, when: Fraction) -> None:
        """Hand a frame over; waits while too many are unwritten.

        Raises:
            Exception: what `emit` raised.
        """
        if not self._line.put((image, when)) and self._line.error is not None:
            raise self._line.error

    def close(self) -> None:
        """Wait until all is emitted.

        Raises:
            Exception: what `emit` raised.
        """
        self._line.put(None)
        self._thread.join()
        if self._line.error is not None:
            raise self._line.error
