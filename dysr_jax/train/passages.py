"""Passages: an arch of its own for each patch of a step, drawn so that all shapes are static.

A step trains many archs at once. Were they drawn one by one, how many of them take a branch would change from
step to step, and a compiled program would have to compute every branch for all of them. So they are drawn in
blocks. The archs of a block have the same active slots, and each active slot takes each of its branches
equally often in it. Blocks come in pairs with complementary active slots, or complementary numbers of them.
Each arch by itself is distributed as `dysr_jax.train.step.sample_training_archs` draws it; the counts of all
together are static.

The program sorts the patches of every slot. Identities cost nothing; branches that differ only in how many
channels they read go through the widest together (`dysr_jax.model.masked`), whatever the widths of the archs.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array, PRNGKey

from dysr_jax import model
from dysr_jax.model import Params, SearchSpace, Supernet
from dysr_jax.train.config import Sampling

LEVELS = 2
"""Different numbers of rows that slots may have for a branch: each is a shape, to be compiled and tuned."""


class Design(NamedTuple):
    """The shapes of a draw; hashable."""

    space: SearchSpace
    how: Sampling
    block: int  # archs of a block
    blocks: int
    places: tuple[tuple[int, ...], ...]
    """Rows of the batch that take each branch, a tuple for each slot; those that no arch takes are spare."""

    @property
    def archs(self) -> int:
        """Archs of a draw."""
        return self.block * self.blocks

    @property
    def rows(self) -> int:
        """Rows of the batch: the archs, and spare ones, of no arch."""
        return sum(self.places[0])


class _Tables(NamedTuple):
    """What a draw picks from at random; each of the numbers 0 to `body` occurs equally often in all."""

    numbers: np.ndarray  # `[offsets, pairs, 2]`: active slots of a pair's two blocks
    upsamplers: np.ndarray  # `[offsets, parts, pairs, 2, block]`: the upsampler of each arch, by its cost


@functools.cache
def make_design(space: SearchSpace, archs: int, how: Sampling) -> Design:
    """The design for about `archs` archs: whole blocks, at least as many as balance each other."""
    limits = [len(names) for names in space.slots]
    if how == "uniform":
        block = math.lcm(*limits)
        blocks = max(1, round(archs / block))
        return Design(space, how, block, blocks, tuple((block * blocks // n,) * n for n in limits))
    block = math.lcm(*(max(1, limit - 1) for limit in limits[:-1]))
    least = 4 if how == "nested" else 2
    blocks = least * max(1, round(archs / (block * least)))
    tables = _make_tables(len(space.body), len(space.upsamplers), how, block, blocks)
    active, upsamplers = _counts(tables, how, len(space.body))
    # Over all draws a slot has so many rows of each other branch, and of its cheapest one, at most.
    blocks_most = active.max(0)
    step = -(-(1 + np.ptp(blocks_most)) // LEVELS)
    blocks_most = blocks_most.max() - (blocks_most.max() - blocks_most) // step * step
    others = [block * most // max(1, limit - 1) for most, limit in zip(blocks_most, limits, strict=False)]
    cheapest = block * (blocks - active.min(0))
    needed = [n * (limit - 1) + most for n, limit, most in zip(others, limits, cheapest, strict=False)]
    rows = int(max(*needed, upsamplers.max(0).sum()))
    least_arch = model.smallest_arch(space)
    places = []
    for slot, (each, limit) in enumerate(zip(others, limits, strict=False)):
        rest = rows - each * (limit - 1)
        places.append(tuple(int(rest if index == least_arch[slot] else each) for index in range(limit)))
    last = upsamplers.max(0)
    last[0] += rows - last.sum()
    places.append(tuple(last[np.argsort(_by_cost(space))].tolist()))
    return Design(space, how, block, blocks, tuple(places))


def _by_cost(space: SearchSpace) -> np.ndarray:
    """Upsamplers, the cheapest first."""
    return np.argsort(model.branch_mult_adds(space, len(space.body)), kind="stable")


def _nested_pairs(how: Sampling, pairs: int) -> int:
    """The first pairs, whose active slots are the first ones; in the others they are any."""
    return pairs // 2 if how == "nested" else 0


@functools.cache
def _make_tables(body: int, upsamplers: int, how: Sampling, block: int, blocks: int) -> _Tables:
    nested, pairs = _nested_pairs(how, blocks // 2), blocks // 2
    offset = np.arange(body + 1)[:, None]
    kinds = [(np.arange(n) * (body + 1) + offset) // n for n in (nested, pairs - nested) if n]
    first = np.concatenate(kinds, 1)
    # The share of active slots plus a uniform number, halved, says how costly the upsampler is. The uniform
    # numbers of a block are spread evenly, and at so many places that each threshold is met exactly.
    parts = body * upsamplers
    uniform = (np.arange(block) + (np.arange(parts)[:, None] + 0.5) / parts) / block
    chance = (first[:, None, :, None] / body + uniform[:, None, :]) / 2
    taken = np.floor(chance * upsamplers).astype(np.int32)
    # The other block of a pair has the opposite share and the opposite numbers.
    both = np.stack([taken, upsamplers - 1 - taken], 3)
    return _Tables(np.stack([first, body - first], 2), both)


def _counts(tables: _Tables, how: Sampling, body: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each draw: blocks in which a body slot is active `[draws, body]`, archs of each upsampler."""
    offsets, pairs, _ = tables.numbers.shape
    nested = _nested_pairs(how, pairs)
    first = tables.numbers[:, :nested, :, None] > np.arange(body)
    active = first.sum((1, 2)) + (pairs - nested)  # of the others, one of a pair
    drawn = tables.upsamplers.reshape(offsets * tables.upsamplers.shape[1], -1)
    return active, np.stack([(drawn == index).sum(1) for index in range(drawn.max() + 1)], 1)


def draw_passages(key: PRNGKey, design: Design) -> Array:
    """The archs of a draw but for their width: int32 `[archs, slots]`. Traceable."""
    space, block, blocks = design.space, design.block, design.blocks
    limits = jnp.asarray([[len(names)] for names in space.slots], jnp.int32)
    body, pairs = len(space.body), blocks // 2
    keys = jax.random.split(key, 6)
    ranks = _ranks(keys[0], (blocks, body + 1, block))
    if design.how == "uniform":
        return _in_rows(ranks * limits // block)
    tables = _make_tables(body, len(space.upsamplers), design.how, block, blocks)
    numbers, upsamplers = map(jnp.asarray, tables)
    offset = jax.random.randint(keys[1], (), 0, len(numbers))
    part = jax.random.randint(keys[2], (), 0, upsamplers.shape[1])
    order = _ranks(keys[3], (pairs, body))
    nested = jnp.arange(pairs)[:, None, None] < _nested_pairs(design.how, pairs)
    order = jnp.where(nested, jnp.arange(body), jnp.stack([order, body - 1 - order], 1))
    active = (order < numbers[offset][..., None]).reshape(blocks, body, 1)
    # In half of the blocks all active slots of an arch take one branch, in the others each its own.
    alike = jax.random.bernoulli(keys[4], 0.5, (blocks, 1, 1))
    share = jnp.where(alike, ranks[:, :1], ranks[:, :body])
    cheapest = jnp.asarray(model.smallest_arch(space)[:body], jnp.int32)[:, None]
    other = cheapest + 1 + share * (limits[:body] - 1) // block
    genes = jnp.where(active, other % limits[:body], cheapest)
    by_cost = jnp.asarray(_by_cost(space), jnp.int32)
    last = by_cost[upsamplers[offset, part].reshape(blocks, block)]
    last = jnp.take_along_axis(last, _ranks(keys[5], (blocks, block)), 1)
    return _in_rows(jnp.concatenate([genes, last[:, None]], 1))


def _ranks(key: PRNGKey, shape: tuple[int, ...]) -> Array:
    """Random permutations of the last axis's indices."""
    return jnp.argsort(jax.random.uniform(key, shape), -1).astype(jnp.int32)


def _in_rows(genes: Array) -> Array:
    """`[blocks, slots, block]` to `[archs, slots]`."""
    return genes.swapaxes(1, 2).reshape(-1, genes.shape[1])


def _with_spare(design: Design, genes: Array) -> Array:
    """The genes of all rows, `[rows, slots]`: spare ones take the places that a draw leaves over."""
    spare = jnp.arange(design.rows - len(genes))
    columns = []
    for places, column in zip(design.places, genes.T, strict=True):
        left = jnp.asarray(places) - jnp.sum(column[:, None] == jnp.arange(len(places)), 0)
        columns.append(jnp.searchsorted(jnp.cumsum(left), spare, side="right").astype(genes.dtype))
    return jnp.concatenate([genes, jnp.stack(columns, 1)])


@jax.custom_vjp
def _permute(x: Array, order: Array, inverse: Array) -> Array:
    """The rows of `x` in another order, whose inverse is given: a gather both forward and backward."""
    return x[order]


_permute.defvjp(
    lambda x, order, inverse: (x[order], inverse), lambda inverse, grad: (grad[inverse], None, None)
)


def run_passages(net: Supernet, params: Params, lr: Array, archs: Array, design: Design) -> Array:
    """Patches `[archs, H, W, 3]` in [0, 1], each by an arch of its own, to `[archs, s H, s W, 3]`.

    `archs` int32 `[archs, genes]` are a draw of the design with any widths; of others the result is wrong.
    """
    space, count = net.space, len(lr)
    slots, spare = len(space.slots), design.rows - count
    genes = _with_spare(design, archs[:, :slots])
    width = jnp.pad(model.width_genes(space, archs), (0, spare))
    families = [
        model.branch_families(space.branches(slot), space.width, space.scale) for slot in range(slots)
    ]
    kinds = [_inverted(family) for family in families]  # of each branch, its family and its place in that
    kind, place = (
        jnp.stack([jnp.asarray(each[part])[genes[:, slot]] for slot, each in enumerate(kinds)])
        for part in (0, 1)
    )
    order = jnp.argsort(kind, axis=1, stable=True)
    inverse = jnp.argsort(order, axis=1)
    kernels = {name: model.cast_kernels(stored, net.dtype) for name, stored in params.items()}
    pixels = jnp.pad(lr, ((0, spare), (0, 0), (0, 0), (0, 0)))
    x = model.run_head(kernels["head"], pixels, net.dtype, space.width)
    x = (
        x
        * (jnp.arange(space.width) < jnp.asarray(space.widths)[width][:, None]).astype(x.dtype)[:, None, None]
    )
    old, back = jnp.arange(design.rows), jnp.arange(design.rows)
    for slot in range(slots):
        new, ahead = order[slot], inverse[slot]
        x = _permute(x, back[new], ahead[old])  # from the last slot's order to this one's
        stored, last = kernels.get(model.slot_name(space, slot), {}), slot == len(space.body)
        run = functools.partial(model.run_masked, net, upsampler=last)
        out, start = [], 0
        for family in families[slot]:
            end = start + sum(design.places[slot][index] for index in family)
            rows, branches = new[start:end], [space.branches(slot)[index] for index in family]
            if len(rows):
                out.append(run(branches, stored, x[start:end], place[slot][rows], width[rows]))
            start = end
        x, old, back = jnp.concatenate(out), new, ahead
    return model.to_image(_permute(x, back, old)[:count], lr, space.scale)


def _inverted(families: list[list[int]]) -> tuple[list[int], list[int]]:
    """Of each branch the number of its family, and its place in the family."""
    found = {i: (number, place) for number, family in enumerate(families) for place, i in enumerate(family)}
    kinds, places = zip(*(found[index] for index in range(len(found))), strict=True)
    return list(kinds), list(places)
