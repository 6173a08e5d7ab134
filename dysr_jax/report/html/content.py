"""A run's data as the page's scripts read it: thinned to what a screen can show, packed as text."""

import base64
import gzip
import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from dysr_jax.model import SearchSpace, gene_names
from dysr_jax.report.candidates import Candidates, growth
from dysr_jax.report.comparison import Comparison, encode_image
from dysr_jax.report.rundata import RunData, SteadyStream
from dysr_jax.results import Results, latency_predictions
from dysr_jax.search import PARTS, Laps, arch_costs
from dysr_jax.train import Curve

ALIGNMENT: Final = 4  # bytes: where typed arrays of JavaScript may begin


def compress(content: bytes) -> str:
    """Bytes as base64 of gzip; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


class Packer:
    """Collects arrays; JSON names them by what `add` returns.

    The packed bytes are: uint32 length of the JSON, the JSON `{"arrays": [{kind, offset, length}, ...],
    "content": ...}`, padding to a multiple of four, and the arrays, each padded likewise, little-endian.
    Offsets count from the first array.
    """

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []
        self._bytes = bytearray()

    def add(self, values: Any, kind: str = "float32") -> dict[str, int]:
        """A reference to these numbers, flattened; `kind` is uint8, uint16, int32 or float32."""
        array = np.ascontiguousarray(values, np.dtype(kind).newbyteorder("<")).reshape(-1)
        self._entries.append({"kind": kind, "offset": len(self._bytes), "length": array.size})
        self._bytes += _padded(array.tobytes())
        return {"array": len(self._entries) - 1}

    def pack(self, content: Any) -> str:
        """All of it, compressed, as base64; `content` is JSON without NaN, with references in it."""
        fields = {"arrays": self._entries, "content": content}
        head = _padded(json.dumps(fields, allow_nan=False).encode(), b" ")
        return compress(len(head).to_bytes(ALIGNMENT, "little") + head + bytes(self._bytes))


def _padded(content: bytes, fill: bytes = b"\0") -> bytes:
    return content + fill * (-len(content) % ALIGNMENT)


MOST_BYTES: Final = 1_200_000  # of all pictures of a page
QUALITIES: Final = (95, 90, 80, 65, 50, 30)
"""Of WebP, tried in this order; artefacts are below what members differ by at the first ones."""
MOST_POINTS: Final = 2_000  # of a curve
MOST_FRAMES: Final = 12_000  # of a stream
MOST_CANDIDATES: Final = 60_000
"""That are drawn; of more, the front, the members and others evenly in the order of evaluation."""


def content(data: RunData, packer: Packer) -> dict[str, Any]:
    """Everything that the page shows, as JSON with references into `packer`."""
    space, found, results = data.space, data.candidates, data.results
    members = _member_rows(found, results)
    if found is not None:
        kept = np.array([row for row in members if row is not None], int)
        rows = np.union1d(_every(len(found.psnr_y), MOST_CANDIDATES), np.union1d(found.front, kept))
        members = [None if row is None else int(np.searchsorted(rows, row)) for row in members]
    return {
        "name": os.path.basename(data.path.rstrip("/")) or data.path,  # noqa: PTH119 (it may be gs://)
        "finished": data.finished,
        "missing": data.missing,
        "scale": space.scale,
        "frame": list(data.config.search.frame),
        "table_key": data.table.key if data.table else None,
        "genes": [list(names) for names in space.genes],
        "gene_names": gene_names(space),
        "candidates": None if found is None else _candidates_json(found, rows, space, packer),
        "growth": None if found is None else _growth_json(found),
        "clock": data.laps and _clock_json(data.laps),
        "taus": None if found is None or not found.taus else _taus_json(found.taus),
        "training": _training_json(data.training, packer),
        "results": results and _results_json(results, members),
        "space_size": float(np.prod([float(len(names)) for names in space.genes])),
        "sharing_weight": data.config.search.switch_cost_weight,
        "predictions": _predictions_json(data),
        "comparison": data.comparison and _comparison_json(data.comparison, packer),
        "switch": data.switch and data.switch.to_json(),
        "steady": [stream_json(stream, packer) for stream in data.steady],
    }


def _every(count: int, most: int) -> np.ndarray:
    """Indices of at most `most` of `count` points, both ends among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _training_json(curves: dict[str, Curve], packer: Packer) -> list[dict[str, Any]]:
    """Each scalar's name, steps and values; none that has no finite value."""
    found = []
    for name, curve in curves.items():
        finite = np.flatnonzero(np.isfinite(curve.value))
        if len(finite):
            kept = finite[_every(len(finite), MOST_POINTS)]
            steps, values = packer.add(curve.step[kept], "int32"), packer.add(curve.value[kept])
            found.append({"name": name, "step": steps, "value": values})
    return found


def _growth_json(found: Candidates) -> dict[str, Any]:
    grown = growth(found)
    reference = dict(zip(("latency_ms", "psnr_y"), grown.reference, strict=True))
    evaluated, volumes = grown.evaluated.tolist(), grown.hypervolume.tolist()
    return {"evaluated": evaluated, "hypervolume": volumes, "reference": reference}


def _clock_json(laps: Laps) -> dict[str, Any]:
    """Seconds of each generation and of the whole search, by part."""
    generations, every = laps.generations(), laps.by_stage.values()
    return {
        "generation": [lap.stage for lap in generations],
        "evaluated": sum(lap.evaluated for lap in every),
        "parts": {name: [getattr(lap.seconds, name) for lap in generations] for name in PARTS},
        "total": {name: math.fsum(getattr(lap.seconds, name) for lap in every) for name in PARTS},
    }


def _taus_json(taus: Mapping[int, float]) -> dict[str, Any]:
    """Kendall's tau of the surrogate, by generation."""
    return {"generation": [*taus], "tau": [*taus.values()]}


def stream_json(stream: SteadyStream, packer: Packer) -> dict[str, Any]:
    """A stream's frames and what they add up to."""
    trace, names = stream.trace, list(stream.trace.psnr_y)
    late = np.array([frame.late for frame in trace.frames], bool)
    kept = _every(len(late), MOST_FRAMES)
    if len(kept) < len(late):  # no late frame is left out, up to as many again
        rest = np.flatnonzero(late)
        kept = np.union1d(kept, rest[_every(len(rest), MOST_FRAMES)] if len(rest) else rest)
    frames = [trace.frames[i] for i in kept]
    return {
        "name": stream.name,
        "fps": trace.fps,
        "members": [{"name": name, "psnr_y": value} for name, value in trace.psnr_y.items()],
        "summary": {**trace.summary(), "true_psnr_y": stream.true_psnr_y},
        "load": [list(point) for point in stream.load],
        "shown": len(frames),
        "seconds": packer.add([frame.done_s for frame in frames]),
        "frame_ms": packer.add([frame.frame_ms for frame in frames]),
        "member": packer.add([names.index(frame.member) for frame in frames], "uint16"),
        "late": packer.add(late[kept], "uint8"),
    }


def _member_rows(found: Candidates | None, results: Results | None) -> list[int | None]:
    archs = [member.arch for member in results.members] if results else []
    if found is None:
        return [None] * len(archs)
    hits = [np.flatnonzero((found.genes == arch).all(1)) for arch in archs]
    return [int(hit[0]) if len(hit) else None for hit in hits]


def _candidates_json(found: Candidates, rows: np.ndarray, space: SearchSpace, packer: Packer) -> Any:
    genes = found.genes[rows]
    return {
        "count": len(rows),
        "evaluated": len(found.psnr_y),
        "generations": int(found.generation.max()) + 1,
        "genes": packer.add(genes.T, "uint8"),  # a gene after the other: they compress better
        "psnr_y": packer.add(found.psnr_y[rows]),
        "latency_ms": packer.add(found.latency_ms[rows]),
        "generation": packer.add(found.generation[rows], "uint16"),
        "feasible": packer.add(found.feasible[rows], "uint8"),
        **{cost: packer.add(arch_costs(space, genes, cost)) for cost in ("params", "mult_adds")},
        "front": np.searchsorted(rows, found.front).tolist(),
    }


def _results_json(results: Results, rows: list[int | None]) -> dict[str, Any]:
    members = [member.to_json() for member in results.members]
    return {
        "device": results.device,
        "bicubic_psnr_y": results.bicubic_psnr_y,
        "resident_bytes": results.union_weight_bytes,
        "ensemble_bytes": results.ensemble_weight_bytes,
        "sharing": list(results.sharing),
        "steps": [step.to_json() for step in results.steps],
        "members": [{**member, "row": row} for member, row in zip(members, rows, strict=True)],
    }


def _predictions_json(data: RunData) -> dict[str, Any] | None:
    """Points by kind, each with Kendall's tau and the mean relative error."""
    import scipy.stats

    if data.table is None:
        return None
    found = latency_predictions(data.space, data.table, data.results)
    kinds: dict[str, Any] = {}
    for kind in dict.fromkeys(point.kind for point in found):
        points = [point for point in found if point.kind == kind]
        guess, true = np.array([(point.predicted_ms, point.measured_ms) for point in points]).T
        tau = float(scipy.stats.kendalltau(guess, true).statistic) if len(points) > 1 else np.nan
        kinds[kind] = {
            "points": [point._asdict() for point in points],
            "tau": tau if np.isfinite(tau) else None,
            "error": float(np.mean(np.abs(guess / true - 1))),
        }
    return kinds


def encode_pictures(pictures: Iterable[np.ndarray], most: int = MOST_BYTES) -> tuple[list[bytes], str]:
    """Pictures `[H, W, 3]` uint8 as WebP, and how they were encoded: lossless where they fit into `most`
    bytes, else all at the best quality that does, or the lowest.
    """
    pictures = list(pictures)
    ways: list[tuple[str, dict[str, Any]]] = [("lossless", {"lossless": True})]
    ways += [(f"WebP, quality {q}", {"quality": q, "method": 6}) for q in QUALITIES]
    for encoding, options in ways:
        files = [encode_image(picture, "WEBP", **options) for picture in pictures]
        if sum(map(len, files)) <= most:
            return files, encoding
    return files, encoding


def _comparison_json(found: Comparison, packer: Packer) -> dict[str, Any]:
    files, encoding = encode_pictures(found.pictures.values())
    pictures = []
    for name, file in zip(found.pictures, files, strict=True):
        reference = packer.add(np.frombuffer(file, np.uint8), "uint8")
        pictures.append({"name": name, "psnr_y": found.psnr_y.get(name), "file": reference})
    return {
        "image": found.image,
        "scale": found.scale,
        "size": list(found.pictures["HR"].shape[:2]),
        "encoded": encoding,
        "pictures": pictures,
    }
