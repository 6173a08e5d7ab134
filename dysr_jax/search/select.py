"""From the archive to the members: the front, the adaptation-aware choice, and their measurement.

At run time the policy moves from a member to its neighbour, so a set of members is worth more the fewer slots
and weights differ between neighbours (the paper's adaptation-aware search). Among all subsets of the front of
a given size that keep its two ends, `choose_ladder` finds the one with the largest

    hypervolume / area of the front's box  -  switch_cost_weight * sum of the steps' costs,

exactly, by dynamic programming over neighbours. The box reaches from the fastest to the best point; a step's
cost is in [0, 1] (`dysr_jax.model.step_costs`). A larger weight gives no higher cost and no larger
hypervolume.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Final, TypedDict

import numpy as np

from dysr_jax import model
from dysr_jax.aot import backend_name
from dysr_jax.bundle import Bundle, make_bundle, make_member
from dysr_jax.data import Pair
from dysr_jax.errors import InputError
from dysr_jax.model import Arch, Params, SearchSpace, Supernet
from dysr_jax.search import pareto
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig, feasible_records
from dysr_jax.search.latency import LatencyTable, predict
from dysr_jax.search.load import expected_psnr_y, load_gains, read_load
from dysr_jax.search.population import archs_psnr_y, bicubic_psnr_y
from dysr_jax.search.probing import measure_archs

SWITCH_COST_WEIGHTS: Final = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Values of `search.switch_cost_weight` that a run's report compares."""


class SharingPoint(TypedDict):
    """The ladder that one switch cost weight chooses."""

    weight: float
    hypervolume_share: float  # of the whole front's hypervolume, in [0, 1]
    resident_bytes: int  # weights of the union of the chosen members
    ensemble_bytes: int  # weights of the chosen members as separate models
    changed_slots: int  # sum over the steps between neighbours
    step_cost: float  # sum over the steps of the cost, each in [0, 1]


def _areas(latency_ms: np.ndarray, psnr_y: np.ndarray) -> np.ndarray:
    """`[n, n]`: area that choosing j right after i adds, in parts of the box; -inf unless i < j."""
    box = (psnr_y[-1] - psnr_y[0]) * (latency_ms[-1] - latency_ms[0]) or 1.0
    areas = (psnr_y[None, :] - psnr_y[:, None]) * (latency_ms[-1] - latency_ms[None, :]) / box
    return np.where(np.triu(np.ones(areas.shape, bool), 1), areas, -np.inf)


def _best_path(gains: np.ndarray, members: int, ends: np.ndarray | None = None) -> list[int]:
    """The path of `members` points from the first on whose gains `[n, n]` sum to most: to the last point, or
    to any, with what it adds as the end, `[n]`.
    """
    count = len(gains)
    if count <= members:
        return list(range(count))
    value, previous = np.where(np.arange(count) == 0, 0.0, -np.inf), []
    for _ in range(1, members):
        through = value[:, None] + gains
        previous.append(through.argmax(0))
        value = through.max(0)
    chosen = [count - 1 if ends is None else int((value + ends).argmax())]
    for step in reversed(previous):
        chosen.append(int(step[chosen[-1]]))
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

    `latency_ms` `[n]` and `psnr_y` `[n]` (dB) increase; the weight is of the steps' costs against the area.
    Raises `InputError`: no arch, one that the space does not have, fewer than 2 members, a negative weight.
    """
    _check(members, [switch_cost_weight])
    gains = _areas(latency_ms, psnr_y) - switch_cost_weight * model.step_costs(space, archs)
    return _best_path(gains, members)


def _columns(records: Sequence[Record]) -> tuple[list[Arch], np.ndarray, np.ndarray]:
    latency_ms, psnr_y = (np.array([getattr(r, name) for r in records]) for name in ("latency_ms", "psnr_y"))
    return [record.arch for record in records], latency_ms, psnr_y


def sharing_curve(
    space: SearchSpace,
    front: Sequence[Record],
    *,
    members: int,
    weights: Iterable[float] = SWITCH_COST_WEIGHTS,
) -> list[SharingPoint]:
    """What sharing costs in hypervolume and saves in weights, one point per weight, in their order.

    `front` is non-dominated and fastest first (`front_records`). Hypervolumes are up to its slowest latency
    and lowest PSNR-Y, as the search saw them. Raises `InputError`: as of `choose_ladder`.
    """
    weights = list(weights)
    _check(members, weights)
    archs, latency_ms, psnr_y = _columns(front)
    costs, changed = model.step_costs(space, archs), model.changed_slots(space, archs)
    points, areas = np.stack([latency_ms, -psnr_y], 1), _areas(latency_ms, psnr_y)
    corner = points.max(0)
    whole = pareto.hypervolume(points, corner)
    curve: list[SharingPoint] = []
    for weight in weights:
        chosen = _best_path(areas - weight * costs, members)
        kept, steps = [archs[i] for i in chosen], (chosen[:-1], chosen[1:])
        point: SharingPoint = {
            "weight": weight,
            "hypervolume_share": pareto.hypervolume(points[chosen], corner) / whole if whole else 1.0,
            "resident_bytes": model.union_weight_bytes(space, kept),
            "ensemble_bytes": model.ensemble_weight_bytes(space, kept),
            "changed_slots": int(changed[steps].sum()),
            "step_cost": float(costs[steps].sum()),
        }
        curve.append(point)
    return curve


def front_records(records: Iterable[Record]) -> list[Record]:
    """The non-dominated records, fastest first."""
    points = list(records)
    return [points[i] for i in pareto.front(*_columns(points)[1:])]


def choose_members(space: SearchSpace, records: Iterable[Record], config: SearchConfig) -> list[Arch]:
    """The archs that are worth compiling, fastest first: a ladder of the feasible front (`choose_ladder`).
    With `config.for_load` it is the ladder of the largest expected PSNR-Y of on-time frames instead
    (`dysr_jax.search.load`), less the steps' costs. Raises `InputError`: no record satisfies the constraints;
    says how many each one excludes.
    """
    columns = _columns(front_records(feasible_records(list(records), config)))
    members, weight = config.members, config.switch_cost_weight
    if config.for_load is not None and config.fps is not None:
        gains, last = load_gains(columns[1], columns[2], read_load(config.for_load), config.fps)
        chosen = _best_path(gains - weight * model.step_costs(space, columns[0]), members, last)
    else:
        chosen = choose_ladder(space, *columns, members=members, switch_cost_weight=weight)
    return [columns[0][i] for i in chosen]


def describe_load(
    space: SearchSpace, records: Iterable[Record], config: SearchConfig, archs: Sequence[Arch]
) -> str:
    """What `archs` are worth under `config.for_load`, beside members chosen for hypervolume; else ""."""
    if config.for_load is None or config.fps is None:
        return ""
    known = {record.arch: record for record in records}
    plain = choose_members(space, known.values(), dataclasses.replace(config, for_load=None, fps=None))
    load = read_load(config.for_load)
    found = [
        expected_psnr_y(*_columns([known[arch] for arch in each])[1:], load, config.fps)
        for each in (archs, plain)
    ]
    return (
        f"expected PSNR-Y of on-time frames at {config.fps:g} frames per second: {found[0]:.3f} dB; "
        f"of members chosen for hypervolume {found[1]:.3f} dB"
    )


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
    backend: str = "auto",
    keep_all: bool = False,
    table: LatencyTable | None = None,
) -> Bundle:
    """Compile archs as static programs, measure them, and bundle the front of those figures.

    Quality is the mean PSNR-Y over the whole `validation` images; `config` gives the frame and the rounds of
    the latencies: of a bank, or of the sessions of another `backend` than XLA. With `keep_all` (archs chosen
    by another cost) what is not on that front is bundled too. With a `table` of another device nothing is
    measured here: latencies are its predictions, and the bundle's device says so.
    """
    space = net.space
    bicubic = bicubic_psnr_y(validation, space.scale)
    quality = archs_psnr_y(net, params, archs, validation)
    members = [make_member(space, a, q, 1.0) for a, q in zip(archs, quality, strict=True)]
    bundle = make_bundle(params, members, net=net, frame=config.frame, bicubic_psnr_y=bicubic)
    if table is None:
        latency = measure_archs(
            bundle.net, bundle.params, archs, config.frame, config.rounds, tune=True, backend=backend
        )
    else:
        predicted = np.asarray(predict(table, space, np.array(archs, np.int32))).tolist()
        latency = {member.name: ms for member, ms in zip(members, predicted, strict=True)}
    timed = [make_member(space, m.arch, m.psnr_y, latency[m.name]) for m in members]
    if not keep_all:
        figures = [(member.latency_ms, member.psnr_y) for member in timed]
        timed = [timed[i] for i in pareto.front(*np.array(figures).T)]
    found = make_bundle(params, timed, net=net, frame=config.frame, bicubic_psnr_y=bicubic)
    if table is not None:
        return dataclasses.replace(found, device=f"{table.key.get('device')}, as its latency table predicts")
    runtime = backend_name(backend)
    return dataclasses.replace(found, device=f"{found.device}, {runtime}") if runtime else found
