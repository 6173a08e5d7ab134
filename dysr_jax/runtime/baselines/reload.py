"""One member is there at a time: a switch drops it, and reads another one's weights and executable."""

from typing import ClassVar, NamedTuple

import chex
import jax
import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model.programs import compile_static
from dysr_jax.model.supernet import Params
from dysr_jax.runtime.bank import FrameShape
from dysr_jax.runtime.baselines.models import Model, read_model
from dysr_jax.runtime.baselines.shelf import Shelf
from dysr_jax.runtime.executables import ExecutableCache, compiled_executable
from dysr_jax.runtime.memory import Memory


class _Held(NamedTuple):
    member: str
    params: Params
    run: jax.stages.Compiled


class ReloadCompiled:
    """A switch reads weights from disk and compiles the executable."""

    name: ClassVar[str] = "reload_compiled"
    cached: ClassVar[bool] = False
    loads: ClassVar[bool] = True

    def __init__(self, shelf: Shelf, cache: ExecutableCache) -> None:
        self._shelf, self._cache = shelf, cache
        self._shape: FrameShape = (0, 0)
        self._held: _Held | None = None

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
        self._held = self._read(member)

    def _read(self, member: str) -> _Held:
        params, arch = self._shelf.own(member), self._shelf.members.member(member).arch
        run = compile_static(self._shelf.net(member), arch, params, self._shape)
        return _Held(member, jax.block_until_ready(params), run)

    def dispatch(self, frame: chex.Array, member: str) -> jax.Array:
        """Run the member that is there.

        Raises:
            InputError: another one was asked for.
        """
        if self._held is None or self._held.member != member:
            raise InputError(f"member {member!r}: allowed is the one that was switched to last")
        return self._held.run(self._held.params, frame)

    def memory(self) -> Memory:
        """Of the member that takes most; switches to every one to find it."""
        each = []
        for name in self._shelf.names:
            self.switch(name)
            assert self._held is not None
            each.append(Model(self._held.params, compiled_executable(self._held.run)).memory())
        return max(each, key=lambda memory: memory.total)


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

    def _read(self, member: str) -> _Held:
        model = read_model(self._shelf, member, self._shape, self._cache)
        return _Held(member, model.params, model.executable.run)
