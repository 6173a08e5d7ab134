"""Both plans over one set of weights: no frame waits for a compiler.

A sub-graph runs fused where its executable is ready. Where it is not, it is served chained, from the next
frame on, while its own executable is compiled in the background. One that the budget let go of is compiled
again when frames ask for it; a compilation that failed is tried again after a pause
(`dysr_jax.runtime.serving`).

When a sub-graph is compiled in the background, and when again: what was ready may have been let go of, and
what failed may work later. No frame asks twice in vain.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import math
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

import chex
import jax

from dysr_jax.aot import DEFAULT_CACHE, ExecutableCache, Memory
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.errors import InputError
from dysr_jax.model import Output
from dysr_jax.runtime.bank import Bank, FrameShape
from dysr_jax.runtime.chain import Chain
from dysr_jax.runtime.executable_lru import check_frame, check_shape

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


class Serving:
    """Frames through any sub-graph whose weights are there.

    Args:
        bundle: the members and their weights.
        budget: bytes, as of `Bank`; the chain's executables are not counted.
        cache: where executables are looked for and kept on disk.
        output: where results lie; `host` is pinned host memory, where the device has it.
        say: takes a line when a sub-graph could not be compiled in the background, and so is chained.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        budget: int | None = None,
        cache: ExecutableCache | None = DEFAULT_CACHE,
        output: Output = "host",
        say: Callable[[str], Any] = lambda line: None,
    ) -> None:
        self._say = say
        check_bundle(bundle)
        resident = dataclasses.replace(bundle, params=jax.device_put(bundle.params))
        self.bank = Bank(resident, budget=budget, cache=cache, output=output)
        self.chain = Chain(resident, cache=cache, output=output)
        self._asked = Asked()

    def prepare(self, shape: FrameShape, names: Sequence[str] | None = None) -> None:
        """Compile sub-graphs (default: the members) and wait for it: see `Bank.prepare`."""
        self.bank.prepare(shape, names)

    def prepare_soon(self, shape: FrameShape, names: Sequence[str] | None = None) -> None:
        """Compile the chain, which serves all of them from then on; the rest in the background."""
        shape = check_shape(shape)
        self.chain.prepare(shape)
        members = [member.name for member in self.bank.bundle.members]
        for name in members if names is None else names:
            self._ask(name, shape)

    def _ask(self, name: str, shape: FrameShape) -> None:
        name = self.bank.canonical(name)
        job = self._asked.ask((name, shape), lambda: self.bank.prepare_soon(shape, [name]))
        if job is not None:  # outside of the lock: it may be over, and then this thread says so
            job.add_done_callback(functools.partial(self._note, name))

    def _note(self, name: str, job: Job) -> None:
        error = failure(job)
        if error is not None:
            how_long = "stays chained" if isinstance(error, InputError) else "is chained for now"
            self._say(f"{name} {how_long}: {error}")

    def close(self) -> None:
        """Compile nothing more in the background. Frames still go."""
        self.bank.close()

    def dispatch(self, frame: chex.Array, name: str) -> jax.Array:
        """Start to upscale a frame, fused if that is ready, else chained (after `prepare_soon`).

        Args:
            frame: `[H, W, 3]` uint8.
            name: of a member, or of any arch whose weights the bundle has, however it is spelled.

        Returns:
            `[s H, s W, 3]` uint8.

        Raises:
            InputError: no such arch, or a frame shape that nothing was prepared for.
        """
        check_frame(frame)
        shape = (frame.shape[0], frame.shape[1])
        if self.bank.is_ready(name, shape):
            with contextlib.suppress(InputError):  # it may have been let go of meanwhile
                return self.bank.dispatch(frame, name)
        arch = self.bank.bundle.arch(name)
        output = self.chain.dispatch(frame, arch)
        self._ask(name, shape)
        return output

    def memory(self) -> Memory:
        """What is held, of both plans; the weights are the same."""
        bank, chain = self.bank.memory(), self.chain.memory()
        return Memory(
            weights=bank.weights,
            executables=bank.executables + chain.executables,
            workspace=max(bank.workspace, chain.workspace),
        )
