# ruff: noqa: N803, N806 (axes stand in names)
"""The search program of a population: a schedule of tiles, one executable for the whole space.

The supernet's own search program takes one arch; this one takes many, in the order of their schedule. Axes: N
candidates, P patches, H rows and W columns of LR pixels, C channels, K candidates of a tile, s the scale, S
the `s * s` sub-pixels of an LR pixel.
"""

import functools
import math
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
from jax import lax

from dysr_jax.metrics import luma, to_pixels, to_uint8
from dysr_jax.model import (
    BODY,
    Kernels,
    Params,
    SearchSpace,
    Supernet,
    add_skip,
    run_branch,
    run_head,
    slot_name,
    stack_kernels,
    union_specs,
)
from dysr_jax.search.patches import Patches
from dysr_jax.search.schedule import Plan, Schedule, Tiles, body_branches

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
