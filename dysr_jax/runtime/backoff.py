"""When a background job starts, and when again: what was ready may be gone, what failed may work later."""

import concurrent.futures
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

from dysr_jax.errors import InputError

FIRST_PAUSE_S: Final = 1.0
"""From the first attempt to the next one; each further pause is twice as long."""

LONGEST_PAUSE_S: Final = 64.0
"""No pause is longer. After twice this time a key starts anew."""

Job = concurrent.futures.Future[None]


@dataclasses.dataclass
class _Attempt:
    """The last job of a key."""

    job: Job
    began_s: float
    pause_s: float

    def next_s(self) -> float:
        """When the next attempt may begin: never while the job runs, or if the next one cannot succeed."""
        if not self.job.done() or self.job.cancelled() or isinstance(self.job.exception(), InputError):
            return math.inf
        return self.began_s + self.pause_s


class Backoff:
    """Starts a job for a key, unless one runs, one just ran, or none can succeed. Any thread may ask."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._attempts: dict[Hashable, _Attempt] = {}
        self._changing = threading.Lock()

    def start(self, key: Hashable, start: Callable[[], Job]) -> Job | None:
        """The job that `start` starts now, at once; None if it is too early."""
        with self._changing:
            now, before = self._clock(), self._attempts.get(key)
            if before is not None and now < before.next_s():
                return None
            self._forget(now)
            before = self._attempts.get(key)
            pause = FIRST_PAUSE_S if before is None else min(2 * before.pause_s, LONGEST_PAUSE_S)
            self._attempts[key] = _Attempt(start(), now, pause)
            return self._attempts[key].job

    def last(self, key: Hashable) -> Job | None:
        """The last job of a key; None once it is forgotten."""
        attempt = self._attempts.get(key)
        return None if attempt is None else attempt.job

    def _forget(self, now: float) -> None:
        """Drop the attempts that were over long ago."""
        self._attempts = {
            key: attempt
            for key, attempt in self._attempts.items()
            if attempt.next_s() >= now or attempt.began_s + 2 * LONGEST_PAUSE_S >= now
        }
