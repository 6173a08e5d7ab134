"""One member is there at a time: a switch drops it, and reads another one's weights and executable."""

from typing import ClassVar, Final

import chex
import jax
import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model.programs import compile_static
from dysr_jax.runtime.bank import FrameShape
from dysr_jax.runtime.baselines.models import Model, read_model
from dysr_jax.runtime.baselines.shelf import Shelf
from dysr_jax.runtime.executables import Executable, ExecutableCache, compiled_executable
from dysr_jax.runtime.memory import Memory

UNKNOWN: Final = 0
"""Bytes of code: to find them out takes time that is no part of a switch."""


class ReloadCompiled:
    """A switch reads weights from disk and compiles the executable."""

    name: ClassVar[str] = "reload_compiled"
    cached: ClassVar[bool] = False
    loads: ClassVar[bool] = True

    def __init__(self, shelf: Shelf, cache: ExecutableCache) -> None:
        self._shelf, self._cache = shelf, cache
        self._shape: FrameShape = (0, 0)
        self._held: tuple[str, Model] | None = None

    def prepare(self, shape: FrameShape) -> None:
        """Have one member there, which is all that ever is."""
        self._shape = shape
        self._start(self._shelf.names[0])

    def _start(self, member: str) -> None:
        self.switch(member)
        self.dispatch(np.zeros((*self._shape, 3), np.uint8), member).block_until_ready()

    def switch(self, member: str) -> None:
        """Drop the member that is there, then read this one."""
        self._held = None
        self._held = member, self._read(member)

    def _read(self, member: str) -> Model:
        params, arch = self._shelf.own(member), self._shelf.members.member(member).arch
        run = compile_static(self._shelf.net(member), arch, params, self._shape)
        return Model(jax.block_until_ready(params), Executable(run, UNKNOWN))

    def dispatch(self, frame: chex.Array, member: str) -> jax.Array:
        """Run the member that is there.

        Raises:
            InputError: another one was asked for.
        """
        if self._held is None or self._held[0] != member:
            raise InputError(f"member {member!r}: allowed is the one that was switched to last")
        params, executable = self._held[1]
        return executable(params, frame)

    def memory(self) -> Memory:
        """The most that any member takes, of each kind; reads every one to find it."""
        each = [self._memory(name) for name in self._shelf.names]
        return Memory(
            weights=max(memory.weights for memory in each),
            executables=max(memory.executables for memory in each),
            workspace=max(memory.workspace for memory in each),
        )

    def _memory(self, member: str) -> Memory:
        params, executable = self._read(member)
        return Model(params, compiled_executable(executable.compiled)).memory()


class ReloadCached(ReloadCompiled):
    """A switch reads weights and an executable from disk, which was compiled before."""

    name: ClassVar[str] = "reload_cached"
    cached: ClassVar[bool] = True

    def prepare(self, shape: FrameShape) -> None:
        """Have every executable on disk, and one member there."""
        self._shape = shape
        for name in reversed(self._shelf.names):
            self._start(name)
            if self._cache.loaded:  # an earlier start left them all on disk
                break

    def _read(self, member: str) -> Model:
        return read_model(self._shelf, member, self._shape, self._cache)

    def _memory(self, member: str) -> Memory:
        return self._read(member).memory()
