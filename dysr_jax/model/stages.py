"""The static program in stages: the head, a program for each branch, the upsampler and what follows it.

They are made of the functions that the fused program is made of, cut where a slot begins and ends. A stage
takes the kernels that a slot stores and cuts out what it reads, so that slots that store the same shapes can
share an executable. The trunk goes from stage to stage on the device.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from dysr_jax.compiling import Jitted, jit
from dysr_jax.device import host_memory
from dysr_jax.metrics import to_pixels, to_uint8
from dysr_jax.model.branches import Branch, Identity
from dysr_jax.model.kernels import Kernels, cast_kernels
from dysr_jax.model.programs import Output
from dysr_jax.model.supernet import Params, Supernet, run_branch, run_head, slot_name, to_image

Shape = tuple[int, ...]


def _batch(frames: chex.Array) -> chex.Array:
    """`[H, W, 3]` or `[N, H, W, 3]` to `[N, H, W, 3]`."""
    return frames.reshape(-1, *frames.shape[-3:])


class StageKey(NamedTuple):
    """What tells one executable of a supernet from another; slots that store the same shapes share theirs."""

    stage: str
    """`head`, or the registered name of a body branch or an upsampler."""
    kernels: tuple[tuple[str, Shape], ...]
    """Names and stored shapes of what it reads."""
    input: Shape
    """Of the trunk; for the head and the upsamplers, of the frames."""
    layers: str
    """The layer backend."""


class StageProgram(NamedTuple):
    """A stage over the weights of one slot, not yet compiled."""

    key: StageKey
    branch: Branch | None
    """None: the head."""
    program: Jitted
    arguments: tuple[Any, ...]
    """The kernels, whole as the slot stores them and not copied, and the shapes of what follows them."""
    result: Any = 0
    """A pytree of the structure of what the program returns."""

    @property
    def kernels(self) -> Kernels:
        """What the program reads."""
        return self.arguments[0]

    def lower(self) -> jax.stages.Lowered:
        """The program, traced, to be compiled."""
        return self.program.lower(*self.arguments)


def head_part(net: Supernet, params: Params, frame: Shape) -> StageProgram:
    """`(kernels, frames) -> (trunk, frames)`: uint8 `(H, W, 3)` or `(N, H, W, 3)` to `[N, H, W, C]`.

    The frames come back on the device for the upsampler's stage, so that they cross from the host once.
    """

    def run(kernels: Kernels, frames: chex.Array) -> tuple[chex.Array, chex.Array]:
        return run_head(cast_kernels(kernels, net.dtype), to_pixels(_batch(frames)), net.dtype), frames

    kernels = params["head"]
    arguments = (kernels, jax.ShapeDtypeStruct(frame, jnp.uint8))
    return StageProgram(_key(net, "head", kernels, frame), None, jit(run), arguments, result=(0, 0))


def branch_part(
    net: Supernet, params: Params, slot: int, index: int, frame: Shape, *, output: Output = "device"
) -> StageProgram | None:
    """The branch of this index in a slot (the upsampler's is last); None for identity, which runs nothing.

    A body branch is `(kernels, trunk) -> trunk`, `[N, H, W, C]` in the compute dtype; an upsampler is
    `(kernels, trunk, frames) -> frames`, with the result in the memory that `output` says. `params` hold what
    the branch reads, and `frame` is `(H, W, 3)` or `(N, H, W, 3)`.
    """
    space = net.space
    name, branch = space.slots[slot][index], space.branches(slot)[index]
    if type(branch) is Identity:  # one derived from it may run something
        return None

    def run(kernels: Kernels, x: chex.Array) -> chex.Array:
        return run_branch(net, branch, cast_kernels(kernels, net.dtype), x)

    def run_last(kernels: Kernels, x: chex.Array, frames: chex.Array) -> chex.Array:
        out = to_uint8(to_image(run(kernels, x), to_pixels(_batch(frames)), space.scale))
        return out.reshape(*frames.shape[:-3], *out.shape[1:])

    stored = params.get(slot_name(space, slot), {})
    kernels = {kernel: stored[kernel] for kernel in branch.reads(space.width, space.scale)}
    shape = (*((1,) if len(frame) == 3 else frame[:1]), *frame[-3:-1], space.width)
    trunk = jax.ShapeDtypeStruct(shape, net.dtype)
    if slot < len(space.body):
        # The output takes the place of the trunk, which is donated to it.
        program = jit(run, donate_argnums=1)
        return StageProgram(_key(net, name, kernels, shape), branch, program, (kernels, trunk))
    memory = host_memory() if output == "host" else None
    arguments = (kernels, trunk, jax.ShapeDtypeStruct(frame, jnp.uint8))
    program = jit(run_last, out_shardings=memory)
    return StageProgram(_key(net, name, kernels, frame), branch, program, arguments)


def _key(net: Supernet, stage: str, kernels: Kernels, source: Shape) -> StageKey:
    shapes = tuple((name, jnp.shape(kernel)) for name, kernel in kernels.items())
    return StageKey(stage, shapes, source, net.layers)
