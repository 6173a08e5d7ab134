"""Work in threads: many items beside each other, an iterator ahead of its user, a queue behind its caller.

An interruption from the keyboard reaches the main thread only: what runs here is never left half done.
"""

import collections
import concurrent.futures
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import jax

T = TypeVar("T")
R = TypeVar("R")

CLOSE_TIMEOUT_S = 2.0
"""How long closing waits for a thread; one that hangs in a pipe is left to the end of the process."""


def in_threads(make: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What `make`, which compiles or loads an executable, makes of each item, in their order.

    On an accelerator the last item, which should be the largest, is made alone first: XLA times kernels for
    each new operation, and threads that meet the same ones at once would disturb each other.
    """
    done = []
    if jax.default_backend() != "cpu" and items:
        *items, last = items
        done = [make(last)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        return [*threads.map(make, items), *done]


class Prefetched(Generic[T]):
    """What `items` yields, computed up to `ahead` items in advance in a thread of its own.

    An error of `items` is raised here, after all that came before it. With `drop` the thread never waits: if
    `ahead` items wait already, the oldest is dropped.
    """

    def __init__(self, items: Iterator[T], ahead: int, *, drop: bool = False) -> None:
        self._items, self._room, self._drop = items, max(1, ahead), drop
        self._waiting: collections.deque[T] = collections.deque()
        self._changed = threading.Condition()
        self._closed = self._ended = False
        self._error: BaseException | None = None
        self.dropped = 0
        """Items that were dropped."""
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> "Prefetched[T]":
        return self

    def __next__(self) -> T:
        with self._changed:
            while not (self._waiting or self._ended or self._closed):
                self._changed.wait()
            if self._waiting:
                self._changed.notify_all()
                return self._waiting.popleft()
            error, self._error = self._error, None
        raise error or StopIteration

    @property
    def waiting(self) -> int:
        """Items that wait now; the end and an error are none."""
        return len(self._waiting)

    def close(self) -> bool:
        """End the thread and drop what waits; whether the thread has ended."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._thread.join(CLOSE_TIMEOUT_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, item: T) -> bool:
        with self._changed:
            while len(self._waiting) >= self._room and not (self._closed or self._drop):
                self._changed.wait()
            if self._closed:
                return False
            if len(self._waiting) >= self._room:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(item)
            self._changed.notify_all()
        return True


class Worker(Generic[T]):
    """Calls `work` on each item in turn, in a thread, then `last`; up to `room` items may wait.

    After the first error of `work`, items are dropped; `last` is called in any case.
    """

    def __init__(
        self, work: Callable[[T], None], last: Callable[[], None], room: int, name: str = "encode"
    ) -> None:
        self._work, self._last = work, last
        self._queue: queue.Queue[T | None] = queue.Queue(room)
        self.error: BaseException | None = None
        """The first error of `work` or `last`."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand over an item; waits while the queue is full."""
        self._queue.put(item)

    def finish(self) -> None:
        """Wait until all items and `last` are done; an interruption is raised then, a second one at once."""
        try:
            self._join()
        except BaseException:
            self._join()
            raise

    def _join(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self.error is None:
                self._try(self._work, item)
        self._try(self._last)

    def _try(self, call: Callable[..., None], *args: T) -> None:
        try:
            call(*args)
        except BaseException as error:
            self.error = self.error or error
