"""The search program of a population: a schedule of tiles, one executable for the whole space; and PSNR-Y of
images.

The supernet's own search program takes one arch; this one takes many, in the order of their schedule. Axes: N
candidates, P patches, H rows and W columns of LR pixels, C channels, K candidates of a tile, s the scale, S
the `s * s` sub-pixels of an LR pixel.
"""

import functools
import math
from collections.abc import Callable, Sequence

import chex
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dysr_jax.compiling import jit
from dysr_jax.data import Pair, bicubic_upscale
from dysr_jax.errors import InputError
from dysr_jax.metrics import PSNR_CAP_DB, luma, psnr_y, to_pixels, to_uint8
from dysr_jax.model import (
    BODY,
    Arch,
    Kernels,
    Params,
    SearchSpace,
    Supernet,
    add_skip,
    frame_program,
    run_branch,
    run_head,
    slot_name,
    stack_kernels,
    union_specs,
)
from dysr_jax.search.schedule import Plan, Schedule, Tiles, body_branches


@flax.struct.dataclass(eq=False)
class Patches:
    """Validation patches; `image` says which photograph each is from."""

    lr: chex.Array
    """`[P, p, p, 3]` uint8."""
    hr: chex.Array
    """`[P, s p, s p, 3]` uint8."""
    image: chex.Array
    """int32 `[P]`."""


def grid_patches(pairs: Sequence[Pair], count: int, side: int) -> Patches:
    """`count` patches of `side` LR pixels on an even grid over the validation images, the same at each call.

    Every image gives as many as the others, one at least.

    Raises:
        InputError: an image is smaller than a patch.
    """
    scale = pairs[0].hr.shape[0] // pairs[0].lr.shape[0]
    lr, hr, image = [], [], []
    each = max(1, count // len(pairs))
    for number, pair in enumerate(pairs):
        free = [length - side for length in pair.lr.shape[:2]]
        if min(free) < 0:
            raise InputError(
                f"validation image {pair.name!r}: LR {pair.lr.shape[:2]} is smaller than a patch; "
                f"search.patch must be at most {min(pair.lr.shape[:2])}, got {side}"
            )
        rows = int(np.ceil(np.sqrt(each)))
        for i in range(each):
            row = round(free[0] * (i // rows) / max(1, (each - 1) // rows))
            column = round(free[1] * (i % rows) / max(1, rows - 1))
            lr.append(pair.lr[row : row + side, column : column + side])
            top, left, size = row * scale, column * scale, side * scale
            hr.append(pair.hr[top : top + size, left : left + size])
            image.append(number)
    return Patches(jnp.asarray(np.stack(lr)), jnp.asarray(np.stack(hr)), jnp.asarray(image, jnp.int32))


def bicubic_psnr_y(pairs: Sequence[Pair], scale: int) -> float:
    """Mean PSNR-Y in dB of MATLAB's bicubic upscaling."""
    each = [psnr_y(bicubic_upscale(p.lr, scale), p.hr, scale) for p in pairs]
    return float(np.mean(np.minimum(each, PSNR_CAP_DB)))


def archs_psnr_y(net: Supernet, params: Params, archs: Sequence[Arch], pairs: Sequence[Pair]) -> list[float]:
    """Mean PSNR-Y in dB of each arch over whole images.

    By the search program, so an image shape compiles once and not once per arch.
    """
    program, scale = frame_program(net), net.space.scale

    @jit
    def quality(params: Params, arch: jax.Array, lr: jax.Array, hr: jax.Array) -> jax.Array:
        return jnp.minimum(psnr_y(program(params, lr[None], arch)[0], hr, scale), PSNR_CAP_DB)

    genes = [jnp.asarray(arch, jnp.int32) for arch in archs]
    images = [(jnp.asarray(pair.lr), jnp.asarray(pair.hr)) for pair in pairs]
    each = [[quality(params, arch, lr, hr) for lr, hr in images] for arch in genes]
    return [float(np.mean(jax.device_get(values))) for values in each]


# ruff: noqa: N803, N806 (axes stand in names)


OVERHEAD_PIXELS = 83_000
"""What beginning a tile costs (launches, the conditional's index), in LR pixels of a mean branch's work:
about 60 us against 0.72 ns per pixel, on an H200 at width 64."""

Compute = Callable[[chex.Array, chex.Array, chex.Array], chex.Array]
"""`(branch, slot, [K, ...]) -> [K, ...]`."""


def best_tile(space: SearchSpace, population: int, patches: Patches) -> int:
    """Candidates that go through a branch together. On a CPU one: there is nothing to amortise.

    A slot takes `population / tile` full tiles and half a tile more per branch, so the cost is least where
    beginning tiles costs as much as their padding.
    """
    if jax.default_backend() == "cpu":
        return 1
    branches = max(1, len(body_branches(space)))
    pixels = patches.lr.size // 3
    best = math.sqrt(2 * population * OVERHEAD_PIXELS / (branches * pixels))
    return min(population, max(1, round(best)))


def row_bytes(net: Supernet, patches: Patches) -> int:
    """Bytes of the trunk's activations of one candidate."""
    return patches.lr.size // 3 * net.space.width * jnp.dtype(net.dtype).itemsize


def population_program(net: Supernet, plan: Plan) -> Callable[[Params, Schedule, Patches], chex.Array]:
    """`(params, schedule, patches) -> [N, P]`: the luma MSE of each candidate's patches."""

    def evaluate(params: Params, schedule: Schedule, patches: Patches) -> chex.Array:
        params = jax.tree.map(lambda leaf: leaf.astype(net.dtype), params)
        lr_PxHxWx3 = to_pixels(patches.lr)
        trunk_PxHxWxC = run_head(params["head"], lr_PxHxWx3, net.dtype)
        store = jnp.zeros((plan.rows, *trunk_PxHxWxC.shape), net.dtype).at[0].set(trunk_PxHxWxC)
        store = _run(schedule.body, store, store, _body(net, params))
        errors_NxP = jnp.zeros((plan.population, len(lr_PxHxWx3)), jnp.float32)
        return _run(schedule.tail, store, errors_NxP, _tail(net, params, lr_PxHxWx3, patches.hr))

    return evaluate


def _run(tiles: Tiles, source: chex.Array, target: chex.Array, compute: Compute) -> chex.Array:
    """Tiles in order, from rows of `source` to rows of `target`; these may be the same array."""
    inside = source is target

    def step(index: chex.Array, rows: chex.Array) -> chex.Array:
        x = (rows if inside else source)[tiles.source[index]]
        y = compute(tiles.branch[index], tiles.slot[index], x)
        return rows.at[tiles.target[index]].set(y, mode="drop", unique_indices=True)

    return lax.fori_loop(0, tiles.count, step, target)


def _body(net: Supernet, params: Params) -> Compute:
    """The branches of all body slots, on `[K, P, H, W, C]`."""
    space = net.space
    names = body_branches(space)
    reads = {name: BODY[name].reads(space.width, space.scale) for name in names}
    slots = [params.get(slot_name(space, slot), {}) for slot in range(len(space.body))]
    stacked = stack_kernels(slots, union_specs(reads.values()))

    def run(name: str, slot: chex.Array, x: chex.Array) -> chex.Array:
        kernels: Kernels = {
            kernel: lax.dynamic_index_in_dim(stacked[kernel], slot, keepdims=False) for kernel in reads[name]
        }
        return run_branch(net, BODY[name], kernels, x)

    runs = [functools.partial(run, name) for name in names]

    def compute(branch: chex.Array, slot: chex.Array, x_KxPxHxWxC: chex.Array) -> chex.Array:
        if not runs:  # identities only: there are no tiles
            return x_KxPxHxWxC
        flat = x_KxPxHxWxC.reshape(-1, *x_KxPxHxWxC.shape[2:])
        return lax.switch(branch, runs, slot, flat).reshape(x_KxPxHxWxC.shape)

    return compute


def _tail(net: Supernet, params: Params, lr_PxHxWx3: chex.Array, hr: chex.Array) -> Compute:
    """The upsamplers, from activations `[K, P, H, W, C]` to the luma MSE `[K, P]`."""
    space = net.space
    last = len(space.body)
    kernels = params[slot_name(space, last)]
    truth_PxHxWxS = _subpixel_luma(hr, space.scale)

    def run(number: int, x_KxPxHxWxC: chex.Array) -> chex.Array:
        branch = space.branches(last)[number]
        flat = run_branch(net, branch, kernels, x_KxPxHxWxC.reshape(-1, *x_KxPxHxWxC.shape[2:]))
        pixels = to_uint8(add_skip(flat, jnp.tile(lr_PxHxWx3, (len(x_KxPxHxWxC), 1, 1, 1)), space.scale))
        shown = luma(pixels.reshape(*pixels.shape[:-1], -1, 3)).reshape(*x_KxPxHxWxC.shape[:4], -1)
        # One LR pixel off each side is `scale` HR pixels: the metric's border.
        error_KxPxHxWxS = (shown - truth_PxHxWxS)[:, :, 1:-1, 1:-1]
        return jnp.mean(jnp.square(error_KxPxHxWxS), (2, 3, 4))

    runs = [functools.partial(run, number) for number in range(len(space.upsamplers))]
    return lambda branch, slot, x: lax.switch(branch, runs, x)


def _subpixel_luma(hr: chex.Array, scale: int) -> chex.Array:
    """Luma of HR patches in the layout of the upsampler: `[P, s H, s W, 3]` to `[P, H, W, S]`."""
    count, rows, columns, _ = hr.shape
    split = luma(hr).reshape(count, rows // scale, scale, columns // scale, scale)
    return split.transpose(0, 1, 3, 2, 4).reshape(count, rows // scale, columns // scale, -1)
