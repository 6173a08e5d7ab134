"""One member is resident at a time: a switch drops it, and reads another one's weights and executable."""

from collections.abc import Sequence
from typing import Final

import chex
import jax
import numpy as np

from dysr_jax.aot import Executable, ExecutableCache, Memory, compiled_executable
from dysr_jax.bench.switch.weights_store import Model, WeightsStore, read_model
from dysr_jax.errors import InputError
from dysr_jax.model import compile_static
from dysr_jax.runtime import FrameShape, MemberLike, Server, resolve_all, resolver

UNKNOWN_BYTES: Final = 0
"""Of code: to find them out takes time that is no part of a switch."""


class Reload(Server):
    """Serves the members of a store, one resident at a time.

    Args:
        store: the members and their weights.
        cache: has the executables, so that a switch loads one. None: a switch compiles it.
    """

    def __init__(self, store: WeightsStore, cache: ExecutableCache | None) -> None:
        self.bundle = store.bundle
        self._store, self._cache = store, cache
        self._resolve = resolver(store.bundle, members_only=True)
        self._shape: FrameShape | None = None
        self._held: tuple[str, Model] | None = None

    def prepare(
        self, shape: FrameShape, members: Sequence[MemberLike] | None = None, *, warm_up: bool = True
    ) -> None:
        """Have every executable on disk, where there is a cache, and the first member resident."""
        names = [found.name for found in resolve_all(self.bundle, members, members_only=True)]
        self._shape = shape
        for name in names[:1] if self._cache is None else reversed(names):
            self.switch(name)
            if warm_up:
                jax.block_until_ready(self.dispatch(np.zeros((*shape, 3), np.uint8), name))
            if self._cache is not None and self._cache.loaded:  # an earlier start left them all on disk
                break

    def switch(self, member: MemberLike) -> None:
        """Drop the member that is resident, then read this one."""
        name = self._resolve(member).name
        self._held = None
        self._held = name, self._read(name)

    def dispatch(self, frame: chex.Array, member: MemberLike) -> jax.Array:
        """Run a member, after a switch to it where another one is resident."""
        if self._held is None or self._held[0] != self._resolve(member).name:
            self.switch(member)
        assert self._held is not None
        params, executable = self._held[1]
        return executable(params, frame)

    def memory(self) -> Memory:
        """The most that any member takes, of each kind; reads every one to find it."""
        models = (self._read(name) for name in self._store.names)
        if self._cache is None:
            models = (Model(params, compiled_executable(found.compiled)) for params, found in models)
        return Memory(
            *(max(kind) for kind in zip(*(_kinds(model.memory()) for model in models), strict=True))
        )

    def _read(self, member: str) -> Model:
        if self._shape is None:
            raise InputError(f"member {member!r} is not prepared for any frame")
        if self._cache is not None:
            return read_model(self._store, member, self._shape, self._cache)
        params, arch = self._store.load_own(member), self.bundle.member(member).arch
        run = compile_static(self._store.net(member), arch, params, self._shape)
        return Model(jax.block_until_ready(params), Executable(run, UNKNOWN_BYTES))


def _kinds(memory: Memory) -> tuple[int, int, int]:
    return memory.weights, memory.executables, memory.workspace
