"""The search program of a population: a schedule of tiles, one executable for the whole space.

The supernet's own search program takes one arch; this one takes many, in the order of their schedule.
"""

import functools
import math
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
from jax import lax

from dysr_jax.metrics import luma, to_uint8
from dysr_jax.model import (
    BODY,
    Kernels,
    Params,
    SearchSpace,
    Supernet,
    add_skip,
    head,
    run_branch,
    slot_name,
    stack,
    union,
)
from dysr_jax.search.patches import Patches
from dysr_jax.search.schedule import Plan, Schedule, Tiles, body_branches

OVERHEAD_PIXELS = 83_000
"""What beginning a tile costs (launches, the conditional's index), in LR pixels of a mean branch's work:
about 60 us against 0.72 ns a pixel, on an H200 at width 64."""


def best_tile(space: SearchSpace, population: int, patches: Patches) -> int:
    """Candidates that go through a branch together. On a CPU one: there is nothing to amortise.

    A slot takes `population / tile` full tiles and half a tile more a branch, so the cost is least where
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
    """`(params, schedule, patches) -> [population, P]`: the luma MSE of each candidate's patches."""
    space = net.space

    def evaluate(params: Params, schedule: Schedule, patches: Patches) -> chex.Array:
        params = jax.tree.map(lambda leaf: leaf.astype(net.dtype), params)
        lr = patches.lr.astype(jnp.float32) / 255.0
        count, height, width, _ = lr.shape
        trunk = head(params["head"], lr, net.dtype)
        store = jnp.zeros((plan.rows, *trunk.shape), net.dtype).at[0].set(trunk)
        body = _body(net, params)

        def through_body(branch: chex.Array, slot: chex.Array, x: chex.Array) -> chex.Array:
            if not body:  # identities only: there are no tiles
                return x
            flat = x.reshape(-1, height, width, space.width)
            return lax.switch(branch, body, slot, flat).reshape(x.shape)

        truth = _subpixel_luma(patches.hr, space.scale)
        tail = _tail(net, params, lr, truth)

        def through_tail(branch: chex.Array, slot: chex.Array, x: chex.Array) -> chex.Array:
            del slot
            return lax.switch(branch, tail, x)

        store = _run(schedule.body, store, store, through_body)
        errors = jnp.zeros((plan.population, count), jnp.float32)
        return _run(schedule.tail, store, errors, through_tail)

    return evaluate


Compute = Callable[[chex.Array, chex.Array, chex.Array], chex.Array]
"""`(branch, slot, [K, ...]) -> [K, ...]`."""


def _run(tiles: Tiles, source: chex.Array, target: chex.Array, compute: Compute) -> chex.Array:
    """Tiles in order, from rows of `source` to rows of `target`; these may be the same array."""
    inside = source is target

    def step(index: chex.Array, rows: chex.Array) -> chex.Array:
        x = (rows if inside else source)[tiles.source[index]]
        y = compute(tiles.branch[index], tiles.slot[index], x)
        return rows.at[tiles.target[index]].set(y, mode="drop", unique_indices=True)

    return lax.fori_loop(0, tiles.count, step, target)


def _body(net: Supernet, params: Params) -> list[Callable[[chex.Array, chex.Array], chex.Array]]:
    """The branches of all body slots, as functions of the slot's number and `[N, H, W, C]`."""
    space = net.space
    names = body_branches(space)
    specs = union(BODY[name].reads(space.width, space.scale) for name in names)
    slots = [params.get(slot_name(space, slot), {}) for slot in range(len(space.body))]
    stacked = stack(slots, specs)

    def run(name: str, slot: chex.Array, x: chex.Array) -> chex.Array:
        kernels: Kernels = {
            key: lax.dynamic_index_in_dim(stacked[key], slot, keepdims=False)
            for key in BODY[name].reads(space.width, space.scale)
        }
        return run_branch(space, BODY[name], kernels, x)

    return [functools.partial(run, name) for name in names]


def _tail(
    net: Supernet, params: Params, lr: chex.Array, truth: chex.Array
) -> list[Callable[[chex.Array], chex.Array]]:
    """The upsamplers, from activations `[K, P, H, W, C]` to the luma MSE `[K, P]`."""
    space = net.space
    last = len(space.body)
    kernels = params[slot_name(space, last)]

    def run(number: int, x: chex.Array) -> chex.Array:
        branch = space.branches(last)[number]
        flat = run_branch(space, branch, kernels, x.reshape(-1, *x.shape[2:]))
        pixels = add_skip(flat, jnp.tile(lr, (len(x), 1, 1, 1)), space.scale)
        shown = _luma(to_uint8(pixels)).reshape(*x.shape[:4], -1)
        # One LR pixel off each side is `scale` HR pixels: the metric's border.
        error = (shown - truth)[:, :, 1:-1, 1:-1]
        return jnp.mean(jnp.square(error), (2, 3, 4))

    return [functools.partial(run, number) for number in range(len(space.upsamplers))]


def _luma(subpixels: chex.Array) -> chex.Array:
    """Luma of `[..., s s 3]` uint8: `[..., s s]` float32."""
    return luma(subpixels.reshape(*subpixels.shape[:-1], -1, 3))


def _subpixel_luma(hr: chex.Array, scale: int) -> chex.Array:
    """Luma of HR patches in the layout of the upsampler: `[P, s H, s W, 3]` to `[P, H, W, s s]`."""
    count, rows, columns, _ = hr.shape
    split = luma(hr).reshape(count, rows // scale, scale, columns // scale, scale)
    return split.transpose(0, 1, 3, 2, 4).reshape(count, rows // scale, columns // scale, -1)
