"""How near a search came to the true front: its whole space, evaluated with its own weights."""

import dataclasses
import functools
import os
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from etils import epath
from jax.sharding import Mesh

from dysr_jax import model, parallel, search
from dysr_jax.config import load_config
from dysr_jax.data import make_pairs, split_source
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.model import Params, SearchSpace, Supernet, space_size
from dysr_jax.results import RESULTS_FILE, front_hypervolume, quality_points
from dysr_jax.search import LatencyTable, Patches, Record

MOST_ARCHS: Final = 50_000  # two CPU cores evaluate some 100 per second


def evaluate_space(
    net: Supernet, params: Params, patches: Patches, table: LatencyTable, mesh: Mesh
) -> list[Record]:
    """Evaluate every arch as the search does: records in lexicographic order, each with its share of the
    time, compilation apart. An InputError where the space has more than `MOST_ARCHS` archs.
    """
    space, size = net.space, space_size(net.space)
    if size > MOST_ARCHS:
        raise InputError(f"a space of {size:,} archs: must have at most {MOST_ARCHS:,}, to evaluate all")
    limits = model.gene_counts(space)
    genes = np.indices(limits).reshape(len(limits), -1).T.astype(np.int32)
    costs = functools.partial(search.branch_ms, table, space)
    evaluate = search.Evaluator(net, patches, mesh, costs=costs)
    params = parallel.replicate(params, mesh)
    evaluate.prepare(params, genes)
    start = time.perf_counter()
    quality = evaluate(params, genes)
    share = (time.perf_counter() - start) / len(genes)
    latency = np.asarray(search.predict(table, space, genes))
    named = zip(model.arch_names(space, genes), model.to_archs(space, genes), strict=True)
    found = zip(named, quality.tolist(), latency.tolist(), strict=True)
    return [Record(*names, psnr_y, ms, 0, share) for names, psnr_y, ms in found]


@dataclasses.dataclass(frozen=True)
class FrontResult:
    """A space and what a search saw of it, by the same figures."""

    device: str
    space: SearchSpace
    every: list[Record] = dataclasses.field(hash=False)  # those that satisfy the search's constraints
    found: list[Record] = dataclasses.field(hash=False)  # of them what the search evaluated, in its order
    seconds: float  # of evaluating the whole space, compilation apart

    @property
    def shares(self) -> list[float]:
        """Of the true front's hypervolume, after 1, 2, ... evaluations; up to the worst arch of all."""
        every, seen = quality_points(self.every), quality_points(self.found)
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
            "space_size": space_size(self.space),
            "allowed": len(self.every),
            "evaluated": len(self.found),
            "hypervolume_share": shares[-1] if shares else 0.0,
            "evaluations_to_99": reached[0] if reached else None,
            "seconds": self.seconds,
            "candidates_per_second": space_size(self.space) / self.seconds,
            "true_front": _rows(search.front_records(self.every)),
            "found_front": _rows(search.front_records(self.found)),
        }


def _rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [{"name": r.name, "psnr_y": r.psnr_y, "latency_ms": r.latency_ms} for r in records]


def bench_front(run: str | os.PathLike[str]) -> FrontResult:
    """Evaluate every arch of the space of a finished run (also in `gs://`), to see what its search missed.

    Raises InputError: no finished run there, one with weights of its own that are gone, or a larger space.
    """
    place = epath.Path(run)
    if not (place / RESULTS_FILE).exists():
        raise InputError(f"run {os.fspath(run)!r}: must be the folder of a finished search")
    config = load_config(place / "config.json", trained=True)
    space = config.space.build()
    net = model.make_supernet(space, config.dtype, layers=config.layers)
    validation = make_pairs(split_source(config.data, space.scale)[1], space.scale)
    patches = search.grid_patches(validation, config.search.patches, config.search.patch)
    params = model.load_supernet(config.weights or place / model.SUPERNET_FILE, space)
    table = search.load_table(place / "latency.json")  # of whatever device the run was on
    records = evaluate_space(net, params, patches, table, parallel.device_mesh(config.devices))
    every = search.feasible_records(records, config.search)
    allowed = {record.arch: record for record in every}
    seen = search.Archive(place / "archive.jsonl", write=False).records
    found = [allowed[arch] for arch in seen if arch in allowed]
    return FrontResult(device_name(), space, every, found, sum(record.seconds for record in records))
