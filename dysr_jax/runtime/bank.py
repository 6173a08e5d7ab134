"""The bank: executables of a bundle's members, compiled ahead of time over one parameter pytree.

All weights are resident and all executables are ready, so a switch is the choice of another executable:
nothing is compiled, copied or loaded.
"""

import concurrent.futures
import functools
from collections.abc import Sequence

import chex
import jax
import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model.programs import Output, check_output
from dysr_jax.runtime.background import Background
from dysr_jax.runtime.bundle import Bundle, check_bundle
from dysr_jax.runtime.executables import DEFAULT_CACHE, ExecutableCache
from dysr_jax.runtime.held import Held
from dysr_jax.runtime.memory import Memory
from dysr_jax.runtime.program import Program, asked_programs, check_shape, program_of
from dysr_jax.runtime.resident import Resident
from dysr_jax.threads import in_threads

FrameShape = tuple[int, int]
"""LR rows and columns."""


class Bank:
    """Ready executables by member, frame shape and batch. The member is an argument; none is "set active".

    Any thread may send frames while another one prepares.

    Args:
        bundle: the members and their weights.
        keep: how many executables are held; the least recently used go first. None: all.
        budget: bytes of weights, executables and the largest workspace together (`memory`), likewise.
            While executables are being compiled those that they replace are still there.
        cache: where executables are looked for and kept on disk; None: all are compiled.
        output: where results lie; `host` is pinned host memory, where the device has it.

    Raises:
        InputError: the weights alone are more than the budget, `keep` is below 1, or `output` is another.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        keep: int | None = None,
        budget: int | None = None,
        cache: ExecutableCache | None = DEFAULT_CACHE,
        output: Output = "device",
    ) -> None:
        check_bundle(bundle)
        self.bundle = bundle
        # A hit is a look-up; the names of archs that a stream can go through are few.
        self._name = functools.lru_cache(maxsize=4096)(self._find_name)
        check_output(output)
        self._resident = Resident(bundle, cache=cache, output=output)
        self._held = Held(weights=self._resident.weights, keep=keep, budget=budget)
        self._background = Background()

    def prepare(
        self,
        shape: FrameShape,
        members: Sequence[str] | None = None,
        *,
        batch: int | None = None,
        warm_up: bool = True,
    ) -> None:
        """Compile members (default: all) for a frame shape, in threads; or load them from the cache.

        Args:
            shape: LR rows and columns.
            members: their names, or those of other archs whose weights the bundle has.
            batch: frames at once, `[N, H, W, 3]`; None: one, `[H, W, 3]`.
            warm_up: run each new executable once, so that its first frame is as fast as the next.

        Raises:
            InputError: a member that the bundle does not have, or more than the budget; what was ready
                before still is.
        """
        programs = asked_programs(self.bundle, shape, members, batch)
        missing = [program for program in programs if program not in self._held]
        entries = dict(zip(missing, in_threads(self._resident.entry, missing), strict=True))
        self._held.add(entries, programs)
        for program, entry in entries.items() if warm_up else ():
            self._resident.warm_up(program, entry.executable)

    def prepare_soon(
        self,
        shape: FrameShape,
        members: Sequence[str] | None = None,
        *,
        batch: int | None = None,
    ) -> "concurrent.futures.Future[None]":
        """Like `prepare`, one after the other in a thread; frames go on meanwhile.

        Each member is ready as soon as it is compiled.

        Returns:
            Done when all are ready; it holds what `prepare` would have raised.
        """

        def job() -> None:
            programs = asked_programs(self.bundle, shape, members, batch)
            for program in programs:
                if program not in self._held:
                    entry = self._resident.entry(program, self._background.compile_lowered)
                    self._resident.warm_up(program, entry.executable)
                    self._held.add({program: entry}, programs)

        return self._background.submit(job)

    def close(self) -> None:
        """Prepare nothing more in the background: futures are cancelled, after what is compiled just now.

        Without this a process that ends waits for what it asked `prepare_soon` for. Frames still go.
        """
        self._background.close()

    def is_ready(self, member: str, shape: FrameShape, *, batch: int | None = None) -> bool:
        """Whether frames of this shape can be sent to a member."""
        return Program(self._name(member), check_shape(shape), batch) in self._held

    def canonical(self, member: str) -> str:
        """The one spelling of a name (`Bundle.canonical`); one that means nothing here stays as it is."""
        return self._name(member)

    def _find_name(self, member: str) -> str:
        try:
            return self.bundle.canonical(member)
        except InputError:
            return member

    def memory(self) -> Memory:
        """What is held: bytes of weights, executables and workspace."""
        return self._held.memory()

    def dispatch(self, frame: chex.Array, member: str) -> jax.Array:
        """Start to upscale a frame, or several at once; the result is an array that is still being computed.

        Args:
            frame: `[H, W, 3]` or `[N, H, W, 3]` uint8, on the host or on the device.
            member: a member's name, `fastest` or `best`, or the name of an arch that was prepared; however it
                is spelled.

        Returns:
            `[s H, s W, 3]` or `[N, s H, s W, 3]` uint8.

        Raises:
            InputError: the frame is no uint8 RGB image, or the bank was not prepared for this member,
                frame shape and batch.
        """
        member = self._name(member)
        program = program_of(frame, member)
        executable = self._held.get(program)
        if executable is None:
            ready = ", ".join(str(program) for program in self._held.programs())
            raise InputError(
                f"member {member!r} is not prepared for a frame of {program.size}; ready are "
                f"{ready or 'none'}"
            )
        return executable(self._resident.read[member], frame)

    def __call__(self, frame: chex.Array, member: str) -> np.ndarray:
        """Upscale a frame, or several at once: as `dispatch`, on the host."""
        return np.asarray(self.dispatch(frame, member))
