"""From the archive to the members: the front, the adaptation-aware choice, and their measurement.

At run time the policy moves from a member to its neighbour, so a set of members is worth more the fewer slots
and weights differ between neighbours (the paper's adaptation-aware search). Among all subsets of the front of
a given size that keep its two ends, `choose_ladder` finds the one with the largest

    hypervolume / area of the front's box  -  switch_cost_weight * sum of the steps' costs,

exactly, by dynamic programming over neighbours. The box reaches from the fastest to the best point; a step's
cost is in [0, 1] (`dysr_jax.model.step_costs`). A larger weight gives a ladder of no higher cost and of no
larger hypervolume; 0 gives the subset of largest hypervolume.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final, TypedDict

import numpy as np

from dysr_jax.bundle import Bundle, make_bundle, make_member
from dysr_jax.data import Pair
from dysr_jax.errors import InputError
from dysr_jax.model import (
    Arch,
    Params,
    SearchSpace,
    Supernet,
    changed_slots,
    ensemble_weight_bytes,
    step_costs,
    union_weight_bytes,
)
from dysr_jax.search import pareto
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig, feasible_records
from dysr_jax.search.pareto import hypervolume
from dysr_jax.search.population import archs_psnr_y, bicubic_psnr_y
from dysr_jax.search.probing import measure_archs

SWITCH_COST_WEIGHTS: Final = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Values of `search.switch_cost_weight` that a run's report compares."""


class SharingPoint(TypedDict):
    """The ladder that one switch cost weight chooses."""

    weight: float
    hypervolume_share: float
    """Of the whole front's hypervolume, in [0, 1]."""
    resident_bytes: int
    """Weights of the union of the chosen members."""
    ensemble_bytes: int
    """Weights of the chosen members as separate models."""
    changed_slots: int
    """Sum over the steps between neighbours."""
    step_cost: float
    """Sum over the steps of the cost, each in [0, 1]."""


def _areas(latency_ms: np.ndarray, psnr_y: np.ndarray) -> np.ndarray:
    """`[n, n]`: area that choosing j right after i adds, in parts of the box; -inf unless i < j."""
    box = (psnr_y[-1] - psnr_y[0]) * (latency_ms[-1] - latency_ms[0]) or 1.0
    areas = (psnr_y[None, :] - psnr_y[:, None]) * (latency_ms[-1] - latency_ms[None, :]) / box
    return np.where(np.triu(np.ones(areas.shape, bool), 1), areas, -np.inf)


def _best_path(gains: np.ndarray, members: int) -> list[int]:
    """The path of `members` points from the first to the last whose gains `[n, n]` sum to most."""
    count = len(gains)
    if count <= members:
        return list(range(count))
    value = np.full((members, count), -np.inf)
    previous = np.zeros((members, count), int)
    value[0, 0] = 0.0
    for step in range(1, members):
        through = value[step - 1][:, None] + gains
        previous[step], value[step] = through.argmax(0), through.max(0)
    chosen = [count - 1]
    for step in range(members - 1, 0, -1):
        chosen.append(int(previous[step, chosen[-1]]))
    return chosen[::-1]


def _check(members: int, weights: Iterable[float]) -> None:
    if members < 2:
        raise InputError(f"members must be at least 2, got {members}")
    for weight in weights:
        if not 0.0 <= weight < math.inf:
            raise InputError(f"switch_cost_weight must be finite and at least 0, got {weight}")


def choose_ladder(
    space: SearchSpace,
    archs: Sequence[Arch],
    latency_ms: np.ndarray,
    psnr_y: np.ndarray,
    *,
    members: int,
    switch_cost_weight: float,
) -> list[int]:
    """Indices of the members, at most so many, chosen of a front that is given fastest first.

    `latency_ms` `[n]` and `psnr_y` `[n]` (dB) increase. `switch_cost_weight` weighs the steps' costs against
    the area.

    Raises:
        InputError: no arch, one that the space does not have, fewer than 2 members, or a negative weight.
    """
    _check(members, [switch_cost_weight])
    gains = _areas(latency_ms, psnr_y) - switch_cost_weight * step_costs(space, archs)
    return _best_path(gains, members)


def sharing_curve(
    space: SearchSpace,
    front: Sequence[Record],
    *,
    members: int,
    weights: Iterable[float] = SWITCH_COST_WEIGHTS,
) -> list[SharingPoint]:
    """What sharing costs in hypervolume and saves in weights, one point per weight, in their order.

    `front` is non-dominated and fastest first (`front_records`). Hypervolumes are up to its slowest latency
    and lowest PSNR-Y, as the search saw them.

    Raises:
        InputError: as of `choose_ladder`.
    """
    weights = list(weights)
    _check(members, weights)
    archs = [record.arch for record in front]
    costs, changed = step_costs(space, archs), changed_slots(space, archs)
    latency_ms = np.array([record.latency_ms for record in front])
    psnr_y = np.array([record.psnr_y for record in front])
    points = np.stack([latency_ms, -psnr_y], 1)
    areas, corner = _areas(latency_ms, psnr_y), points.max(0)
    whole = hypervolume(points, corner)
    curve: list[SharingPoint] = []
    for weight in weights:
        chosen = _best_path(areas - weight * costs, members)
        part = hypervolume(points[chosen], corner)
        kept, steps = [archs[i] for i in chosen], (chosen[:-1], chosen[1:])
        curve.append(
            {
                "weight": weight,
                "hypervolume_share": part / whole if whole else 1.0,
                "resident_bytes": union_weight_bytes(space, kept),
                "ensemble_bytes": ensemble_weight_bytes(space, kept),
                "changed_slots": int(changed[steps].sum()),
                "step_cost": float(costs[steps].sum()),
            }
        )
    return curve


def front_records(records: Iterable[Record]) -> list[Record]:
    """The non-dominated records, fastest first."""
    points = list(records)
    latency = np.array([record.latency_ms for record in points])
    quality = np.array([record.psnr_y for record in points])
    return [points[i] for i in pareto.front(latency, quality)]


def choose_members(space: SearchSpace, records: Iterable[Record], config: SearchConfig) -> list[Arch]:
    """The archs that are worth compiling, fastest first: a ladder of the feasible front (`choose_ladder`).

    Raises:
        InputError: no record satisfies the constraints; says how many each one excludes.
    """
    points = front_records(feasible_records(list(records), config))
    chosen = choose_ladder(
        space,
        [record.arch for record in points],
        np.array([record.latency_ms for record in points]),
        np.array([record.psnr_y for record in points]),
        members=config.members,
        switch_cost_weight=config.switch_cost_weight,
    )
    return [points[i].arch for i in chosen]


def sample_frame(shape: tuple[int, int], pair: Pair) -> np.ndarray:
    """An LR frame `[*shape, 3]` uint8 from a photograph, repeated where that is too small."""
    repeats = [-(-want // have) for want, have in zip(shape, pair.lr.shape[:2], strict=True)]
    return np.tile(pair.lr, (*repeats, 1))[: shape[0], : shape[1]]


def measure_members(
    net: Supernet,
    params: Params,
    archs: Sequence[Arch],
    validation: Sequence[Pair],
    config: SearchConfig,
    *,
    keep_all: bool = False,
) -> Bundle:
    """Compile archs as static programs, measure them, and bundle the front of those figures.

    Quality is the mean PSNR-Y over the whole `validation` images; `config` gives the frame and the rounds of
    the latencies. With `keep_all`, what is not on that front is bundled too: archs that were chosen by
    another cost.
    """
    space, scale = net.space, net.space.scale
    quality = archs_psnr_y(net, params, archs, validation)
    members = [make_member(space, a, q, 1.0) for a, q in zip(archs, quality, strict=True)]
    bicubic = bicubic_psnr_y(validation, scale)
    bundle = make_bundle(params, members, net=net, frame=config.frame, bicubic_psnr_y=bicubic)
    latency = measure_archs(bundle.net, bundle.params, archs, config.frame, config.rounds)
    timed = [make_member(space, m.arch, m.psnr_y, latency[m.name]) for m in members]
    if not keep_all:
        figures = [(member.latency_ms, member.psnr_y) for member in timed]
        timed = [timed[i] for i in pareto.front(*np.array(figures).T)]
    return make_bundle(params, timed, net=net, frame=config.frame, bicubic_psnr_y=bicubic)
