"""What a search found, as `pareto.json` and as figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from dysr_jax.data.degradation import upscale
from dysr_jax.data.sources import Pair
from dysr_jax.metrics import psnr_y
from dysr_jax.model.compact import ensemble_weight_bytes, union_weight_bytes
from dysr_jax.report.figures import pareto_figure, samples_figure
from dysr_jax.report.sharing import sharing_figure
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.bundle import Bundle
from dysr_jax.search import pareto
from dysr_jax.search.archive import Record
from dysr_jax.search.latency import LatencyTable, predict
from dysr_jax.search.loop import candidates_per_second
from dysr_jax.search.members import front
from dysr_jax.search.select import SharingPoint
from dysr_jax.space import largest, size

FORMAT_VERSION = 1


def pareto_json(
    bundle: Bundle,
    records: list[Record],
    table: LatencyTable,
    curve: Sequence[SharingPoint],
) -> dict[str, Any]:
    """The content of `pareto.json`.

    The hypervolume is of the members, in ms times dB, up to the predicted latency of the largest arch and
    the PSNR-Y of bicubic.

    Args:
        bundle: of the measured members.
        records: every evaluated candidate.
        table: of the search's latencies.
        curve: of `dysr_jax.search.select.sharing_curve`; its ladders are as the search saw them, before
            members that measured as dominated were dropped.
    """
    space = bundle.space
    archs = [member.arch for member in bundle.members]
    slowest = float(predict(table, space, np.array([largest(space)]))[0])
    latency = np.array([member.latency_ms for member in bundle.members])
    quality = np.array([member.psnr_y for member in bundle.members])
    reference = (slowest, bundle.bicubic_psnr_y)
    return {
        "format_version": FORMAT_VERSION,
        "scale": space.scale,
        "device": bundle.device,
        "frame": list(bundle.frame),
        "space_size": size(space),
        "bicubic_psnr_y": bundle.bicubic_psnr_y,
        "evaluated": len(records),
        "candidates_per_second": candidates_per_second(records),
        "hypervolume": pareto.hypervolume(
            np.stack([latency, -quality], 1), (slowest, -bundle.bicubic_psnr_y)
        ),
        "hypervolume_reference": {"latency_ms": reference[0], "psnr_y": reference[1]},
        "union_weight_bytes": union_weight_bytes(space, archs),
        "ensemble_weight_bytes": ensemble_weight_bytes(space, archs),
        "members": [
            {
                "name": m.name,
                "arch": list(m.arch),
                "psnr_y": m.psnr_y,
                "latency_ms": m.latency_ms,
                "fps": m.fps,
                "params": m.params,
                "macs": m.macs,
            }
            for m in bundle.members
        ],
        "steps": [step.as_json() for step in bundle.steps],
        "sharing": list(curve),
    }


def _samples(bundle: Bundle, pair: Pair) -> dict[str, np.ndarray]:
    """LR, bicubic, the fastest member's output, the best one's, and HR, by title."""
    bank, scale = Bank(bundle), bundle.space.scale
    ends = {"smallest": bundle.members[0].name, "largest": bundle.members[-1].name}
    bank.prepare((pair.lr.shape[0], pair.lr.shape[1]), list(dict.fromkeys(ends.values())))
    outputs = {"bicubic": upscale(pair.lr, scale)}
    outputs |= {f"{end}, {name}": bank(pair.lr, name) for end, name in ends.items()}
    titled = {
        f"{title}\n{float(psnr_y(image, pair.hr, scale)):.2f} dB": image
        for title, image in outputs.items()
    }
    return {f"LR, {pair.name}\nx{scale}": pair.lr, **titled, "HR\n": pair.hr}


def write_run_figures(
    folder: epath.PathLike,
    bundle: Bundle,
    records: Sequence[Record],
    pair: Pair,
    curve: Sequence[SharingPoint],
    *,
    sharing: float,
) -> None:
    """`pareto.png`, `sharing.png` and, of a validation image, `samples.png`.

    Args:
        folder: of the figures, made where it is missing; it may lie in a bucket (`gs://`).
        bundle: of the measured members.
        records: every evaluated candidate.
        pair: the validation image.
        curve: of `dysr_jax.search.select.sharing_curve`.
        sharing: the weight that chose the members.
    """
    place = epath.Path(folder)
    place.mkdir(exist_ok=True)
    rows, columns = bundle.frame
    pareto_figure(
        place / "pareto.png",
        records,
        front(records),
        bundle.members,
        bicubic_psnr_y=bundle.bicubic_psnr_y,
        device=f"{bundle.device}, LR frame {columns}x{rows}, scale {bundle.space.scale}",
    )
    sharing_figure(place / "sharing.png", curve, used=sharing)
    samples_figure(place / "samples.png", _samples(bundle, pair), bundle.space.scale)
