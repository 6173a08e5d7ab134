"""A thread that works off a bounded queue, so that what feeds it does not wait.

An interruption from the keyboard reaches the main thread only: what runs here is never left half done.
"""

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Worker(Generic[T]):
    """Calls `work` on each item in turn. After its first error, items are dropped.

    Args:
        work: runs in the thread.
        room: items that may wait.
    """

    def __init__(self, work: Callable[[T], None], room: int) -> None:
        self._work = work
        self._queue: queue.Queue[T | None] = queue.Queue(room)
        self.error: BaseException | None = None
        """What `work` raised first."""
        self._thread = threading.Thread(target=self._run, name="encode", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand over an item; waits while the queue is full."""
        self._queue.put(item)

    def finish(self) -> None:
        """Wait until all items are done."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self.error is None:
                try:
                    self._work(item)
                except BaseException as error:
                    self.error = error
