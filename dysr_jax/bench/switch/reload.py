"""One member is there at a time: a switch drops it, and reads another one's weights and executable.

The weights on disk that servers start from: one file of what members share, one of each member's own.

A member as a model of its own: its weights, its executable, nothing shared with another member.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

import chex
import jax
import numpy as np

from dysr_jax.aot import (
    Executable,
    ExecutableCache,
    Memory,
    compiled_executable,
    static_executable,
    tree_bytes,
    workspace_bytes,
)
from dysr_jax.bundle import Bundle
from dysr_jax.errors import InputError
from dysr_jax.model import (
    Params,
    Supernet,
    compact_params,
    compile_static,
    params_from_bytes,
    params_to_bytes,
)
from dysr_jax.runtime import FrameShape

SHARED: Final = "shared.safetensors"


@dataclasses.dataclass(frozen=True)
class Shelf:
    """Where the weights of some members lie. Holds no arrays, so it can be sent to another process."""

    folder: pathlib.Path
    members: Bundle
    """The members without their weights (`params` is empty)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the members, fastest first."""
        return tuple(member.name for member in self.members.members)

    def bundle(self) -> Bundle:
        """The members with the weights that they share, read from disk."""
        params = params_from_bytes((self.folder / SHARED).read_bytes())
        return dataclasses.replace(self.members, params=params)

    def own(self, member: str) -> Params:
        """A member's own weights, cut out and shared with no other, read from disk to the device."""
        return jax.device_put(params_from_bytes(self.file(member).read_bytes()))

    def net(self, member: str) -> Supernet:
        """The network that holds one member's weights and no other's."""
        alone = (self.members.member(member),)
        return dataclasses.replace(self.members, members=alone).net

    def file(self, member: str) -> pathlib.Path:
        """Where a member's own weights lie."""
        return self.folder / f"{self.names.index(member):02d}.safetensors"


def write_shelf(folder: pathlib.Path, bundle: Bundle, names: Sequence[str]) -> Shelf:
    """Write the weights of members of a bundle into a folder that is there.

    Args:
        folder: an empty one.
        bundle: has the members.
        names: of the members; weights that only others read are left out.

    Raises:
        InputError: no such member.
    """
    members = tuple(bundle.member(name) for name in names)
    space, archs = bundle.space, [member.arch for member in members]
    shelf = Shelf(folder, dataclasses.replace(bundle, members=members, params={}))
    (folder / SHARED).write_bytes(params_to_bytes(compact_params(bundle.params, space, archs)))
    for member in members:
        own = compact_params(bundle.params, space, [member.arch])
        shelf.file(member.name).write_bytes(params_to_bytes(own))
    return shelf


class Model(NamedTuple):
    """Weights and the executable that reads them."""

    params: Params
    executable: Executable

    def memory(self) -> Memory:
        """Of this model alone."""
        weights = tree_bytes(self.params)
        workspace = workspace_bytes(self.executable.compiled, weights)
        return Memory(weights, self.executable.code_bytes, workspace)


def read_model(shelf: Shelf, member: str, shape: FrameShape, cache: ExecutableCache) -> Model:
    """A member's weights from disk, and its executable from the cache, or compiled if it is not there."""
    params, arch = shelf.own(member), shelf.members.member(member).arch
    executable = static_executable(shelf.net(member), arch, params, shape, cache=cache)
    jax.block_until_ready(params)
    return Model(params, executable)


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
