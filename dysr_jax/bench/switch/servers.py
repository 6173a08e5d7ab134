"""The ways to serve members that the experiment compares: the baselines, and all strategies by name."""

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dysr_jax import aot
from dysr_jax.aot import (
    ONNX_RUNTIME,
    Executable,
    ExecutableCache,
    Memory,
    executables_memory,
    find_provider,
    tree_bytes,
)
from dysr_jax.bench.switch.weights_store import WeightsStore
from dysr_jax.compiling import exact_options, jit
from dysr_jax.errors import InputError
from dysr_jax.fields import require
from dysr_jax.model import Arch, Params, compile_static, frame_program, layer_backend
from dysr_jax.runtime import (
    Bank,
    Chain,
    FrameShape,
    MemberLike,
    Members,
    OnnxBank,
    Server,
    resolve_all,
    resolver,
)
from dysr_jax.threads import in_threads


class Model(NamedTuple):
    """A member on its own: its weights and its executable, nothing shared with another one."""

    params: Params
    executable: Executable


class StoreServer(Server):
    """The base of the baselines: they serve the members of a store and no other archs; executables come from
    the cache, or are compiled and put there.
    """

    def __init__(self, store: WeightsStore, cache: ExecutableCache | None) -> None:
        self.bundle = store.bundle
        self._store, self._cache = store, cache
        self._resolve = resolver(store.bundle, members_only=True)
        self._shape: FrameShape = (0, 0)
        self._models: dict[str, Model] = {}  # those that are resident

    def prepare(self, shape: FrameShape, members: Members = None, *, warm_up: bool = True) -> None:
        """Get members (default: all) ready, as far as they can be ready at the same time."""
        names = [found.name for found in resolve_all(self.bundle, members, members_only=True)]
        self._shape = shape
        for name in self._get_ready(names):
            if warm_up:
                jax.block_until_ready(self.dispatch(np.zeros((*shape, 3), np.uint8), name))

    @abc.abstractmethod
    def _get_ready(self, names: Sequence[str]) -> Iterable[str]:
        """The members that are ready."""

    def _model(self, name: str, *, sized: bool = True) -> Model:
        """A member's weights and executable, from disk where they are there; `sized`: with the bytes of its
        code, which takes time to find that is no part of a switch.
        """
        params, arch, net = self._store.load_own(name), self.bundle.member(name).arch, self._store.net(name)
        if sized:
            executable = aot.static_executable(net, arch, params, self._shape, cache=self._cache)
        else:
            executable = Executable(compile_static(net, arch, params, self._shape), code_bytes=0)
        return Model(jax.block_until_ready(params), executable)

    def _not_ready(self, name: str) -> InputError:
        return InputError(f"member {name!r} is not prepared for any frame")


class Ensemble(StoreServer):
    """Every member is a model of its own, with its weights and its executable; all are resident."""

    def _get_ready(self, names: Sequence[str]) -> Iterable[str]:
        self._models |= zip(names, in_threads(self._model, names), strict=True)
        return names

    def dispatch(self, frame: chex.Array, member: MemberLike) -> jax.Array:
        """Run the member's executable over its own weights."""
        name = self._resolve(member).name
        model = self._models.get(name)
        if model is None:
            raise self._not_ready(name)
        return model.executable(model.params, frame)

    def memory(self) -> Memory:
        """All weights and all executables, and the largest workspace: one frame at a time."""
        models = self._models.values()
        weights = sum(tree_bytes(model.params) for model in models)
        return executables_memory(weights, [model.executable for model in models])


class Reload(StoreServer):
    """One member is resident: a switch drops it, and reads another one's weights and executable, which it
    compiles without a cache.
    """

    def _get_ready(self, names: Sequence[str]) -> Iterable[str]:
        """The first member, after the others, so that all executables are on disk."""
        for name in names[:1] if self._cache is None else reversed(names):
            self.switch(name)
            yield name
            if self._cache is not None and self._cache.loaded:  # an earlier start left them all on disk
                break

    def switch(self, member: MemberLike) -> None:
        """Drop the member that is resident, then read this one."""
        name = self._resolve(member).name
        if self._shape == (0, 0):
            raise self._not_ready(name)
        self._models.clear()
        self._models[name] = self._model(name, sized=self._cache is not None)

    def dispatch(self, frame: chex.Array, member: MemberLike) -> jax.Array:
        """Run a member, after a switch to it where another one is resident."""
        name = self._resolve(member).name
        if name not in self._models:
            self.switch(member)
        params, executable = self._models[name]
        return executable(params, frame)

    def memory(self) -> Memory:
        """The largest figure of any member, by kind; every member is read to find it."""
        each = [(tree_bytes(params), run) for params, run in map(self._model, self._store.names)]
        return Memory(
            weights=max(weights for weights, _ in each),
            executables=max(run.code_bytes for _, run in each),
            workspace=max(run.workspace for _, run in each),
        )


class LaxSwitch(StoreServer):
    """One executable over shared weights, whose `lax.switch` has the members' static programs as branches."""

    def __init__(self, store: WeightsStore, cache: ExecutableCache) -> None:
        super().__init__(store, cache)
        self._params = jax.device_put(store.load().params)
        self._numbers = jax.device_put({name: np.int32(i) for i, name in enumerate(store.names)})
        self._executable: Executable | None = None

    def _get_ready(self, names: Sequence[str]) -> Iterable[str]:
        """All members: each is a number that is on the device already."""
        net, program = self.bundle.net, frame_program(self.bundle.net)
        archs = [member.arch for member in self.bundle.members]

        def upscale(arch: Arch, params: Params, frame: chex.Array) -> chex.Array:
            return program(params, frame[None], arch)[0]

        def upscale_frame(params: Params, frame: chex.Array, number: chex.Array) -> chex.Array:
            branches = [functools.partial(upscale, arch) for arch in archs]
            return lax.switch(number, branches, params, frame)

        frame = jax.ShapeDtypeStruct((*self._shape, 3), jnp.uint8)
        arguments = self._params, frame, jax.ShapeDtypeStruct((), jnp.int32)

        def lower() -> jax.stages.Lowered:
            return jit(upscale_frame).lower(*arguments)

        slots = range(len(net.space.slots))
        used = [net.space.branches(slot)[arch[slot]] for arch in archs for slot in slots]
        key: aot.Parts = {
            "program": "lax.switch",
            "space": dataclasses.asdict(net.space),
            "archs": archs,
            "dtype": jnp.dtype(net.dtype).name,
            "options": exact_options(),
            "code": aot.branches_digest([*used, layer_backend(net.layers)]) or aot.lowered_digest(lower()),
            "layers": net.layers,
        }
        assert self._cache is not None
        self._executable = self._cache.get(key, arguments, lambda: lower().compile())
        return names

    def dispatch(self, frame: chex.Array, member: MemberLike) -> jax.Array:
        """Run the executable with the member's number."""
        name = self._resolve(member).name
        if self._executable is None:
            raise self._not_ready(name)
        return self._executable(self._params, frame, self._numbers[name])

    def memory(self) -> Memory:
        """The shared weights and the one executable."""
        return executables_memory(tree_bytes(self._params), [self._executable] if self._executable else [])


@dataclasses.dataclass(frozen=True)
class Strategy:
    """A way to serve the members of a store."""

    name: str  # as the command line and the tables call it
    make: Callable[[WeightsStore, ExecutableCache], Server]  # reads the weights that are resident
    cached: bool = True  # executables are kept on disk, so that a second start compiles nothing
    loads: bool = False  # a switch compiles, or loads from disk; else all that is needed is resident


_ALL = (
    Strategy("fused", lambda store, cache: Bank(store.load(), cache=cache, tune=False)),
    Strategy("chained", lambda store, cache: Chain(store.load(), cache=cache)),
    Strategy("lax_switch", LaxSwitch),
    Strategy("ensemble", Ensemble),
    Strategy("reload_cached", Reload, loads=True),
    Strategy("reload_compiled", lambda store, cache: Reload(store, None), cached=False, loads=True),
)

STRATEGIES: Final = {strategy.name: strategy for strategy in _ALL}
"""By name; each gets ready in a process of its own."""


def find_strategy(name: str) -> Strategy:
    """One of `STRATEGIES`, or ONNX Runtime's sessions by the name of a backend; else an InputError."""
    if name in STRATEGIES:
        return STRATEGIES[name]
    known = f"out of {', '.join(STRATEGIES)}, {ONNX_RUNTIME}, {ONNX_RUNTIME}:PROVIDER"
    require(name.partition(":")[0] == ONNX_RUNTIME, "strategies", name, known)
    find_provider(name)
    return Strategy(name, lambda store, cache: OnnxBank(store.load(), name), cached=False)
