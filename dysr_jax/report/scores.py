"""What members reach on benchmark sets: a table with a pair of columns a set, and JSON."""

from collections.abc import Sequence
from typing import Any

from dysr_jax.device import device_name
from dysr_jax.report.tables import format_table
from dysr_jax.runtime.bundle import Bundle, Member
from dysr_jax.runtime.evaluation import BICUBIC, SetScores


def scores_table(members: Sequence[Member], sets: Sequence[SetScores]) -> str:
    """PSNR-Y in dB and SSIM-Y on each set, bicubic first, then members; below, what the sets are."""
    header = ["member", "weights", "mult-adds"]
    for found in sets:
        header += [f"{found.name} dB", "SSIM"]
    sizes = {BICUBIC: ["", ""]} | {
        m.name: [f"{m.params / 1e3:.1f}K", f"{m.macs / 1e9:.2f}G"] for m in members
    }
    rows = []
    for name, size in sizes.items():
        scores = [found.scores[name] for found in sets]
        rows.append(
            [
                name,
                *size,
                *(cell for s in scores for cell in (f"{s.psnr_y:.2f}", f"{s.ssim_y:.4f}")),
            ]
        )
    lines = [
        f"{found.name}: {found.images} images, LR {_origin(found)}{_failures(found)}"
        for found in sets
    ]
    return "\n".join([format_table(header, rows), *lines])


def _failures(found: SetScores) -> str:
    return f"; {len(found.failed)} more cannot be read" if found.failed else ""


def _origin(found: SetScores) -> str:
    return "as given" if found.lr == "given" else "generated (MATLAB's bicubic)"


def scores_json(
    place: str, bundle: Bundle, members: Sequence[Member], sets: Sequence[SetScores]
) -> dict[str, Any]:
    """The same for programs.

    Args:
        place: where the bundle came from.
        bundle: of the members.
        members: that were measured.
        sets: what was measured of them.
    """
    return {
        "bundle": place,
        "scale": bundle.space.scale,
        "device": device_name(),
        "members": {m.name: {"params": m.params, "mult_adds": m.macs} for m in members},
        "sets": {
            found.name: {
                "images": found.images,
                "lr": found.lr,
                "failed": [str(failure.path) for failure in found.failed],
                "scores": {name: score._asdict() for name, score in found.scores.items()},
            }
            for found in sets
        },
    }
