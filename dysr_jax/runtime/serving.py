"""Bank and chain over one set of weights: no frame waits for a compiler.

A sub-graph runs fused where its executable is ready. Where it is not, it is served chained, from the next
frame on, while its own executable is compiled in the background. One that the budget let go of is compiled
again when frames ask for it; a compilation that failed is tried again after a pause.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import chex
import jax

from dysr_jax.aot import DEFAULT_CACHE, ExecutableCache, Memory
from dysr_jax.bundle import Bundle, check_bundle
from dysr_jax.errors import InputError
from dysr_jax.model import Output
from dysr_jax.runtime.backoff import Backoff, Job
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.chain import Chain
from dysr_jax.runtime.executable_lru import check_frame, check_shape
from dysr_jax.runtime.server import FrameShape, MemberLike, Members, Server, resolve_all, resolver


class Serving(Server):
    """Frames through any sub-graph whose weights are there.

    Options are as of `Bank`; the budget does not count the chain's executables. `log` takes a line when a
    sub-graph could not be compiled in the background, and so is chained.
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

    def prepare(self, shape: FrameShape, members: Members = None, *, warm_up: bool = True) -> None:
        """Compile sub-graphs (default: the members) and wait for them: see `Bank.prepare`."""
        self.bank.prepare(shape, members, warm_up=warm_up)

    def prepare_soon(self, shape: FrameShape, members: Members = None) -> None:
        """Compile the chain, which serves all of them from then on; the rest in the background."""
        shape = check_shape(shape)
        self.chain.prepare(shape)
        for found in resolve_all(self.bundle, members):
            self._compile_soon(found.name, shape)

    def close(self) -> None:
        """Compile nothing more in the background. Frames still go."""
        self.bank.close()

    def dispatch(self, frame: chex.Array, member: MemberLike) -> jax.Array:
        """Start to upscale `[H, W, 3]` uint8, fused if that is ready, else chained (after `prepare_soon`).

        Raises:
            InputError: no such member, or a frame shape that nothing was prepared for.
        """
        check_frame(frame)
        shape = (frame.shape[0], frame.shape[1])
        name, arch = self._resolve(member)
        if self.bank.is_ready(name, shape):
            with contextlib.suppress(InputError):  # it may have been let go of meanwhile
                return self.bank.dispatch(frame, name)
        output = self.chain.dispatch(frame, arch)
        self._compile_soon(name, shape)
        return output

    def memory(self) -> Memory:
        """Bytes that bank and chain hold; they share the weights."""
        bank, chain = self.bank.memory(), self.chain.memory()
        return Memory(
            weights=bank.weights,
            executables=bank.executables + chain.executables,
            workspace=max(bank.workspace, chain.workspace),
        )

    def _compile_soon(self, name: str, shape: FrameShape) -> None:
        job = self._backoff.start((name, shape), lambda: self.bank.prepare_soon(shape, [name]))
        if job is not None:  # outside of the lock: it may be over, and then this thread says so
            job.add_done_callback(functools.partial(self._report, name))

    def _report(self, name: str, job: Job) -> None:
        error = None if job.cancelled() else job.exception()
        if error is not None:
            how_long = "stays chained" if isinstance(error, InputError) else "is chained for now"
            self._log(f"{name} {how_long}: {error}")
