"""What every way to serve members can do, so that a benchmark treats all alike.

The members as separate models, all of them resident.

All members as branches of one `lax.switch`: one executable, shared weights, and a member is a number.

The two ways of this package: a fused executable a member, and a chained one a branch.

The servers by name, in the order of the tables.
"""

import dataclasses
import functools
from typing import ClassVar, Final, Protocol

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dysr_jax.aot import (
    Executable,
    ExecutableCache,
    Memory,
    Parts,
    branches_digest,
    lowered_digest,
    tree_bytes,
    workspace_bytes,
)
from dysr_jax.bench.switch.reload import Model, ReloadCached, ReloadCompiled, Shelf, read_model
from dysr_jax.bundle import Bundle
from dysr_jax.compiling import exact_options, jit
from dysr_jax.model import Arch, Params, frame_program, layer_backend
from dysr_jax.runtime import Bank, Chain, FrameShape
from dysr_jax.threads import in_threads


class Server(Protocol):
    """Serves the members of a shelf, one frame at a time."""

    name: ClassVar[str]
    """As the command line and the tables call it."""
    cached: ClassVar[bool]
    """Whether executables are kept on disk, so that a second start compiles nothing."""
    loads: ClassVar[bool]
    """Whether a switch compiles, or loads from disk. Where it does not, all that is needed is resident."""

    def __init__(self, shelf: Shelf, cache: ExecutableCache) -> None:
        """Read the weights that are resident; compiled executables go to the cache, if any are kept."""
        ...

    def prepare(self, shape: FrameShape) -> None:
        """Do all that can be done before the first frame of LR rows and columns `shape`."""
        ...

    def switch(self, member: str) -> None:
        """Do all that has to happen before a frame can be dispatched to another member."""
        ...

    def dispatch(self, frame: chex.Array, member: str) -> jax.Array:
        """Start to upscale `[H, W, 3]` uint8 to `[s H, s W, 3]` uint8, which stays on the device.

        Args:
            frame: of the prepared shape.
            member: the one that was switched to last.
        """
        ...

    def memory(self) -> Memory:
        """Of what is held now; of a server that reloads, the most that any member takes."""
        ...


class Ensemble:
    """Every member with its own weights and its own executable."""

    name: ClassVar[str] = "ensemble"
    cached: ClassVar[bool] = True
    loads: ClassVar[bool] = False

    def __init__(self, shelf: Shelf, cache: ExecutableCache) -> None:
        self._shelf, self._cache = shelf, cache
        self._models: dict[str, Model] = {}

    def prepare(self, shape: FrameShape) -> None:
        """Read all weights; compile all executables in threads, or load them; run each once."""
        names = self._shelf.names
        models = in_threads(lambda n: read_model(self._shelf, n, shape, self._cache), names)
        self._models = dict(zip(names, models, strict=True))
        blank = np.zeros((*shape, 3), np.uint8)
        for name in names:
            self.dispatch(blank, name).block_until_ready()

    def switch(self, member: str) -> None:
        """Nothing: every member is resident."""

    def dispatch(self, frame: chex.Array, member: str) -> jax.Array:
        """Run the member's executable over its own weights."""
        model = self._models[member]
        return model.executable(model.params, frame)

    def memory(self) -> Memory:
        """All weights and all executables, and the largest workspace: one frame at a time."""
        each = [model.memory() for model in self._models.values()]
        return Memory(
            weights=sum(memory.weights for memory in each),
            executables=sum(memory.executables for memory in each),
            workspace=max((memory.workspace for memory in each), default=0),
        )


class LaxSwitch:
    """One executable, whose branches are the members' static programs."""

    name: ClassVar[str] = "lax_switch"
    cached: ClassVar[bool] = True
    loads: ClassVar[bool] = False

    def __init__(self, shelf: Shelf, cache: ExecutableCache) -> None:
        self._bundle, self._cache = shelf.bundle(), cache
        self._params = jax.device_put(self._bundle.params)
        numbers = {name: np.int32(i) for i, name in enumerate(shelf.names)}
        self._numbers = jax.device_put(numbers)
        self._executable: Executable | None = None

    def prepare(self, shape: FrameShape) -> None:
        """Compile the one executable, or load it, and run every branch once."""
        self._executable = _executable(self._bundle, self._params, shape, self._cache)
        blank = np.zeros((*shape, 3), np.uint8)
        for name in self._numbers:
            self.dispatch(blank, name).block_until_ready()

    def switch(self, member: str) -> None:
        """Nothing: the member's number is on the device already."""

    def dispatch(self, frame: chex.Array, member: str) -> jax.Array:
        """Run the executable with the member's number."""
        assert self._executable is not None, "prepare comes first"
        return self._executable(self._params, frame, self._numbers[member])

    def memory(self) -> Memory:
        """Of the shared weights and the one executable."""
        weights = tree_bytes(self._params)
        if self._executable is None:
            return Memory(weights, 0, 0)
        workspace = workspace_bytes(self._executable.compiled, weights)
        return Memory(weights, self._executable.code_bytes, workspace)


def _executable(bundle: Bundle, params: Params, shape: FrameShape, cache: ExecutableCache) -> Executable:
    """`(weights, frame, number) -> frame`."""
    net, program = bundle.net, frame_program(bundle.net)
    archs = [member.arch for member in bundle.members]

    def upscale(arch: Arch, params: Params, frame: chex.Array) -> chex.Array:
        return program(params, frame[None], arch)[0]

    def upscale_frame(params: Params, frame: chex.Array, number: chex.Array) -> chex.Array:
        branches = [functools.partial(upscale, arch) for arch in archs]
        return lax.switch(number, branches, params, frame)

    frame = jax.ShapeDtypeStruct((*shape, 3), jnp.uint8)
    arguments = params, frame, jax.ShapeDtypeStruct((), jnp.int32)

    def lower() -> jax.stages.Lowered:
        return jit(upscale_frame).lower(*arguments)

    used = [net.space.branches(slot)[i] for arch in archs for slot, i in enumerate(arch)]
    code = branches_digest([*used, layer_backend(net.layers)]) or lowered_digest(lower())
    key: Parts = {
        "program": "lax.switch",
        "space": dataclasses.asdict(net.space),
        "archs": archs,
        "dtype": jnp.dtype(net.dtype).name,
        "layers": net.layers,
        "options": exact_options(),
        "code": code,
    }
    return cache.get(key, arguments, lambda: lower().compile())


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


_ALL: Final[tuple[type[Server], ...]] = (
    *(Fused, Chained),
    *(LaxSwitch, Ensemble, ReloadCached, ReloadCompiled),
)

STRATEGIES: Final = {kind.name: kind for kind in _ALL}
