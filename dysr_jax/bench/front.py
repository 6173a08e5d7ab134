"""How near a search came to the true front: its whole space, evaluated with its own weights.

Every arch of a space that is small enough: what a search looks for, known beforehand.
"""

import dataclasses
import json
import os
import time
from typing import Any, Final, NamedTuple

import numpy as np
from etils import epath
from jax.sharding import Mesh

from dysr_jax import parallel
from dysr_jax.config import RunConfig, from_dict
from dysr_jax.data import make_pairs, split_source
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.model import (
    SUPERNET_FILE,
    Params,
    SearchSpace,
    Supernet,
    arch_names,
    branch_counts,
    load_supernet,
    make_supernet,
    space_size,
    to_archs,
)
from dysr_jax.search import (
    Archive,
    Evaluator,
    LatencyTable,
    Patches,
    Record,
    branch_ms,
    feasible_records,
    front_records,
    grid_patches,
    load_table,
    pareto,
    predict,
)

MAX_ARCHS: Final = 50_000
"""Archs; on two CPU cores some 100 a second are evaluated."""


class SpaceEvaluation(NamedTuple):
    """All archs of a space with their figures."""

    genes: np.ndarray
    """int32 `[N, slots]`, in lexicographic order."""
    psnr_y: np.ndarray
    """`[N]` dB, on the validation patches."""
    latency_ms: np.ndarray
    """`[N]`, as the latency table predicts it."""
    seconds: float
    """Of evaluating all, compilation apart."""


def evaluate_space(
    net: Supernet, params: Params, patches: Patches, table: LatencyTable, mesh: Mesh
) -> SpaceEvaluation:
    """Evaluate every arch as the search does.

    Args:
        net: the supernet.
        params: its trained weights.
        patches: what quality is measured on.
        table: this device's latencies.
        mesh: the devices.

    Raises:
        InputError: the space has more than `MAX_ARCHS` archs.
    """
    space = net.space
    if space_size(space) > MAX_ARCHS:
        raise InputError(
            f"a space of {space_size(space):,} archs: allowed are up to {MAX_ARCHS:,}, to evaluate all"
        )
    limits = branch_counts(space)
    genes = np.indices(limits).reshape(len(limits), -1).T.astype(np.int32)
    evaluate = Evaluator(net, patches, mesh, costs=branch_ms(table, space))
    params = parallel.replicate(params, mesh)
    evaluate.prepare(params, genes)
    start = time.perf_counter()
    quality = evaluate(params, genes)
    seconds = time.perf_counter() - start
    return SpaceEvaluation(genes, quality, np.asarray(predict(table, space, genes)), seconds)


@dataclasses.dataclass(frozen=True)
class FrontCheck:
    """A space and what a search saw of it, by the same figures."""

    device: str
    space: SearchSpace
    every: list[Record] = dataclasses.field(hash=False)
    """Every arch of the space that satisfies the search's constraints."""
    found: list[Record] = dataclasses.field(hash=False)
    """Those that the search evaluated, in its order."""
    seconds: float
    """Of evaluating the whole space, compilation apart."""

    @property
    def shares(self) -> list[float]:
        """Of the true front's hypervolume, after 1, 2, ... evaluations; up to the worst arch of all."""
        points = _points(self.every)
        corner = points.max(0)
        whole = pareto.hypervolume(points, corner)
        seen = _points(self.found)
        if not whole:
            return [1.0] * len(seen)
        return [pareto.hypervolume(seen[: n + 1], corner) / whole for n in range(len(seen))]

    def to_json(self) -> dict[str, Any]:
        """The figures; fronts as rows of name, PSNR-Y and latency."""
        shares = self.shares
        reached = [n for n, share in enumerate(shares, 1) if share >= 0.99]
        return {
            "device": self.device,
            "space_size": space_size(self.space),
            "allowed": len(self.every),
            "evaluated": len(self.found),
            "hypervolume_share": shares[-1] if shares else 0.0,
            "evaluations_to_99": reached[0] if reached else None,
            "seconds": self.seconds,
            "candidates_per_second": space_size(self.space) / self.seconds,
            "true_front": _rows(front_records(self.every)),
            "found_front": _rows(front_records(self.found)),
        }


def _points(records: list[Record]) -> np.ndarray:
    """`[N, 2]`, minimised."""
    return np.array([[r.latency_ms, -r.psnr_y] for r in records]).reshape(-1, 2)


def _rows(records: list[Record]) -> list[dict[str, Any]]:
    return [{"name": r.name, "psnr_y": r.psnr_y, "latency_ms": r.latency_ms} for r in records]


def bench_front(run: str | os.PathLike[str]) -> FrontCheck:
    """Evaluate every arch of a run's space, to see what its search missed.

    Args:
        run: directory of a finished run, or `gs://BUCKET/RUN`; of a space of 50,000 archs at most.

    Returns:
        Every arch, with the run's weights, patches and latency table.

    Raises:
        InputError: no finished run there, one with weights of its own that are gone, or a larger space.
    """
    place = epath.Path(run)
    config = _config(place)
    space = config.space.build()
    net = make_supernet(space, config.dtype, layers=config.layers)
    validation = make_pairs(split_source(config.data, space.scale)[1], space.scale)
    patches = grid_patches(validation, config.search.patches, config.search.patch)
    params = load_supernet(config.weights or place / SUPERNET_FILE, space)
    table = load_table(place / "latency.json")  # of whatever device the run was on
    mesh = parallel.device_mesh(config.devices)
    all_archs = _records(space, evaluate_space(net, params, patches, table, mesh))
    archive = Archive(place / "archive.jsonl", write=False)
    seen = [all_archs[arch] for arch in archive.records]
    every = feasible_records(list(all_archs.values()), config.search)
    allowed = {record.arch for record in every}
    found = [record for record in seen if record.arch in allowed]
    seconds = sum(record.seconds for record in all_archs.values())
    return FrontCheck(device_name(), space, every, found, seconds)


def _config(run: epath.Path) -> RunConfig:
    """Of a finished run."""
    if not (run / "pareto.json").exists():
        raise InputError(f"run {os.fspath(run)!r}: allowed is the folder of a finished search")
    path = run / "config.json"
    try:
        fields = json.loads(path.read_text())
    except (OSError, ValueError):
        raise InputError(f"run {os.fspath(run)!r}: its config.json is missing or damaged") from None
    return from_dict(RunConfig, fields, path)


def _records(space: SearchSpace, found: SpaceEvaluation) -> dict[tuple[int, ...], Record]:
    """As the archive has them, each with its share of the time."""
    share = found.seconds / len(found.genes)
    figures = zip(
        arch_names(space, found.genes),
        to_archs(space, found.genes),
        found.psnr_y.tolist(),
        found.latency_ms.tolist(),
        strict=True,
    )
    return {
        arch: Record(name, arch, psnr_y, latency_ms, 0, share) for name, arch, psnr_y, latency_ms in figures
    }
