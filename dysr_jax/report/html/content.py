"""A run's data as the page's script reads it."""

import dataclasses
import os
from typing import Any, Final

import numpy as np

from dysr_jax.model.supernet import slot_name
from dysr_jax.report.candidates import Candidates, growth
from dysr_jax.report.comparison import Comparison
from dysr_jax.report.html.packing import Packer
from dysr_jax.report.html.pictures import encode
from dysr_jax.report.html.series import growth_json, stream_json, training_json
from dysr_jax.report.measured import Results, predictions
from dysr_jax.report.rundata import RunData
from dysr_jax.runtime.ladder import steps
from dysr_jax.search.objectives import costs
from dysr_jax.space import SearchSpace

MOST_CANDIDATES: Final = 60_000
"""That are drawn; of more, the front, the members and others evenly in the order of evaluation."""


def _shown(found: Candidates, kept: np.ndarray) -> np.ndarray:
    """Indices of the candidates that are drawn, `kept` among them."""
    count = len(found.psnr_y)
    some = np.linspace(0, count - 1, min(count, MOST_CANDIDATES)).round().astype(int)
    return np.union1d(some, kept)


def _members_rows(found: Candidates | None, results: Results | None) -> list[int | None]:
    """The candidate that became each member."""
    archs = [member.arch for member in results.members] if results else []
    if found is None:
        return [None] * len(archs)
    hits = [np.flatnonzero((found.genes == arch).all(1)) for arch in archs]
    return [int(hit[0]) if len(hit) else None for hit in hits]


def _candidates_json(
    found: Candidates, rows: np.ndarray, space: SearchSpace, packer: Packer
) -> dict[str, Any]:
    genes = found.genes[rows]
    return {
        "count": len(rows),
        "evaluated": len(found.psnr_y),
        "generations": int(found.generation.max()) + 1,
        "genes": packer.add(genes.T, "uint8"),  # a slot after the other: they compress better
        "psnr_y": packer.add(found.psnr_y[rows]),
        "latency_ms": packer.add(found.latency_ms[rows]),
        "generation": packer.add(found.generation[rows], "uint16"),
        "feasible": packer.add(found.feasible[rows], "uint8"),
        "params": packer.add(costs(space, genes, "params")),
        "mult_adds": packer.add(costs(space, genes, "mult_adds")),
        "front": np.searchsorted(rows, found.front).tolist(),
    }


def _results_json(results: Results, rows: list[int | None], space: SearchSpace) -> dict[str, Any]:
    fields = [dataclasses.asdict(member) for member in results.members]
    archs = [member.arch for member in results.members]
    return {
        "device": results.device,
        "bicubic_psnr_y": results.bicubic_psnr_y,
        "resident_bytes": results.resident_bytes,
        "ensemble_bytes": results.ensemble_bytes,
        "sharing": results.sharing,
        "steps": [step.as_json() for step in steps(space, archs)],
        "members": [{**member, "row": row} for member, row in zip(fields, rows, strict=True)],
    }


def _predictions_json(data: RunData) -> dict[str, Any] | None:
    """Points by kind, each with Kendall's tau and the mean relative error."""
    import scipy.stats

    if data.table is None:
        return None
    found = predictions(data.space, data.table, data.results)
    kinds: dict[str, Any] = {}
    for kind in dict.fromkeys(point.kind for point in found):
        points = [point._asdict() for point in found if point.kind == kind]
        guess, true = (
            np.array([p[f"{name}_ms"] for p in points]) for name in ("predicted", "measured")
        )
        tau = float(scipy.stats.kendalltau(guess, true).statistic) if len(points) > 1 else np.nan
        error = float(np.mean(np.abs(guess / true - 1)))
        kinds[kind] = {"points": points, "tau": tau if np.isfinite(tau) else None, "error": error}
    return kinds


def _comparison_json(found: Comparison, packer: Packer) -> dict[str, Any]:
    files, how = encode(found.pictures.values())
    return {
        "image": found.image,
        "scale": found.scale,
        "size": list(found.pictures["HR"].shape[:2]),
        "encoded": how,
        "pictures": [
            {
                "name": name,
                "psnr_y": found.psnr_y.get(name),
                "file": packer.add(np.frombuffer(file, np.uint8), "uint8"),
            }
            for name, file in zip(found.pictures, files, strict=True)
        ],
    }


def content(data: RunData, packer: Packer) -> dict[str, Any]:
    """Everything that the page shows, as JSON with references into `packer`."""
    space, found = data.space, data.candidates
    members = _members_rows(found, data.results)
    if found is not None:
        kept = np.array([row for row in members if row is not None], int)
        rows = _shown(found, np.union1d(found.front, kept))
        members = [None if row is None else int(np.searchsorted(rows, row)) for row in members]
    return {
        "name": os.path.basename(data.path.rstrip("/")) or data.path,  # noqa: PTH119 (it may be gs://)
        "finished": data.finished,
        "missing": data.missing,
        "scale": space.scale,
        "frame": list(data.config.search.frame),
        "table_key": data.table.key if data.table else None,
        "slots": [list(names) for names in space.slots],
        "slot_names": [slot_name(space, slot) for slot in range(len(space.slots))],
        "candidates": None if found is None else _candidates_json(found, rows, space, packer),
        "growth": None if found is None else growth_json(growth(found)),
        "training": training_json(data.training, packer),
        "results": data.results and _results_json(data.results, members, space),
        "space_size": float(np.prod([float(len(names)) for names in space.slots])),
        "sharing_weight": data.config.search.sharing,
        "predictions": _predictions_json(data),
        "comparison": data.comparison and _comparison_json(data.comparison, packer),
        "switch": data.switch,
        "steady": [stream_json(stream, packer) for stream in data.steady],
    }
