"""Compiling while frames go on: one job at a time, in threads that stand back.

A frame needs Python's interpreter lock some times, and the processor. Tracing a program holds the lock, so
while a job runs threads hand it over more often. Compiling is long and does without it, so it is done in a
thread of its own at the system's lowest priority. (Tracing is not: a thread that waits for its turn with the
lock in its hands would hold up the frames.)
"""

import concurrent.futures
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final

import jax

_SWITCH_SECONDS: Final = 0.0005
"""For which a thread may keep the interpreter lock from others that want it; Python's own is 5 ms."""

_LOWEST: Final = 19


class Background:
    """Two threads: of jobs, and of what compiles for them. They start with the first job."""

    def __init__(self) -> None:
        self._jobs = concurrent.futures.ThreadPoolExecutor(1, "prepare")
        self._compiling = concurrent.futures.ThreadPoolExecutor(1, "compile", _stand_back)
        self._closed = threading.Event()

    def submit(self, job: Callable[[], None]) -> concurrent.futures.Future[None]:
        """Run a job after those before it; what it raises is in the future."""

        def run() -> None:
            with _handing_over():
                job()

        return self._jobs.submit(run)

    def compile_lowered(self, lowered: jax.stages.Lowered) -> jax.stages.Compiled:
        """Compile for a job, at low priority.

        Raises:
            CancelledError: no more is wanted.
        """
        if self._closed.is_set():
            raise concurrent.futures.CancelledError
        return self._compiling.submit(lowered.compile).result()

    def close(self) -> None:
        """Jobs that have not begun are cancelled; one that has compiles nothing more."""
        self._closed.set()
        self._jobs.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def _handing_over() -> Iterator[None]:
    """Threads of this process hand over the interpreter lock more often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _SWITCH_SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _stand_back() -> None:
    """This thread comes after all others of the machine, where the system can tell threads apart."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST)
