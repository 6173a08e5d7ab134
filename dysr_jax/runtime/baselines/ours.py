"""The two ways of this package: a fused executable a member, and a chained one a branch."""

from typing import ClassVar

import chex
import jax

from dysr_jax.runtime.bank import Bank, FrameShape
from dysr_jax.runtime.baselines.shelf import Shelf
from dysr_jax.runtime.chained import Chain
from dysr_jax.runtime.executables import ExecutableCache
from dysr_jax.runtime.memory import Memory


class Fused:
    """A bank: one executable a member, over weights that all share."""

    name: ClassVar[str] = "fused"
    cached: ClassVar[bool] = True
    loads: ClassVar[bool] = False

    def __init__(self, shelf: Shelf, cache: ExecutableCache) -> None:
        self._bank = Bank(shelf.bundle(), cache=cache)

    def prepare(self, shape: FrameShape) -> None:
        """Compile every member, or load it from the cache."""
        self._bank.prepare(shape)

    def switch(self, member: str) -> None:
        """Nothing: the member is an argument of the next frame."""

    def dispatch(self, frame: chex.Array, member: str) -> jax.Array:
        """The bank's."""
        return self._bank.dispatch(frame, member)

    def memory(self) -> Memory:
        """The bank's."""
        return self._bank.memory()


class Chained:
    """A chain: one executable a branch, over the same weights."""

    name: ClassVar[str] = "chained"
    cached: ClassVar[bool] = True
    loads: ClassVar[bool] = False

    def __init__(self, shelf: Shelf, cache: ExecutableCache) -> None:
        self._chain = Chain(shelf.bundle(), cache=cache)
        self._archs = {member.name: member.arch for member in shelf.members.members}

    def prepare(self, shape: FrameShape) -> None:
        """Compile every branch that the shared weights hold, or load it from the cache."""
        self._chain.prepare(shape)

    def switch(self, member: str) -> None:
        """Nothing: the arch is an argument, and the next frame replaces the links that changed."""

    def dispatch(self, frame: chex.Array, member: str) -> jax.Array:
        """The chain's."""
        return self._chain.dispatch(frame, self._archs[member])

    def memory(self) -> Memory:
        """The chain's."""
        return self._chain.memory()
