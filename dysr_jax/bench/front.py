"""How near a search came to the true front: its whole space, evaluated with its own weights."""

import dataclasses
import os
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from etils import epath
from jax.sharding import Mesh

from dysr_jax import parallel
from dysr_jax.config import load_config
from dysr_jax.data import make_pairs, split_source
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.model import (
    SUPERNET,
    Params,
    SearchSpace,
    Supernet,
    arch_names,
    counts,
    load_supernet,
    make_supernet,
    size,
    to_archs,
)
from dysr_jax.results import RESULTS_FILE, front_hypervolume
from dysr_jax.search import (
    Archive,
    Evaluator,
    LatencyTable,
    Patches,
    Record,
    branch_ms,
    feasible,
    front,
    grid_patches,
    load_table,
    predict,
)

MOST_ARCHS: Final = 50_000
"""Two CPU cores evaluate some 100 per second."""


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
        InputError: the space has more than `MOST_ARCHS` archs.
    """
    space = net.space
    if size(space) > MOST_ARCHS:
        raise InputError(
            f"a space of {size(space):,} archs: must have at most {MOST_ARCHS:,}, to evaluate all"
        )
    limits = counts(space)
    genes = np.indices(limits).reshape(len(limits), -1).T.astype(np.int32)
    evaluate = Evaluator(net, patches, mesh, costs=branch_ms(table, space))
    params = parallel.replicate(params, mesh)
    evaluate.prepare(params, genes)
    start = time.perf_counter()
    quality = evaluate(params, genes)
    seconds = time.perf_counter() - start
    return SpaceEvaluation(genes, quality, np.asarray(predict(table, space, genes)), seconds)


@dataclasses.dataclass(frozen=True)
class FrontResult:
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
        every, seen = _points(self.every), _points(self.found)
        reference = every[:, 0].max(), every[:, 1].min()
        whole = front_hypervolume(every, reference)
        if not whole:
            return [1.0] * len(self.found)
        return [front_hypervolume(seen[: n + 1], reference) / whole for n in range(len(self.found))]

    def to_json(self) -> dict[str, Any]:
        """The figures; fronts as rows of name, PSNR-Y and latency."""
        shares = self.shares
        reached = [n for n, share in enumerate(shares, 1) if share >= 0.99]
        return {
            "device": self.device,
            "space_size": size(self.space),
            "allowed": len(self.every),
            "evaluated": len(self.found),
            "hypervolume_share": shares[-1] if shares else 0.0,
            "evaluations_to_99": reached[0] if reached else None,
            "seconds": self.seconds,
            "candidates_per_second": size(self.space) / self.seconds,
            "true_front": _rows(front(self.every)),
            "found_front": _rows(front(self.found)),
        }


def _points(records: Sequence[Record]) -> np.ndarray:
    """`[N, 2]`: ms and dB."""
    return np.array([(r.latency_ms, r.psnr_y) for r in records]).reshape(-1, 2)


def _rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [{"name": r.name, "psnr_y": r.psnr_y, "latency_ms": r.latency_ms} for r in records]


def bench_front(run: str | os.PathLike[str]) -> FrontResult:
    """Evaluate every arch of a run's space, to see what its search missed.

    Args:
        run: directory of a finished run, or `gs://BUCKET/RUN`; of a space of at most 50,000 archs.

    Raises:
        InputError: no finished run there, one with weights of its own that are gone, or a larger space.
    """
    place = epath.Path(run)
    if not (place / RESULTS_FILE).exists():
        raise InputError(f"run {os.fspath(run)!r}: must be the folder of a finished search")
    config = load_config(place / "config.json", trained=True)
    space = config.space.build()
    net = make_supernet(space, config.dtype)
    validation = make_pairs(split_source(config.data, space.scale)[1], space.scale)
    patches = grid_patches(validation, config.search.patches, config.search.patch)
    params = load_supernet(config.weights or place / SUPERNET, space)
    table = load_table(place / "latency.json", {})  # of whatever device the run was on
    found = evaluate_space(net, params, patches, table, parallel.device_mesh(config.devices))
    records = _records(space, found)
    every = feasible(list(records.values()), config.search)
    allowed = {record.arch for record in every}
    seen = [records[arch] for arch in Archive(place / "archive.jsonl", write=False).records]
    return FrontResult(
        device_name(), space, every, [record for record in seen if record.arch in allowed], found.seconds
    )


def _records(space: SearchSpace, found: SpaceEvaluation) -> dict[tuple[int, ...], Record]:
    """As the archive has them, each with its share of the time."""
    names, archs = arch_names(space, found.genes), to_archs(space, found.genes)
    share = found.seconds / len(found.genes)
    figures = zip(names, archs, found.psnr_y.tolist(), found.latency_ms.tolist(), strict=True)
    return {arch: Record(name, arch, psnr, ms, 0, share) for name, arch, psnr, ms in figures}
