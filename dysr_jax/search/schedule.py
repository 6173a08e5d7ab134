"""What a population shares, and in which order it is computed.

Archs with the same first branches have the same activations after them, so a population is a tree: a node
is what one distinct prefix computes, and identities add none. The nodes of a slot that take the same branch
are computed together, `tile` at a time. A schedule lists these tiles in order, slot by slot, with the
rows of the activation store that each reads and writes. (Grouping the work by branch is what
mixture-of-experts layers do with tokens by expert.)
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import flax.struct
import numpy as np

from dysr_jax.model.branches import BODY, Identity
from dysr_jax.space import SearchSpace, branch_mult_adds


@flax.struct.dataclass
class Tiles:
    """Work items of one kind; those from `count` on are padding of the arrays."""

    slot: np.ndarray
    """int32 `[T]`."""
    branch: np.ndarray
    """int32 `[T]`: place of the branch's name in `body_branches`, or of the upsampler in its slot."""
    source: np.ndarray
    """int32 `[T, K]`: rows that are read; a padded entry repeats another."""
    target: np.ndarray
    """int32 `[T, K]`: rows that are written; a padded entry is out of range."""
    count: np.ndarray
    """int32 `[]`: tiles that are work."""


@flax.struct.dataclass
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
        self.slot = np.zeros(capacity, np.int32)
        self.branch = np.zeros(capacity, np.int32)
        self.source = np.zeros((capacity, tile), np.int32)
        self.target = np.full((capacity, tile), dropped, np.int32)

    def add(self, slot: int, branch: int, source: np.ndarray, target: np.ndarray) -> None:
        """Work of one branch, cut into tiles."""
        for start in range(0, len(source), self._tile):
            part = slice(start, start + self._tile)
            length = len(source[part])
            self.slot[self._count], self.branch[self._count] = slot, branch
            self.source[self._count] = source[start]
            self.source[self._count, :length] = source[part]
            self.target[self._count, :length] = target[part]
            self._count += 1

    def build(self) -> Tiles:
        count = np.array(self._count, np.int32)
        return Tiles(self.slot, self.branch, self.source, self.target, count)


def _groups(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each value that occurs, and where."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-1))
    for start, end in itertools.pairwise([*starts.tolist(), len(values)]):
        yield int(values[order[start]]), order[start:end]


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
        free = np.setdiff1d(np.arange(plan.rows), row)[: len(keys)]
        for index, places in _groups(keys // plan.rows):
            body.add(slot, index, keys[places] % plan.rows, free[places])
        row[works] = free[node]
    tail = _Builder(_tail_capacity(plan), plan.tile, plan.population)
    for index, places in _groups(genes[:, -1]):
        order = places[np.argsort(row[places], kind="stable")]
        tail.add(len(space.body), index, row[order], order)
    return Schedule(body.build(), tail.build())


def computed_share(space: SearchSpace, genes: np.ndarray) -> float:
    """Part of a population's branches, identities apart, that its schedule computes; the rest is shared."""
    names = body_branches(space)
    alone = 0
    for slot, offered in enumerate(space.body):
        works = np.array([name in names for name in offered])
        alone += int(works[genes[:, slot]].sum())
    schedule = make_schedule(Plan(space, len(genes), 1), genes)
    return int(schedule.body.count) / max(1, alone)


def deal(space: SearchSpace, genes: np.ndarray, hands: int, most: int) -> list[np.ndarray]:
    """Split a population over devices: archs that begin alike together, like work for each.

    Args:
        space: of the archs.
        genes: int32 `[N, slots]`.
        hands: into how many parts.
        most: the largest part allowed; `hands * most >= N`.

    Returns:
        Indices into `genes` for each part.
    """
    order = np.lexsort(genes.T[::-1])
    work = np.cumsum(_new_work(space, genes[order]))
    ends = np.searchsorted(work, work[-1] * np.arange(1, hands) / hands, side="right")
    bounds = [0]
    for left, end in zip(range(hands - 1, 0, -1), ends.tolist(), strict=True):
        lowest = max(bounds[-1], len(genes) - left * most)
        bounds.append(min(max(end, lowest), bounds[-1] + most))
    return [order[i:j] for i, j in itertools.pairwise([*bounds, len(genes)])]


def _new_work(space: SearchSpace, genes: np.ndarray) -> np.ndarray:
    """Mult-adds a pixel of each of the sorted archs that the one before it has not computed."""
    each = np.stack(
        [np.array(branch_mult_adds(space, s))[genes[:, s]] for s in range(len(space.slots))], 1
    )
    changed = np.ones(genes.shape, bool)
    changed[1:] = np.maximum.accumulate(genes[1:] != genes[:-1], 1)
    changed[:, -1] = True
    return 1.0 + np.sum(each * changed, 1)
