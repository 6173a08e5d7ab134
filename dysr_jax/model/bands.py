"""The static program of an arch in bands of rows: what lies between its layers stays in a CPU's caches.

The network is cut into passes of a few branches each. A pass is a loop over windows of one height: a band of
output rows, and around it as many rows as its branches see. A window that touches the frame's border has the
border's zero padding; another one's outer rows are wrong, and cut off. So all pixels are those of the whole.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from chex import Array
from jax import lax

from dysr_jax.metrics import to_pixels, to_uint8
from dysr_jax.model import supernet
from dysr_jax.model.branches import Branch, Identity
from dysr_jax.model.kernels import cast_kernels
from dysr_jax.model.space import Arch, SearchSpace, arch_width
from dysr_jax.model.supernet import Params, Supernet

_HEAD_RADIUS = 1


class Bands(NamedTuple):
    """How a program is cut."""

    rows: int  # LR rows of a band
    branches: int  # body branches per pass


def can_band(space: SearchSpace, arch: Arch) -> bool:
    """Whether each branch of an arch sees a known number of rows, which attention does not."""
    width = arch_width(space, arch)
    return all(branch.radius(width, space.scale) is not None for _, branch in _running(space, arch))


def _running(space: SearchSpace, arch: Arch) -> list[tuple[int, Branch]]:
    """Slots and branches of an arch that compute something; the upsampler is last."""
    chosen = [(slot, space.branches(slot)[arch[slot]]) for slot in range(len(space.slots))]
    return [(slot, branch) for slot, branch in chosen if type(branch) is not Identity]


def banded_program(
    net: Supernet, bands: Bands, *, pixels: bool = False
) -> Callable[[Params, Array, Arch], Array]:
    """`(params, frames, arch) -> frames` as of `dysr_jax.model.programs.frame_program`, for static archs that
    `can_band` takes. With `pixels` frames are float32 in [0, 1], and what leaves is not clipped.
    """
    space = net.space
    enter, leave = (_same, _same) if pixels else (to_pixels, to_uint8)

    def branches(params: Params, part: list[tuple[int, Branch]], x: Array) -> Array:
        for slot, branch in part:
            stored = cast_kernels(params.get(supernet.slot_name(space, slot), {}), net.dtype)
            x = supernet.run_branch(net, branch, stored, x)
        return x

    def upscale_frames(params: Params, frames: Array, arch: Arch) -> Array:
        *body, last = _running(space, arch)
        width = arch_width(space, arch)

        def radius(part: list[tuple[int, Branch]]) -> int:
            return sum(branch.radius(width, space.scale) or 0 for _, branch in part)

        parts = [body[i : i + bands.branches] for i in range(0, len(body), bands.branches)] or [[]]

        def head(frames: Array) -> Array:
            kernels = cast_kernels(params["head"], net.dtype)
            x = supernet.run_head(kernels, enter(frames), net.dtype, width)
            return branches(params, parts[0], x)

        def tail(x: Array, frames: Array) -> Array:
            return leave(supernet.to_image(branches(params, [last], x), enter(frames), space.scale))

        if len(parts) == 1:
            halo = _HEAD_RADIUS + radius([*parts[0], last])
            return _in_bands(lambda f: tail(head(f), f), (frames,), bands.rows, halo, space.scale)
        x = _in_bands(head, (frames,), bands.rows, _HEAD_RADIUS + radius(parts[0]))
        for part in parts[1:-1]:
            x = _in_bands(lambda x, part=part: branches(params, part, x), (x,), bands.rows, radius(part))

        def end(x: Array, frames: Array) -> Array:
            return tail(branches(params, parts[-1], x), frames)

        return _in_bands(end, (x, frames), bands.rows, radius([*parts[-1], last]), space.scale)

    return upscale_frames


def _same(pixels: Array) -> Array:
    return pixels


def _in_bands(
    run: Callable[..., Array], inputs: tuple[Array, ...], rows: int, halo: int, scale: int = 1
) -> Array:
    """`run(*inputs)`, of arrays `[N, H, W, C]`, whose output has `scale * H` rows and sees `halo` rows."""
    height = inputs[0].shape[1]
    window = rows + 2 * halo
    if window >= height:
        return run(*inputs)
    made = jax.eval_shape(run, *inputs)

    def band(index: Array, out: Array) -> Array:
        first = jnp.minimum(index * rows, height - rows)  # the last band overlaps the one before
        start = jnp.clip(first - halo, 0, height - window)
        cut = [lax.dynamic_slice_in_dim(array, start, window, 1) for array in inputs]
        kept = lax.dynamic_slice_in_dim(run(*cut), (first - start) * scale, rows * scale, 1)
        return lax.dynamic_update_slice_in_dim(out, kept, first * scale, 1)

    return lax.fori_loop(0, -(-height // rows), band, jnp.zeros(made.shape, made.dtype))
