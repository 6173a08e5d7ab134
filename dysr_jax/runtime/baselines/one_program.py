"""All members as branches of one `lax.switch`: one executable, shared weights, and a member is a number."""

import dataclasses
import functools
from typing import ClassVar

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dysr_jax.compiling import exact_options, jit
from dysr_jax.model.programs import frame_program
from dysr_jax.model.supernet import Params
from dysr_jax.runtime.bank import FrameShape
from dysr_jax.runtime.baselines.shelf import Shelf
from dysr_jax.runtime.bundle import Bundle
from dysr_jax.runtime.executables import Executable, ExecutableCache
from dysr_jax.runtime.fingerprint import Parts, branches_digest, lowered_digest
from dysr_jax.runtime.memory import Memory, tree_bytes, workspace_bytes
from dysr_jax.space import Arch


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


def _executable(
    bundle: Bundle, params: Params, shape: FrameShape, cache: ExecutableCache
) -> Executable:
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
    code = branches_digest(used) or lowered_digest(lower())
    key: Parts = {
        "program": "lax.switch",
        "space": dataclasses.asdict(net.space),
        "archs": archs,
        "dtype": jnp.dtype(net.dtype).name,
        "options": exact_options(),
        "code": code,
    }
    return cache.get(key, arguments, lambda: lower().compile())
