# ruff: noqa: N803, N806 (axes stand in names)
"""What a population shares, and in which order it is computed.

Archs with the same first branches have the same activations after them, so a population is a tree: a node is
what one distinct prefix computes, and identities add none. The nodes of a slot that take the same branch are
computed together, `tile` at a time (as mixture-of-experts layers group tokens by expert). A schedule lists
these tiles in order, slot by slot, with the rows of the activation store that each reads and writes.

Archs of different widths have no activation in common: each width is a population of its own, whose space has
that one width.

Axes: T tiles, K candidates of a tile, N candidates, L slots, B branches of a slot.
"""

import itertools
from typing import NamedTuple

import flax.struct
import numpy as np

from dysr_jax.model import BODY, Identity, SearchSpace, at_width, branch_mult_adds, rows_by_width


@flax.struct.dataclass(eq=False)
class Tiles:
    """Work items of one kind, all int32; those from `count` on are padding of the arrays."""

    slot: np.ndarray  # `[T]`
    branch: np.ndarray
    """`[T]`: place of the branch's name in `body_branches`, or of the upsampler in its slot."""
    source: np.ndarray  # `[T, K]`: rows that are read; a padded entry is 0
    target: np.ndarray  # `[T, K]`: rows that are written; a padded entry is out of range
    count: np.ndarray  # `[]`: tiles that are work


@flax.struct.dataclass(eq=False)
class Schedule:
    """The work of one population on one device. Row 0 holds the head's output at the start."""

    body: Tiles  # from rows to rows
    tail: Tiles  # the upsampler: from rows to candidates


class Plan(NamedTuple):
    """Shapes of a schedule, the same for every population of this size."""

    space: SearchSpace
    """Of one width: candidates of other widths are another population."""
    population: int
    tile: int

    @property
    def rows(self) -> int:
        """Rows of the activation store: what is still read, and what a slot newly makes."""
        return 2 * self.population

    def capacity(self, branches: int) -> int:
        """Most tiles that a slot needs: full ones, and one begun for every branch."""
        return min(self.population, self.population // self.tile + branches)


def body_branches(space: SearchSpace) -> tuple[str, ...]:
    """The distinct names of all body slots' branches, identities apart."""
    names = dict.fromkeys(itertools.chain(*space.body))
    return tuple(name for name in names if not isinstance(BODY[name], Identity))


def _no_tiles(capacity: int, tile: int, dropped: int) -> Tiles:
    slot, branch = np.zeros((2, capacity), np.int32)
    source = np.zeros((capacity, tile), np.int32)
    return Tiles(slot, branch, source, np.full_like(source, dropped), np.zeros((), np.int32))


def _add(tiles: Tiles, slot: int, branch_n: np.ndarray, source_n: np.ndarray, target_n: np.ndarray) -> None:
    """Work of a slot, sorted by branch: each branch begins a tile."""
    count, tile = int(tiles.count), tiles.source.shape[1]
    first = np.flatnonzero(np.diff(branch_n, prepend=-1))
    sizes = np.diff(first, append=len(branch_n))
    begun = -(-sizes // tile)
    end = count + int(begun.sum())
    place_n = np.arange(len(branch_n)) - np.repeat(first, sizes)
    tile_n = np.repeat(count + np.cumsum(begun) - begun, sizes) + place_n // tile
    tiles.source[tile_n, place_n % tile] = source_n
    tiles.target[tile_n, place_n % tile] = target_n
    tiles.branch[tile_n] = branch_n
    tiles.slot[count:end] = slot
    tiles.count[...] = end


def make_schedule(plan: Plan, genes_NxL: np.ndarray) -> Schedule:
    """The tiles of a population, int32 `[N, L]` with `N` at most the plan's population."""
    space, names = plan.space, body_branches(plan.space)
    body = _no_tiles(sum(plan.capacity(len(offered)) for offered in space.body), plan.tile, plan.rows)
    row_N = np.zeros(len(genes_NxL), np.int64)
    for slot, offered in enumerate(space.body):
        number_B = np.array([names.index(name) if name in names else -1 for name in offered])
        branch_N = number_B[genes_NxL[:, slot]]
        works_N = branch_N >= 0
        keys, node = np.unique(branch_N[works_N] * plan.rows + row_N[works_N], return_inverse=True)
        free = np.setdiff1d(np.arange(plan.rows), row_N)[: len(keys)]
        _add(body, slot, keys // plan.rows, keys % plan.rows, free)
        row_N[works_N] = free[node]
    tail = _no_tiles(plan.capacity(len(space.upsamplers)), plan.tile, plan.population)
    order_N = np.lexsort((row_N, genes_NxL[:, -1]))
    _add(tail, len(space.body), genes_NxL[order_N, -1], row_N[order_N], order_N)
    return Schedule(body, tail)


def computed_share(space: SearchSpace, genes: np.ndarray) -> float:
    """Part of a population's branches, identities apart, that its schedules compute; the rest is shared.

    `genes` are `[N, genes]`; archs of two widths share nothing.
    """
    names, unshared = body_branches(space), 0
    for slot, offered in enumerate(space.body):
        unshared += int(np.array([name in names for name in offered])[genes[:, slot]].sum())
    groups = [(at_width(space, width), genes[rows]) for width, rows in rows_by_width(space, genes).items()]
    made = [make_schedule(Plan(narrow, len(own), 1), own[:, : len(space.slots)]) for narrow, own in groups]
    return sum(int(schedule.body.count) for schedule in made) / unshared if unshared else 1.0


def mult_add_costs(space: SearchSpace, width: int | None = None) -> np.ndarray:
    """Multiply-adds per pixel of each slot's branches at a width (None: the widest), one more for going
    through: `[L, B]`.
    """
    costs = np.zeros((len(space.slots), max(map(len, space.slots))))
    for slot, names in enumerate(space.slots):
        costs[slot, : len(names)] = 1.0 + np.array(branch_mult_adds(space, slot, width))
    return costs


def partition(costs: np.ndarray, genes: np.ndarray, shards: int, largest: int) -> list[np.ndarray]:
    """A population `[N, L]` split over devices, archs that begin alike together: indices for each shard.

    `costs` `[L, B]` are of a branch's time, in any unit: each shard gets about the same sum, and at most
    `largest` archs, where `shards * largest >= N`.
    """
    order = np.lexsort(genes.T[::-1])
    genes_NxL = genes[order]
    cost_NxL = costs[np.arange(genes_NxL.shape[1]), genes_NxL]
    changed_NxL = np.ones(genes_NxL.shape, bool)  # what the arch before has not computed already
    changed_NxL[1:] = np.maximum.accumulate(genes_NxL[1:] != genes_NxL[:-1], 1)
    changed_NxL[:, -1] = True  # the upsampler and the metric are each candidate's own
    work = np.cumsum(np.sum(cost_NxL * changed_NxL, 1))
    ends = np.searchsorted(work, work[-1] * np.arange(1, shards) / shards, side="right")
    bounds = [0]
    for left, end in zip(range(shards - 1, 0, -1), ends.tolist(), strict=True):
        lowest = max(bounds[-1], len(genes) - left * largest)
        bounds.append(min(max(end, lowest), bounds[-1] + largest))
    return [order[i:j] for i, j in itertools.pairwise([*bounds, len(genes)])]
