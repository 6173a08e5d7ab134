"""What the search can be told."""

import dataclasses
import math
import typing
from typing import Literal

from dysr_jax.errors import InputError
from dysr_jax.fields import normalise
from dysr_jax.model import SearchSpace, size

MAX_POPULATION = 16_384
"""Domination is a matrix of `(2 population)^2`."""

MIN_PATCH = 3
"""LR pixels: the metric cuts one off each side."""


Objective = Literal["psnr_y", "latency_ms", "params", "mult_adds"]
"""What can be optimised: PSNR-Y in dB upwards, milliseconds, weights and mult-adds downwards."""

OBJECTIVES: tuple[Objective, ...] = typing.get_args(Objective)
"""All of them."""

FRONT: tuple[Objective, ...] = ("psnr_y", "latency_ms")
"""The two that every search has: the members are a front of these."""


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """NSGA-II over the trained supernet, and the choice of the members."""

    population: int = 64
    """Archs of a generation."""
    generations: int = 12
    """Generations, the random first one included."""
    mutation: float = 0.0
    """Probability that a gene changes; 0 means 1 / (2 slots)."""
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
    max_latency_ms: float = 0.0
    """Milliseconds that a candidate's predicted latency may be at most; 0 means no bound."""
    min_psnr_y: float = 0.0
    """dB that a candidate's PSNR-Y on the validation patches has to reach; 0 means no bound."""
    rounds: int = 15
    """Timed rounds for each latency."""
    latency: str = ""
    """A latency table that `dysr profile` wrote for this device, to search with; empty measures one."""
    latency_archs: int = 0
    """Random archs that a latency table is fitted to, beside one probe a branch."""
    members: int = 8
    """Sub-graphs of the front that are compiled and measured again; the non-dominated ones are kept."""
    sharing: float = 0.03
    """How much it counts, in choosing members, that neighbours share weights: 0 is hypervolume alone."""
    remeasure: bool = False
    """Measure this device's latency table anew, though an earlier run left one."""

    def __post_init__(self) -> None:
        normalise(self, "search.")


def check_config(config: SearchConfig, space: SearchSpace) -> None:
    """Refuse what cannot be searched.

    Raises:
        InputError: names the field, its value and what is allowed.
    """
    for name in ("generations", "patches", "rounds"):
        if getattr(config, name) < 1:
            raise InputError(f"search.{name} {getattr(config, name)}: allowed is 1 or more")
    if config.latency_archs < 0:
        raise InputError(f"search.latency_archs {config.latency_archs}: allowed is 0 or more")
    if config.patch < MIN_PATCH:
        raise InputError(f"search.patch {config.patch}: allowed is {MIN_PATCH} or more")
    if min(config.frame) < 1:
        raise InputError(f"search.frame {config.frame}: allowed are rows and columns of 1 or more")
    if size(space) < 2:
        raise InputError("the space has one arch: nothing to search")
    most = min(size(space), MAX_POPULATION)
    if not 2 <= config.population <= most:
        why = "the space's size" if most == size(space) else "which NSGA-II sorts in memory"
        raise InputError(f"search.population {config.population}: allowed is 2 to {most}, {why}")
    if config.members < 2:
        raise InputError(f"search.members {config.members}: allowed is 2 or more")
    if not 0.0 <= config.sharing < math.inf:
        raise InputError(f"search.sharing {config.sharing}: allowed are finite values of 0 or more")
    for name in ("mutation", "crossover"):
        if not 0.0 <= getattr(config, name) <= 1.0:
            raise InputError(f"search.{name} {getattr(config, name)}: allowed is 0 to 1")
    for name in ("max_latency_ms", "min_psnr_y"):
        if not 0.0 <= getattr(config, name) < math.inf:
            raise InputError(
                f"search.{name} {getattr(config, name)}: allowed are finite values above 0, or 0 for no bound"
            )
    _check_objectives(config.objectives)


def _check_objectives(objectives: tuple[Objective, ...]) -> None:
    known = set(objectives) <= set(OBJECTIVES)
    if not known or not set(FRONT) <= set(objectives) or len(set(objectives)) < len(objectives):
        raise InputError(
            f"search.objectives {objectives}: allowed are {' and '.join(FRONT)}, with or without "
            f"{' and '.join(name for name in OBJECTIVES if name not in FRONT)}, each once"
        )
