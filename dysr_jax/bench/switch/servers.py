"""The ways to serve members that the experiment compares, by name, in the order of the tables."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Final

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
from dysr_jax.bench.switch.reload import Reload
from dysr_jax.bench.switch.weights_store import Model, WeightsStore, read_model
from dysr_jax.compiling import exact_options, jit
from dysr_jax.errors import InputError
from dysr_jax.model import Arch, Params, frame_program
from dysr_jax.runtime import Bank, Chain, FrameShape, MemberLike, Server, resolve_all, resolver
from dysr_jax.threads import in_threads


class Ensemble(Server):
    """Every member is a model of its own, with its weights and its executable; all are resident."""

    def __init__(self, store: WeightsStore, cache: ExecutableCache) -> None:
        self.bundle = store.bundle
        self._store, self._cache = store, cache
        self._resolve = resolver(store.bundle, members_only=True)
        self._models: dict[str, Model] = {}

    def prepare(
        self, shape: FrameShape, members: Sequence[MemberLike] | None = None, *, warm_up: bool = True
    ) -> None:
        """Read the members' weights; compile their executables in threads, or load them."""
        names = [found.name for found in resolve_all(self.bundle, members, members_only=True)]
        models = in_threads(lambda name: read_model(self._store, name, shape, self._cache), names)
        self._models |= zip(names, models, strict=True)
        for name in names if warm_up else ():
            jax.block_until_ready(self.dispatch(np.zeros((*shape, 3), np.uint8), name))

    def dispatch(self, frame: chex.Array, member: MemberLike) -> jax.Array:
        """Run the member's executable over its own weights."""
        name = self._resolve(member).name
        model = self._models.get(name)
        if model is None:
            raise InputError(f"member {name!r} is not prepared for any frame")
        return model.executable(model.params, frame)

    def memory(self) -> Memory:
        """All weights and all executables, and the largest workspace: one frame at a time."""
        each = [model.memory() for model in self._models.values()]
        return Memory(
            weights=sum(memory.weights for memory in each),
            executables=sum(memory.executables for memory in each),
            workspace=max((memory.workspace for memory in each), default=0),
        )


class LaxSwitch(Server):
    """One executable over shared weights, whose `lax.switch` has the members' static programs as branches."""

    def __init__(self, store: WeightsStore, cache: ExecutableCache) -> None:
        self.bundle, self._cache = store.load(), cache
        self._resolve = resolver(store.bundle, members_only=True)
        self._params = jax.device_put(self.bundle.params)
        self._numbers = jax.device_put({name: np.int32(i) for i, name in enumerate(store.names)})
        self._executable: Executable | None = None

    def prepare(
        self, shape: FrameShape, members: Sequence[MemberLike] | None = None, *, warm_up: bool = True
    ) -> None:
        """Compile the one executable of all members, or load it, and run these members' branches."""
        found = resolve_all(self.bundle, members, members_only=True)
        self._executable = self._compiled(shape)
        for name, _ in found if warm_up else ():
            jax.block_until_ready(self.dispatch(np.zeros((*shape, 3), np.uint8), name))

    def dispatch(self, frame: chex.Array, member: MemberLike) -> jax.Array:
        """Run the executable with the member's number, which is on the device already."""
        name = self._resolve(member).name
        if self._executable is None:
            raise InputError(f"member {name!r} is not prepared for any frame")
        return self._executable(self._params, frame, self._numbers[name])

    def memory(self) -> Memory:
        """The shared weights and the one executable."""
        weights = tree_bytes(self._params)
        if self._executable is None:
            return Memory(weights, 0, 0)
        workspace = workspace_bytes(self._executable.compiled, weights)
        return Memory(weights, self._executable.code_bytes, workspace)

    def _compiled(self, shape: FrameShape) -> Executable:
        """`(weights, frame, number) -> frame`."""
        net, program = self.bundle.net, frame_program(self.bundle.net)
        archs = [member.arch for member in self.bundle.members]

        def upscale(arch: Arch, params: Params, frame: chex.Array) -> chex.Array:
            return program(params, frame[None], arch)[0]

        def upscale_frame(params: Params, frame: chex.Array, number: chex.Array) -> chex.Array:
            branches = [functools.partial(upscale, arch) for arch in archs]
            return lax.switch(number, branches, params, frame)

        frame = jax.ShapeDtypeStruct((*shape, 3), jnp.uint8)
        arguments = self._params, frame, jax.ShapeDtypeStruct((), jnp.int32)

        def lower() -> jax.stages.Lowered:
            return jit(upscale_frame).lower(*arguments)

        used = [net.space.branches(slot)[i] for arch in archs for slot, i in enumerate(arch)]
        key: Parts = {
            "program": "lax.switch",
            "space": dataclasses.asdict(net.space),
            "archs": archs,
            "dtype": jnp.dtype(net.dtype).name,
            "options": exact_options(),
            "code": branches_digest(used) or lowered_digest(lower()),
        }
        return self._cache.get(key, arguments, lambda: lower().compile())


@dataclasses.dataclass(frozen=True)
class Strategy:
    """A way to serve the members of a store."""

    name: str
    """As the command line and the tables call it."""
    make: Callable[[WeightsStore, ExecutableCache], Server]
    """Reads the weights that are resident; executables go to the cache, if any are kept."""
    cached: bool = True
    """Whether executables are kept on disk, so that a second start compiles nothing."""
    loads: bool = False
    """Whether a switch compiles, or loads from disk. Where it does not, all that is needed is resident."""


_ALL: Final = (
    Strategy("fused", lambda store, cache: Bank(store.load(), cache=cache)),
    Strategy("chained", lambda store, cache: Chain(store.load(), cache=cache)),
    Strategy("lax_switch", LaxSwitch),
    Strategy("ensemble", Ensemble),
    Strategy("reload_cached", Reload, loads=True),
    Strategy("reload_compiled", lambda store, cache: Reload(store, None), cached=False, loads=True),
)

STRATEGIES: Final = {strategy.name: strategy for strategy in _ALL}
