"""What a population shares, and in which order it is computed.

Archs with the same first branches have the same activations after them, so a population is a tree: a node
is what one distinct prefix computes, and identities add none. The nodes of a slot that take the same branch
are computed together, `tile` at a time. A schedule lists these tiles in order, slot by slot, with the
rows of the activation store that each reads and writes. (Grouping the work by branch is what
mixture-of-experts layers do with tokens by expert.)
"""

import itertools
from typing import NamedTuple

import flax.struct
import numpy as np

from dysr_jax.model import BODY, Identity, SearchSpace, branch_mult_adds, counts


@flax.struct.dataclass(eq=False)
class Tiles:
    """Work items of one kind; those from `count` on are padding of the arrays."""

    slot: np.ndarray
    """int32 `[T]`."""
    branch: np.ndarray
    """int32 `[T]`: place of the branch's name in `body_branches`, or of the upsampler in its slot."""
    source: np.ndarray
    """int32 `[T, K]`: rows that are read; a padded entry is 0."""
    target: np.ndarray
    """int32 `[T, K]`: rows that are written; a padded entry is out of range."""
    count: np.ndarray
    """int32 `[]`: tiles that are work."""


@flax.struct.dataclass(eq=False)
class Schedule:
    """The work of one population on one device. Row 0 holds the head's output at the start."""

    body: Tiles
    """From rows to rows."""
    tail: Tiles
    """The upsampler: from rows to candidates."""


class Plan(NamedTuple):
    """Shapes of a schedule, the same for every population of this size."""

    space: SearchSpace
    population: int
    tile: int

    @property
    def rows(self) -> int:
        """Rows of the activation store: what is still read, and what a slot newly makes."""
        return 2 * self.population


def body_branches(space: SearchSpace) -> tuple[str, ...]:
    """The distinct names of all body slots' branches, identities apart."""
    names = dict.fromkeys(name for slot in space.body for name in slot)
    return tuple(name for name in names if not isinstance(BODY[name], Identity))


def _body_capacity(plan: Plan) -> int:
    """Most tiles that any population needs: full ones, and one begun for every branch of a slot."""
    full = plan.population // plan.tile
    return sum(min(plan.population, full + len(names)) for names in plan.space.body)


def _tail_capacity(plan: Plan) -> int:
    full = plan.population // plan.tile
    return min(plan.population, full + len(plan.space.upsamplers))


class _Builder:
    """Tiles in the making."""

    def __init__(self, capacity: int, tile: int, dropped: int) -> None:
        self._tile = tile
        self._count = 0
        self._slot = np.zeros(capacity, np.int32)
        self._branch = np.zeros(capacity, np.int32)
        self._source = np.zeros((capacity, tile), np.int32)
        self._target = np.full((capacity, tile), dropped, np.int32)

    def add(self, slot: int, branch: np.ndarray, source: np.ndarray, target: np.ndarray) -> None:
        """Work of a slot, `[n]` sorted by branch: each branch begins a tile."""
        first = np.flatnonzero(np.diff(branch, prepend=-1))
        sizes = np.diff(first, append=len(branch))
        tiles = -(-sizes // self._tile)
        begin = self._count + np.cumsum(tiles) - tiles
        place = np.arange(len(branch)) - np.repeat(first, sizes)
        tile = np.repeat(begin, sizes) + place // self._tile
        self._source[tile, place % self._tile] = source
        self._target[tile, place % self._tile] = target
        self._branch[tile] = branch
        end = self._count + int(tiles.sum())
        self._slot[self._count : end] = slot
        self._count = end

    def build(self) -> Tiles:
        count = np.array(self._count, np.int32)
        return Tiles(self._slot, self._branch, self._source, self._target, count)


def make_schedule(plan: Plan, genes: np.ndarray) -> Schedule:
    """The tiles of a population.

    Args:
        plan: its space and size.
        genes: int32 `[P, slots]` with `P` at most the plan's population.
    """
    space = plan.space
    names = body_branches(space)
    body = _Builder(_body_capacity(plan), plan.tile, plan.rows)
    row = np.zeros(len(genes), np.int64)
    for slot, offered in enumerate(space.body):
        number = np.array([names.index(name) if name in names else -1 for name in offered])
        branch = number[genes[:, slot]]
        works = branch >= 0
        keys, node = np.unique(branch[works] * plan.rows + row[works], return_inverse=True)
        taken = np.zeros(plan.rows, bool)
        taken[row] = True
        free = np.flatnonzero(~taken)[: len(keys)]
        body.add(slot, keys // plan.rows, keys % plan.rows, free)
        row[works] = free[node]
    tail = _Builder(_tail_capacity(plan), plan.tile, plan.population)
    order = np.lexsort((row, genes[:, -1]))
    tail.add(len(space.body), genes[order, -1], row[order], order)
    return Schedule(body.build(), tail.build())


def computed_share(space: SearchSpace, genes: np.ndarray) -> float:
    """Part of a population's branches, identities apart, that its schedule computes; the rest is shared."""
    names = body_branches(space)
    alone = 0
    for slot, offered in enumerate(space.body):
        works = np.array([name in names for name in offered])
        alone += int(works[genes[:, slot]].sum())
    schedule = make_schedule(Plan(space, len(genes), 1), genes)
    return int(schedule.body.count) / alone if alone else 1.0


def mult_add_costs(space: SearchSpace) -> np.ndarray:
    """Multiply-adds a pixel of each slot's branches, one more for going through: `[slots, branches]`."""
    costs = np.zeros((len(space.slots), max(counts(space))))
    for slot, limit in enumerate(counts(space)):
        costs[slot, :limit] = 1.0 + np.array(branch_mult_adds(space, slot))
    return costs


def deal(costs: np.ndarray, genes: np.ndarray, hands: int, most: int) -> list[np.ndarray]:
    """Split a population over devices: archs that begin alike together, like work for each.

    Args:
        costs: `[slots, branches]` of a branch's time, in any unit.
        genes: int32 `[N, slots]`.
        hands: into how many parts.
        most: the largest part allowed; `hands * most >= N`.

    Returns:
        Indices into `genes` for each part.
    """
    order = np.lexsort(genes.T[::-1])
    work = np.cumsum(_new_work(costs, genes[order]))
    ends = np.searchsorted(work, work[-1] * np.arange(1, hands) / hands, side="right")
    bounds = [0]
    for left, end in zip(range(hands - 1, 0, -1), ends.tolist(), strict=True):
        lowest = max(bounds[-1], len(genes) - left * most)
        bounds.append(min(max(end, lowest), bounds[-1] + most))
    return [order[i:j] for i, j in itertools.pairwise([*bounds, len(genes)])]


def _new_work(costs: np.ndarray, genes: np.ndarray) -> np.ndarray:
    """What each of the sorted archs costs that the one before it has not computed already."""
    each = costs[np.arange(genes.shape[1]), genes]
    changed = np.ones(genes.shape, bool)
    changed[1:] = np.maximum.accumulate(genes[1:] != genes[:-1], 1)
    changed[:, -1] = True  # the upsampler and the metric are each candidate's own
    return np.sum(each * changed, 1)
