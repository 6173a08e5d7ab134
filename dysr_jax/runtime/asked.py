"""When a sub-graph is compiled in the background, and when again: what was ready may have been let go of, and
what failed may work later. No frame asks twice in vain.
"""

import concurrent.futures
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final

from dysr_jax.errors import InputError

FIRST_PAUSE_S: Final = 1.0
"""After the first attempt, until the next one; each further pause is twice as long."""

LONGEST_PAUSE_S: Final = 64.0
"""Nobody pauses for longer. What was asked for so long ago is as good as new."""

Job = concurrent.futures.Future[None]


@dataclasses.dataclass
class _Attempt:
    """The last time that something was asked for."""

    job: Job
    began_s: float
    pause_s: float

    def pending(self) -> bool:
        return not self.job.done()

    def refused(self) -> bool:
        """It cannot be, now or later: more than the budget, or weights that are not there."""
        done = self.job.done() and not self.job.cancelled()
        return done and isinstance(self.job.exception(), InputError)

    def waits_until(self) -> float:
        """Seconds of the clock."""
        if self.pending() or self.refused() or self.job.cancelled():
            return math.inf
        return self.began_s + self.pause_s


class Asked:
    """Starts a job for a key unless one runs, one just ran, or none can work. Any thread may ask.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._attempts: dict[Hashable, _Attempt] = {}
        self._changing = threading.Lock()

    def ask(self, key: Hashable, start: Callable[[], Job]) -> Job | None:
        """The job that was started now; None where none was.

        Args:
            key: what is asked for.
            start: starts the job and returns at once.
        """
        with self._changing:
            now, before = self._clock(), self._attempts.get(key)
            if before is not None and now < before.waits_until():
                return None
            self._forget(now)
            again = self._attempts.get(key)
            pause = FIRST_PAUSE_S if again is None else min(2 * again.pause_s, LONGEST_PAUSE_S)
            self._attempts[key] = _Attempt(start(), now, pause)
            return self._attempts[key].job

    def last(self, key: Hashable) -> Job | None:
        """The last job of a key, as long as it counts."""
        attempt = self._attempts.get(key)
        return None if attempt is None else attempt.job

    def _forget(self, now: float) -> None:
        """What was asked for long ago and is over."""
        old = [
            key
            for key, attempt in self._attempts.items()
            if attempt.waits_until() < now and attempt.began_s + 2 * LONGEST_PAUSE_S < now
        ]
        for key in old:
            del self._attempts[key]


def failure(job: Any) -> BaseException | None:
    """What a job that is over raised; None where it did not, or was cancelled."""
    return None if job.cancelled() else job.exception()
