"""The figures that a search leaves beside its results."""

from collections.abc import Sequence

import numpy as np
from etils import epath

from dysr_jax.bundle import Bundle
from dysr_jax.data import Pair, upscale
from dysr_jax.metrics import psnr_y
from dysr_jax.report.plots import pareto_figure, samples_figure, sharing_figure
from dysr_jax.runtime import Bank
from dysr_jax.search import Record, SharingPoint, front_records


def _samples(bundle: Bundle, pair: Pair) -> dict[str, np.ndarray]:
    """LR, bicubic, the fastest member's output, the best one's, and HR, by title."""
    bank, scale = Bank(bundle), bundle.space.scale
    ends = {"smallest": bundle.members[0].name, "largest": bundle.members[-1].name}
    bank.prepare((pair.lr.shape[0], pair.lr.shape[1]), list(dict.fromkeys(ends.values())))
    outputs = {"bicubic": upscale(pair.lr, scale)}
    outputs |= {f"{end}, {name}": bank(pair.lr, name) for end, name in ends.items()}
    titled = {
        f"{title}\n{float(psnr_y(image, pair.hr, scale)):.2f} dB": image for title, image in outputs.items()
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
        front_records(records),
        bundle.members,
        bicubic_psnr_y=bundle.bicubic_psnr_y,
        device=f"{bundle.device}, LR frame {columns}x{rows}, scale {bundle.space.scale}",
    )
    sharing_figure(place / "sharing.png", curve, used=sharing)
    samples_figure(place / "samples.png", _samples(bundle, pair), bundle.space.scale)
