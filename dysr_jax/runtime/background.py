"""Compiling while frames go on: one job at a time, in one thread.

The thread has the priority of all others on purpose. One that stands back is held up with the interpreter
lock in its hands, and the frames with it: on a CPU that frames keep busy, the slowest took half as long
again beside a thread of the lowest priority. Handing over the lock more often changed nothing.
"""

import concurrent.futures
import threading
from collections.abc import Callable

import jax


class Background:
    """A thread of jobs; it starts with the first one."""

    def __init__(self) -> None:
        self._jobs = concurrent.futures.ThreadPoolExecutor(1, "prepare")
        self._closed = threading.Event()

    def submit(self, job: Callable[[], None]) -> concurrent.futures.Future[None]:
        """Run a job after those before it; what it raises is in the future.

        After `close`, and when the interpreter ends, the future is cancelled at once.
        """
        try:
            return self._jobs.submit(job)
        except RuntimeError:  # the pool takes no more
            refused: concurrent.futures.Future[None] = concurrent.futures.Future()
            refused.cancel()
            refused.set_running_or_notify_cancel()
            return refused

    def compile_lowered(self, lowered: jax.stages.Lowered) -> jax.stages.Compiled:
        """Compile for a job.

        Raises:
            CancelledError: no more is wanted.
        """
        if self._closed.is_set():
            raise concurrent.futures.CancelledError
        return lowered.compile()

    def close(self) -> None:
        """Jobs that have not begun are cancelled; one that has compiles nothing more."""
        self._closed.set()
        self._jobs.shutdown(wait=False, cancel_futures=True)
