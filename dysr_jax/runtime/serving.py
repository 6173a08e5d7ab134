"""Bank and chain over one set of weights: no frame waits for a compiler.

A sub-graph runs fused where its executable is ready. Where it is not, it is served chained, from the next
frame on, while its own executable is compiled in the background. One that the budget let go of is compiled
again when frames ask for it; a compilation that failed is tried again after a pause.
"""

import contextlib
import dataclasses
import functools
import math
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final

import jax

from dysr_jax.aot import DEFAULT_CACHE, ExecutableCache, Memory
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.errors import InputError
from dysr_jax.model import RGB, FrameFormat, Output
from dysr_jax.runtime.bank import Bank, Job
from dysr_jax.runtime.chain import Chain
from dysr_jax.runtime.executable_lru import check_frame, check_shape
from dysr_jax.runtime.server import (
    FrameLike,
    FrameShape,
    MemberLike,
    Members,
    VideoServer,
    resolve_all,
    resolver,
)

FIRST_PAUSE_S: Final = 1.0  # from the first attempt to the next one; each further pause is twice as long

LONGEST_PAUSE_S: Final = 64.0  # no pause is longer. After twice this time a key starts anew


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

    def is_old(self, now: float) -> bool:
        """Whether it was over long ago."""
        return self.next_s() < now and self.began_s + 2 * LONGEST_PAUSE_S < now


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
            self._attempts = {k: one for k, one in self._attempts.items() if not one.is_old(now)}
            before = self._attempts.get(key)
            pause = FIRST_PAUSE_S if before is None else min(2 * before.pause_s, LONGEST_PAUSE_S)
            self._attempts[key] = _Attempt(start(), now, pause)
            return self._attempts[key].job

    def last(self, key: Hashable) -> Job | None:
        """The last job of a key; None once it is forgotten."""
        attempt = self._attempts.get(key)
        return None if attempt is None else attempt.job


class Serving(VideoServer):
    """Frames through any sub-graph whose weights are there; options as of `Bank`.

    The budget does not count the chain's executables. `log` is told what stays chained since it cannot be
    compiled.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        budget: int | None = None,
        cache: ExecutableCache | None = DEFAULT_CACHE,
        output: Output = "host",
        log: Callable[[str], Any] = lambda line: None,
    ) -> None:
        check_bundle(bundle)
        self.bundle = bundle
        resident = dataclasses.replace(bundle, params=jax.device_put(bundle.params))
        self.bank = Bank(resident, budget=budget, cache=cache, output=output)
        self.chain = Chain(resident, cache=cache, output=output)
        self._resolve = resolver(bundle)
        self._backoff = Backoff()
        self._log = log

    def prepare(
        self, shape: FrameShape, members: Members = None, *, frames: FrameFormat = RGB, warm_up: bool = True
    ) -> None:
        """Compile sub-graphs (default: the members) and wait for them: see `Bank.prepare`."""
        self.bank.prepare(shape, members, frames=frames, warm_up=warm_up)

    def prepare_soon(self, shape: FrameShape, members: Members = None, *, frames: FrameFormat = RGB) -> None:
        """Compile the chain, which serves all of them from then on; the rest in the background."""
        shape = check_shape(shape)
        self.chain.prepare(shape, frames=frames)
        for found in resolve_all(self.bundle, members):
            self._compile_soon(found.name, shape, frames)

    def close(self) -> None:
        """Compile nothing more in the background. Frames still go."""
        self.bank.close()

    def dispatch(self, frame: FrameLike, member: MemberLike) -> jax.Array:
        """Start to upscale `[H, W, 3]` uint8, or planes, fused if that is ready, else chained (after
        `prepare_soon`).

        No such member, or a frame shape that nothing was prepared for, is an InputError.
        """
        shape, _, frames = check_frame(frame)
        name, arch = self._resolve(member)
        if self.bank.is_ready(name, shape, frames=frames):
            with contextlib.suppress(InputError):  # it may have been let go of meanwhile
                return self.bank.dispatch(frame, name)
        output = self.chain.dispatch(frame, arch)
        self._compile_soon(name, shape, frames)
        return output

    def memory(self) -> Memory:
        """Bytes that bank and chain hold; they share the weights."""
        bank, chain = self.bank.memory(), self.chain.memory()
        code, workspace = bank.executables + chain.executables, max(bank.workspace, chain.workspace)
        return Memory(bank.weights, code, workspace)

    def _compile_soon(self, name: str, shape: FrameShape, frames: FrameFormat) -> None:
        def start() -> Job:
            return self.bank.prepare_soon(shape, [name], frames=frames)

        job = self._backoff.start((name, shape, frames), start)
        if job is not None:  # outside of the lock: it may be over, and then this thread says so
            job.add_done_callback(functools.partial(self._report, name))

    def _report(self, name: str, job: Job) -> None:
        error = None if job.cancelled() else job.exception()
        if error is not None:
            how_long = "stays chained" if isinstance(error, InputError) else "is chained for now"
            self._log(f"{name} {how_long}: {error}")
