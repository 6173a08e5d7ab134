"""Processes that keep cores busy by a schedule, and that end by themselves when this one does."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Self

BURN = """
import os, sys
parent = int(sys.argv[1])
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""
"""A process whose parent was killed gets another one, and ends."""

Schedule = Sequence[tuple[float, int]]  # from so many seconds on, so many processes


class Burners:
    """As many busy processes as the schedule says, within a `with` statement, however it ends."""

    def __init__(self, schedule: Schedule) -> None:
        self.log: list[tuple[float, int]] = []
        """When their number changed, in seconds since the first, and to what."""
        self._schedule = list(schedule)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stop = threading.Event()
        self._start = time.perf_counter()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def pids(self) -> list[int]:
        """Of the processes that run now."""
        return [process.pid for process in self._processes]

    def _run(self) -> None:
        for seconds, count in self._schedule:
            if self._stop.wait(max(0.0, self._start + seconds - time.perf_counter())):
                break
            self._set(count)
        self._stop.wait()
        self._set(0)

    def _set(self, count: int) -> None:
        while len(self._processes) < count:
            command = [sys.executable, "-S", "-c", BURN, str(os.getpid())]
            self._processes.append(subprocess.Popen(command))
        while len(self._processes) > count:
            process = self._processes.pop()
            process.kill()
            process.wait()
        self.log.append((time.perf_counter() - self._start, count))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
