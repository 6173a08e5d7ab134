"""What the search can be told."""

import dataclasses
import math
import typing
from typing import Literal

from dysr_jax.errors import InputError
from dysr_jax.fields import check_each, normalise
from dysr_jax.model import SearchSpace, space_size

MAX_POPULATION = 16_384
"""Domination is a matrix of `(2 population)^2`."""

MIN_PATCH = 3
"""LR pixels: the metric cuts one off each side."""

Objective = Literal["psnr_y", "latency_ms", "params", "mult_adds"]
"""What can be optimised: PSNR-Y in dB upwards, milliseconds, weights and mult-adds downwards."""

OBJECTIVES: tuple[Objective, ...] = typing.get_args(Objective)
FRONT: tuple[Objective, ...] = ("psnr_y", "latency_ms")
"""The two that every search has: the members are a front of these."""


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """NSGA-II over the trained supernet, and the choice of the members.

    Raises:
        InputError: names the field, its value and what it must be.
    """

    population: int = 64
    """Archs per generation."""
    generations: int = 12
    """Generations, the random first one included."""
    mutation: float | None = None
    """Probability that a gene changes; by default 1 / (2 slots)."""
    crossover: float = 1.0
    """Probability that a child has two parents."""
    patches: int = 16
    """Validation patches on which a candidate's PSNR-Y is computed."""
    patch: int = 32
    """Side of a validation patch, in LR pixels."""
    frame: tuple[int, int] = (180, 320)
    """LR rows and columns of the frame whose latency counts."""
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
    remeasure: bool = False
    """Measure this device's latency table anew, though an earlier run left one."""

    def __post_init__(self) -> None:
        normalise(self, "search.")
        known = set(self.objectives) <= set(OBJECTIVES) and set(FRONT) <= set(self.objectives)
        for names, allowed, needed in (
            ("generations patches rounds", lambda value: value >= 1, "at least 1"),
            ("population members", lambda value: value >= 2, "at least 2"),
            ("population", lambda value: value <= MAX_POPULATION, f"at most {MAX_POPULATION}"),
            ("latency_archs", lambda value: value >= 0, "at least 0"),
            ("patch", lambda value: value >= MIN_PATCH, f"at least {MIN_PATCH}"),
            ("frame", lambda value: min(value) >= 1, "rows and columns of at least 1"),
            ("switch_cost_weight", lambda value: 0 <= value < math.inf, "finite and at least 0"),
            ("mutation crossover", lambda value: 0 <= value <= 1, "in [0, 1]"),
            ("max_latency_ms min_psnr_y", lambda value: 0 < value < math.inf, "finite and above 0"),
            (
                "objectives",
                lambda value: known and len(set(value)) == len(value),
                "psnr_y and latency_ms, with or without params and mult_adds, each once",
            ),
        ):
            check_each(self, "search.", names, allowed, needed)

    def check_space(self, space: SearchSpace) -> None:
        """Refuse a space that cannot be searched.

        Raises:
            InputError: it has one arch, or fewer than `population`.
        """
        if space_size(space) < 2:
            raise InputError("the space has one arch: nothing to search")
        most = space_size(space)
        if self.population > most:
            raise InputError(
                f"search.population must be at most {most}, the space's size, got {self.population}"
            )
