"""Options of the search: its objectives, its constraints, and how a candidate is judged by them."""

import dataclasses
import functools
import itertools
import math
import typing
from collections.abc import Sequence
from typing import Literal

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.fields import check_each, normalise, require
from dysr_jax.model import (
    Arch,
    SearchSpace,
    arch_mult_adds,
    arch_parameters,
    smallest_arch,
    space_size,
    width_genes,
)
from dysr_jax.search.archive import Record

MAX_POPULATION = 16_384  # domination is a matrix of `(2 population)^2`

MIN_PATCH = 3  # LR pixels: the metric cuts one off each side

Objective = Literal["psnr_y", "latency_ms", "params", "mult_adds"]
"""What can be optimised: PSNR-Y in dB upwards, milliseconds, weights and mult-adds downwards."""

OBJECTIVES: tuple[Objective, ...] = typing.get_args(Objective)
FRONT: tuple[Objective, ...] = ("psnr_y", "latency_ms")
"""The two that every search has: the members are a front of these."""


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """The search of the trained supernet, and the choice of the members.

    Raises InputError: names the field, its value and what it must be.
    """

    population: int = 64
    """Archs per generation."""
    generations: int = 12
    """Generations, the random first one included."""
    mutation: float | None = None
    """Probability that a gene changes; by default 1 / (2 genes)."""
    crossover: float = 1.0
    """Probability that a child has two parents."""
    patches: int = 16
    """Validation patches on which a candidate's PSNR-Y is computed."""
    patch: int = 32
    """Side of a validation patch, in LR pixels."""
    frame: tuple[int, int] = (180, 320)
    """LR rows and columns of the frame whose latency counts."""
    method: Literal["nsga2", "additive"] = "nsga2"
    """Who asks for archs: NSGA-II, or the exact front of scores that are fitted to each branch of each slot
    (psnr_y and latency_ms alone)."""
    surrogate: Literal["none", "additive", "mlp"] = "none"
    """What predicts PSNR-Y to choose among children before they are evaluated: a score for each branch of
    each slot, or an ensemble of MLPs beside these."""
    proposals: int = 8
    """Children from which a surrogate chooses each one that is evaluated."""
    objectives: tuple[Objective, ...] = FRONT
    """What NSGA-II optimises; psnr_y and latency_ms are always among them."""
    max_latency_ms: float | None = None
    """Milliseconds that a candidate's predicted latency may be at most; by default there is no bound."""
    min_psnr_y: float | None = None
    """dB that a candidate's PSNR-Y on the validation patches must reach; by default there is no bound."""
    rounds: int = 15
    """Timed rounds per latency."""
    latency: str | None = None
    """A latency table that `dysr profile` wrote for this device; by default one is measured."""
    latency_archs: int = 0
    """Random archs that a latency table is fitted to, beside one probe per branch."""
    members: int = 8
    """Sub-graphs of the front that are compiled and measured again; the non-dominated ones are kept."""
    switch_cost_weight: float = 0.03
    """How much it counts, in choosing members, that a switch between neighbours changes little: 0 is
    hypervolume alone."""
    for_load: str | None = None
    """JSON of a load: a list of [slowdown, probability], or what `dysr bench steady --json` wrote. Members
    are chosen for the expected PSNR-Y of on-time frames under it, at `fps`, instead of for hypervolume."""
    fps: float | None = None
    """Frames per second that the members shall hold under `for_load`."""
    remeasure: bool = False
    """Measure this device's latency table anew, though an earlier run left one."""

    def __post_init__(self) -> None:
        normalise(self, "search.")
        known = set(self.objectives) <= set(OBJECTIVES) and set(FRONT) <= set(self.objectives)
        once = known and len(set(self.objectives)) == len(self.objectives)
        both = "psnr_y and latency_ms, with or without params and mult_adds, each once"
        for names, allowed, needed in (
            ("generations patches rounds", lambda value: value >= 1, "at least 1"),
            ("population members", lambda value: value >= 2, "at least 2"),
            ("population", lambda value: value <= MAX_POPULATION, f"at most {MAX_POPULATION}"),
            ("proposals", lambda value: value >= 2, "at least 2"),
            ("latency_archs", lambda value: value >= 0, "at least 0"),
            ("patch", lambda value: value >= MIN_PATCH, f"at least {MIN_PATCH}"),
            ("frame", lambda value: min(value) >= 1, "rows and columns of at least 1"),
            ("switch_cost_weight", lambda value: 0 <= value < math.inf, "finite and at least 0"),
            ("mutation crossover", lambda value: 0 <= value <= 1, "in [0, 1]"),
            ("max_latency_ms min_psnr_y fps", lambda value: 0 < value < math.inf, "finite and above 0"),
            ("objectives", lambda _: once, both),
        ):
            check_each(self, "search.", names, allowed, needed)
        both_or_none = (self.for_load is None) == (self.fps is None)
        require(both_or_none, "search.fps", self.fps, "given with search.for_load, and only then")
        plain, most = self.method == "nsga2", MAX_POPULATION // self.population
        for valid, name, must in (
            (plain or set(self.objectives) == set(FRONT), "objectives", "psnr_y and latency_ms"),
            (plain or self.surrogate == "none", "surrogate", "none"),
        ):
            require(valid, f"search.{name}", getattr(self, name), f"{must} with search.method additive")
        if self.surrogate != "none":
            needed = f"at most {most} with search.population {self.population}"
            check_each(self, "search.", "proposals", lambda value: value <= most, needed)

    def check_space(self, space: SearchSpace) -> None:
        """Raise `InputError` for a space that has one arch, or fewer than `population`."""
        most = space_size(space)
        if most < 2:
            raise InputError("the space has one arch: nothing to search")
        if self.population > most:
            needed = f"at most {most}, the space's size"
            raise InputError(f"search.population must be {needed}, got {self.population}")


@functools.cache
def _cost_table(space: SearchSpace, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Cost of the smallest arch of each width and, `[widths, slots, branches]`, what another branch of a slot
    adds to it.
    """
    cost = {"params": arch_parameters, "mult_adds": arch_mult_adds}[name]
    bases = [smallest_arch(space, width) for width in space.widths]
    least = np.array([cost(space, base) for base in bases], np.int64)
    added = np.zeros((len(bases), len(space.slots), max(map(len, space.slots))), np.int64)
    for (place, base), (slot, names) in itertools.product(enumerate(bases), enumerate(space.slots)):
        costs = [cost(space, (*base[:slot], index, *base[slot + 1 :])) for index in range(len(names))]
        added[place, slot, : len(names)] = costs - least[place]
    return least, added


def arch_costs(space: SearchSpace, archs: Sequence[Arch], name: str) -> np.ndarray:
    """Weights (`params`) or `mult_adds` of many valid archs at once: int64 `[N]`, exact."""
    least, added = _cost_table(space, name)
    genes, slots = np.asarray(archs), len(space.slots)
    width = width_genes(space, genes)
    return least[width] + added[width[:, None], np.arange(slots), genes[:, :slots]].sum(1)


def objectives(space: SearchSpace, records: Sequence[Record], config: SearchConfig) -> np.ndarray:
    """float32 `[N, M]`, minimised, a column for each of `config.objectives`."""

    def column(name: Objective) -> np.ndarray:
        if name in FRONT:
            return np.array([getattr(record, name) for record in records]) * (-1 if name == "psnr_y" else 1)
        return arch_costs(space, [record.arch for record in records], name)

    return np.stack([column(name) for name in config.objectives], 1).astype(np.float32)


def excesses(records: Sequence[Record], config: SearchConfig) -> dict[str, np.ndarray]:
    """Violation of each constraint (`search.max_latency_ms 12.5`), in parts of its bound: float64 `[N]`."""
    found = {}
    for field, name, sign in (("max_latency_ms", "latency_ms", 1), ("min_psnr_y", "psnr_y", -1)):
        bound = getattr(config, field)
        if bound is not None:
            values = np.array([getattr(record, name) for record in records])
            found[f"search.{field} {bound}"] = np.maximum(sign * (values - bound) / bound, 0.0)
    return found


def violation(records: Sequence[Record], config: SearchConfig) -> np.ndarray:
    """The sum of `excesses`: float32 `[N]`, 0 where all constraints hold."""
    return sum(excesses(records, config).values(), np.zeros(len(records))).astype(np.float32)


def judge(space: SearchSpace, records: Sequence[Record], config: SearchConfig) -> tuple[np.ndarray, ...]:
    """`objectives` and `violation` of records, as NSGA-II's `tell` takes them."""
    return objectives(space, records, config), violation(records, config)


def describe_bounds(records: Sequence[Record], config: SearchConfig) -> str:
    """How many of the records each constraint excludes, and all of them together; empty without one."""
    outside = {constraint: excess > 0 for constraint, excess in excesses(records, config).items()}
    counts = [f"{bound} excludes {np.sum(rows)} of {len(records)}" for bound, rows in outside.items()]
    together = [f"together {np.sum(np.any([*outside.values()], 0))}"] if len(counts) > 1 else []
    return ", ".join(counts + together)


def feasible_records(records: Sequence[Record], config: SearchConfig) -> list[Record]:
    """The records that satisfy every constraint, in their order. Raises `InputError`: none does; says how
    many each constraint excludes, and all together.
    """
    excluded = violation(records, config) > 0
    if records and excluded.all():
        counts = describe_bounds(records, config)
        raise InputError(f"no evaluated arch satisfies the constraints: {counts}")
    return list(itertools.compress(records, ~excluded))
