# ruff: noqa: N803, N806 (axes stand in names)
"""The search program of a population: a schedule of tiles, one executable for all archs of a width; and
PSNR-Y of images.

The supernet's own search program takes one arch; this one takes many of one width, in the order of their
schedule. Axes: N candidates, P patches, H rows and W columns of LR pixels, C channels, K candidates of a
tile, s the scale, S the `s * s` sub-pixels of an LR pixel.
"""

import functools
import math
from collections.abc import Callable, Sequence

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from chex import Array
from jax import lax

from dysr_jax import model
from dysr_jax.compiling import jit
from dysr_jax.data import Pair, bicubic_upscale
from dysr_jax.errors import InputError
from dysr_jax.metrics import PSNR_CAP_DB, luma, psnr_y, to_pixels, to_uint8
from dysr_jax.model import Arch, Params, SearchSpace, Supernet, run_branch
from dysr_jax.search.schedule import Plan, Schedule, Tiles, body_branches


@flax.struct.dataclass(eq=False)
class Patches:
    """Validation patches; `image` says which photograph each is from."""

    lr: Array  # `[P, p, p, 3]` uint8
    hr: Array  # `[P, s p, s p, 3]` uint8
    image: Array  # int32 `[P]`


def grid_patches(pairs: Sequence[Pair], count: int, side: int) -> Patches:
    """`count` patches of `side` LR pixels on an even grid over the validation images, the same at each call.

    Every image gives as many as the others, at least one. Raises `InputError`: one is smaller than a patch.
    """
    scale = pairs[0].hr.shape[0] // pairs[0].lr.shape[0]
    lr: list[np.ndarray] = []
    hr: list[np.ndarray] = []
    image = []
    each = max(1, count // len(pairs))
    rows = int(np.ceil(np.sqrt(each)))
    for number, pair in enumerate(pairs):
        free = [length - side for length in pair.lr.shape[:2]]
        if min(free) < 0:
            raise InputError(
                f"validation image {pair.name!r}: LR {pair.lr.shape[:2]} is smaller than a patch; "
                f"search.patch must be at most {min(pair.lr.shape[:2])}, got {side}"
            )
        for i in range(each):
            top = round(free[0] * (i // rows) / max(1, (each - 1) // rows))
            left = round(free[1] * (i % rows) / max(1, rows - 1))
            for cut, whole, s in ((lr, pair.lr, 1), (hr, pair.hr, scale)):
                cut.append(whole[top * s : (top + side) * s, left * s : (left + side) * s])
            image.append(number)
    return Patches(jnp.asarray(np.stack(lr)), jnp.asarray(np.stack(hr)), jnp.asarray(image, jnp.int32))


def bicubic_psnr_y(pairs: Sequence[Pair], scale: int) -> float:
    """Mean PSNR-Y in dB of MATLAB's bicubic upscaling."""
    each = [psnr_y(bicubic_upscale(p.lr, scale), p.hr, scale) for p in pairs]
    return float(np.mean(np.minimum(each, PSNR_CAP_DB)))


def archs_psnr_y(net: Supernet, params: Params, archs: Sequence[Arch], pairs: Sequence[Pair]) -> list[float]:
    """Mean PSNR-Y in dB of each arch over whole images, by the search programs of the widths that occur: each
    compiles once per shape.
    """
    scale, slots = net.space.scale, len(net.space.slots)

    @functools.partial(jit, static_argnames="width")
    def quality(params: Params, width: int, arch: jax.Array, lr: jax.Array, hr: jax.Array) -> jax.Array:
        narrow = model.narrow_supernet(net, width)
        shown = model.frame_program(narrow)(model.cut_params(params, narrow.space), lr[None], arch)[0]
        return jnp.minimum(psnr_y(shown, hr, scale), PSNR_CAP_DB)

    genes = [(model.arch_width(net.space, arch), jnp.asarray(arch[:slots], jnp.int32)) for arch in archs]
    images = [(jnp.asarray(pair.lr), jnp.asarray(pair.hr)) for pair in pairs]
    each = [[quality(params, width, arch, lr, hr) for lr, hr in images] for width, arch in genes]
    return [float(np.mean(jax.device_get(values))) for values in each]


OVERHEAD_PIXELS = 83_000
"""What beginning a tile costs (launches, the conditional's index), in LR pixels of a mean branch's work:
about 60 us against 0.72 ns per pixel, on an H200 at width 64."""

Compute = Callable[[Array, Array, Array], Array]  # `(branch, slot, [K, ...]) -> [K, ...]`


def best_tile(space: SearchSpace, population: int, patches: Patches) -> int:
    """Candidates that go through a branch together. On a CPU one: there is nothing to amortise.

    A slot takes `population / tile` full tiles and half a tile more per branch, so the cost is least where
    beginning tiles costs as much as their padding.
    """
    if jax.default_backend() == "cpu":
        return 1
    work = max(1, len(body_branches(space))) * (patches.lr.size // 3)
    return min(population, max(1, round(math.sqrt(2 * population * OVERHEAD_PIXELS / work))))


def row_bytes(net: Supernet, patches: Patches, width: int) -> int:
    """Bytes of the activations of one candidate, whose trunk has `width` channels."""
    return patches.lr.size // 3 * width * jnp.dtype(net.dtype).itemsize


def population_program(net: Supernet, plan: Plan) -> Callable[[Params, Schedule, Patches], Array]:
    """`(params, schedule, patches) -> [N, P]`: the luma MSE of each candidate's patches.

    `params` are those of the whole supernet; what the plan's width reads is cut out of them first.
    """
    net = model.narrow_supernet(net, plan.space.width)

    def evaluate(params: Params, schedule: Schedule, patches: Patches) -> Array:
        narrow = model.cut_params(params, plan.space)
        params = jax.tree.map(lambda leaf: leaf.astype(net.dtype), narrow)
        lr_PxHxWx3 = to_pixels(patches.lr)
        trunk_PxHxWxC = model.run_head(params["head"], lr_PxHxWx3, net.dtype, plan.space.width)
        store = jnp.zeros((plan.rows, *trunk_PxHxWxC.shape), net.dtype).at[0].set(trunk_PxHxWxC)
        store = _run(schedule.body, store, store, _body(net, params))
        errors_NxP = jnp.zeros((plan.population, len(lr_PxHxWx3)), jnp.float32)
        return _run(schedule.tail, store, errors_NxP, _tail(net, params, lr_PxHxWx3, patches.hr))

    return evaluate


def _run(tiles: Tiles, source: Array, target: Array, compute: Compute) -> Array:
    """Tiles in order, from rows of `source` to rows of `target`; these may be the same array."""
    inside = source is target

    def step(index: Array, rows: Array) -> Array:
        x = (rows if inside else source)[tiles.source[index]]
        y = compute(tiles.branch[index], tiles.slot[index], x)
        return rows.at[tiles.target[index]].set(y, mode="drop", unique_indices=True)

    return lax.fori_loop(0, tiles.count, step, target)


def _body(net: Supernet, params: Params) -> Compute:
    """The branches of all body slots, on `[K, P, H, W, C]`."""
    space, branches = net.space, {name: model.BODY[name] for name in body_branches(net.space)}
    reads = {name: branch.reads(space.width, space.scale) for name, branch in branches.items()}
    slots = [params.get(model.slot_name(space, slot), {}) for slot in range(len(space.body))]
    stacked = model.stack_kernels(slots, model.union_specs(reads.values()))

    def run(name: str, slot: Array, x: Array) -> Array:
        kernels = {k: lax.dynamic_index_in_dim(stacked[k], slot, 0, False) for k in reads[name]}
        return run_branch(net, branches[name], kernels, x)

    runs = [functools.partial(run, name) for name in branches]

    def compute(branch: Array, slot: Array, x_KxPxHxWxC: Array) -> Array:
        if not runs:  # identities only: there are no tiles
            return x_KxPxHxWxC
        flat = x_KxPxHxWxC.reshape(-1, *x_KxPxHxWxC.shape[2:])
        return lax.switch(branch, runs, slot, flat).reshape(x_KxPxHxWxC.shape)

    return compute


def _tail(net: Supernet, params: Params, lr_PxHxWx3: Array, hr: Array) -> Compute:
    """The upsamplers, from activations `[K, P, H, W, C]` to the luma MSE `[K, P]`."""
    space, last = net.space, len(net.space.body)
    kernels, truth_PxHxWxS = params[model.slot_name(space, last)], _subpixel_luma(hr, space.scale)

    def run(branch: model.Branch, x_KxPxHxWxC: Array) -> Array:
        flat = run_branch(net, branch, kernels, x_KxPxHxWxC.reshape(-1, *x_KxPxHxWxC.shape[2:]))
        lr = jnp.tile(lr_PxHxWx3, (len(x_KxPxHxWxC), 1, 1, 1))
        pixels = to_uint8(model.add_skip(flat, lr, space.scale))
        shown = luma(pixels.reshape(*pixels.shape[:-1], -1, 3)).reshape(*x_KxPxHxWxC.shape[:4], -1)
        # One LR pixel off each side is `scale` HR pixels: the metric's border.
        error_KxPxHxWxS = (shown - truth_PxHxWxS)[:, :, 1:-1, 1:-1]
        return jnp.mean(jnp.square(error_KxPxHxWxS), (2, 3, 4))

    runs = [functools.partial(run, branch) for branch in space.branches(last)]
    return lambda branch, slot, x: lax.switch(branch, runs, x)


def _subpixel_luma(hr: Array, scale: int) -> Array:
    """Luma of HR patches in the layout of the upsampler: `[P, s H, s W, 3]` to `[P, H, W, S]`."""
    count, rows, columns, _ = hr.shape
    split = luma(hr).reshape(count, rows // scale, scale, columns // scale, scale)
    return split.transpose(0, 1, 3, 2, 4).reshape(count, rows // scale, columns // scale, -1)
