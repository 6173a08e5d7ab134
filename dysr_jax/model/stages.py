"""The static program in stages: the head, a program for each branch, the upsampler and what follows it.

They are made of the functions that the fused program is made of, cut where a slot begins and ends. One takes
the kernels that a slot stores and cuts out what it reads, so that slots that store the same shapes can share
an executable. The trunk goes from stage to stage on the device.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from dysr_jax.metrics import to_uint8
from dysr_jax.model.branches import Branch, Identity
from dysr_jax.model.kernels import Kernels, cast
from dysr_jax.model.programs import to_pixels
from dysr_jax.model.supernet import Params, Supernet, head, run_branch, slot_name, to_image

Stage = Callable[..., Any]
Shape = tuple[int, ...]


def head_stage(net: Supernet) -> Stage:
    """`(kernels, frames) -> (trunk, frames)`: `[H, W, 3]` or `[N, H, W, 3]` uint8 to `[N, H, W, C]`.

    The frames come back on the device for the upsampler's stage, so that they cross from the host once.
    """

    def run(kernels: Kernels, frames: chex.Array) -> tuple[chex.Array, chex.Array]:
        return head(cast(kernels, net.dtype), to_pixels(_batch(frames)), net.dtype), frames

    return run


def branch_stage(net: Supernet, branch: Branch) -> Stage:
    """`(kernels, trunk) -> trunk`: a body slot, `[N, H, W, C]` in the compute dtype."""

    def run(kernels: Kernels, x: chex.Array) -> chex.Array:
        return run_branch(net.space, branch, cast(kernels, net.dtype), x)

    return run


def upsampler_stage(net: Supernet, branch: Branch) -> Stage:
    """`(kernels, trunk, frames) -> frames`: `[s H, s W, 3]` or `[N, s H, s W, 3]` uint8, as the head's."""

    def run(kernels: Kernels, x: chex.Array, frames: chex.Array) -> chex.Array:
        x = run_branch(net.space, branch, cast(kernels, net.dtype), x)
        out = to_uint8(to_image(x, to_pixels(_batch(frames)), net.space.scale))
        return out.reshape(*frames.shape[:-3], *out.shape[1:])

    return run


def _batch(frames: chex.Array) -> chex.Array:
    """`[H, W, 3]` or `[N, H, W, 3]` to `[N, H, W, 3]`."""
    return frames.reshape(-1, *frames.shape[-3:])


def trunk_shape(net: Supernet, frame: Shape) -> Shape:
    """`(N, H, W, C)` of the trunk for frames of shape `[H, W, 3]` or `[N, H, W, 3]`."""
    return (*((1,) if len(frame) == 3 else frame[:1]), *frame[-3:-1], net.space.width)


class Key(NamedTuple):
    """What tells one executable from another. Slots that store the same shapes share their executables."""

    stage: str
    """`head`, or the registered name of a body branch or an upsampler."""
    kernels: tuple[tuple[str, Shape], ...]
    """Names and stored shapes of what it reads."""
    input: Shape
    """Of the trunk; for the head and the upsamplers, of the frames."""


class Part(NamedTuple):
    """A stage over the weights of one slot, not yet compiled."""

    key: Key
    kernels: Kernels
    """Whole, as the slot stores them, and not copied."""
    lower: Callable[[], jax.stages.Lowered]


def head_part(net: Supernet, params: Params, frame: Shape) -> Part:
    """The head for frames of shape `(H, W, 3)` or `(N, H, W, 3)`."""
    kernels = params["head"]
    program = jax.jit(head_stage(net))
    lower = functools.partial(program.lower, kernels, jax.ShapeDtypeStruct(frame, jnp.uint8))
    return Part(_key("head", kernels, frame), kernels, lower)


def branch_part(
    net: Supernet, params: Params, slot: int, index: int, frame: Shape, *, sharding: Any = None
) -> Part | None:
    """A branch of a slot for frames of this shape; None for identity, which runs nothing.

    The trunk is donated to a body branch, whose output takes its place. Nothing is donated to an
    upsampler: no output of its is of the trunk's shape.

    Args:
        net: gives space and compute dtype.
        params: hold what the branch reads.
        slot: its index, the upsampler's last.
        index: of the branch in the slot.
        frame: `(H, W, 3)` or `(N, H, W, 3)`.
        sharding: where an upsampler's output goes; None: the default memory of the device.
    """
    space = net.space
    branch, name = space.branches(slot)[index], space.slots[slot][index]
    if type(branch) is Identity:  # one derived from it may run something
        return None
    stored = params.get(slot_name(space, slot), {})
    kernels = {kernel: stored[kernel] for kernel in branch.reads(space.width, space.scale)}
    shape = trunk_shape(net, frame)
    x = jax.ShapeDtypeStruct(shape, net.dtype)
    if slot < len(space.body):
        program = jax.jit(branch_stage(net, branch), donate_argnums=1)
        return Part(
            _key(name, kernels, shape), kernels, functools.partial(program.lower, kernels, x)
        )
    last = jax.jit(upsampler_stage(net, branch), out_shardings=sharding)
    lr = jax.ShapeDtypeStruct(frame, jnp.uint8)
    return Part(_key(name, kernels, frame), kernels, functools.partial(last.lower, kernels, x, lr))


def _key(stage: str, kernels: Kernels, source: Shape) -> Key:
    return Key(stage, tuple((name, jnp.shape(kernel)) for name, kernel in kernels.items()), source)
