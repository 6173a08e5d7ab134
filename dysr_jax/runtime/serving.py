"""Both plans over one set of weights: no frame waits for a compiler.

A sub-graph runs fused where its executable is ready. Where it is not, it is served chained, from the next
frame on, while its own executable is compiled in the background. One that the budget let go of is compiled
again when frames ask for it; a compilation that failed is tried again after a pause
(`dysr_jax.runtime.asked`).
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import chex
import jax

from dysr_jax.errors import InputError
from dysr_jax.model.programs import Output
from dysr_jax.runtime.asked import Asked, Job, failure
from dysr_jax.runtime.bank import Bank, FrameShape
from dysr_jax.runtime.bundle import Bundle, check_bundle
from dysr_jax.runtime.chained import Chain
from dysr_jax.runtime.executables import DEFAULT_CACHE, ExecutableCache
from dysr_jax.runtime.memory import Memory
from dysr_jax.runtime.program import check_frame, check_shape


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
