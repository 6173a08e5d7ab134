"""The members: measured, branch by branch, in bytes, and what they make of an image."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dysr_jax.model.compact import ensemble_weight_bytes, union_weight_bytes
from dysr_jax.report.comparison import Comparison
from dysr_jax.report.figures import BLUE, ORANGE, draw_members, draw_samples
from dysr_jax.report.measured import Results
from dysr_jax.report.paper.page import COLUMN, PAGE, new_figure
from dysr_jax.runtime.bundle import Member
from dysr_jax.space import SearchSpace

DETAIL: Final = 96
"""Side of the compared detail, HR pixels."""


def members_figure(results: Results) -> Any:
    """The measured members, numbered, and bicubic."""
    figure = new_figure(COLUMN, 2.6)
    axes = figure.subplots()
    draw_members(axes, results.members, results.bicubic_psnr_y)
    axes.set_ylabel("PSNR-Y on whole images, dB")
    return figure


def _unit(most: float) -> tuple[float, str]:
    return (1e6, "MB") if most >= 1e6 else (1e3, "KB")


def memory_figure(space: SearchSpace, members: Sequence[Member]) -> Any:
    """Bytes of the first members' weights: as one set that they share, and as separate models."""
    archs = [member.arch for member in members]
    ways = {"separate models": ensemble_weight_bytes, "shared and resident": union_weight_bytes}
    counts = np.arange(1, len(archs) + 1)
    lines = {name: np.array([way(space, archs[:n]) for n in counts]) for name, way in ways.items()}
    separate, shared = lines.values()
    unit, name = _unit(float(separate[-1]))
    figure = new_figure(COLUMN, 2.2)
    axes = figure.subplots()
    for (label, sizes), style, colour in zip(
        lines.items(), ("s--", "o-"), (ORANGE, BLUE), strict=True
    ):
        axes.plot(counts, sizes / unit, style, color=colour, markersize=4, label=label)
    told = f"{100 * (1 - shared[-1] / separate[-1]):.0f} % less"
    axes.annotate(
        told, (counts[-1], shared[-1] / unit), (-4, 7), textcoords="offset points", ha="right"
    )
    axes.set_xlabel("members, fastest first")
    axes.set_ylabel(f"weights, {name}")
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    return figure


def comparison_figure(found: Comparison) -> Any:
    """LR, bicubic, the fastest member, the best one and HR."""
    made = [name for name in found.pictures if name not in ("LR", "bicubic", "HR")]
    ends = dict.fromkeys(("bicubic", made[0], made[-1]))
    roles = {"bicubic": "bicubic", made[-1]: "best member", made[0]: "fastest member"}
    titled = {f"{roles[name]}\n{found.psnr_y[name]:.2f} dB": found.pictures[name] for name in ends}
    lr, hr = found.pictures["LR"], found.pictures["HR"]
    images = {f"LR, x{found.scale}\n": lr, **titled, "HR\n": hr}
    figure = new_figure(PAGE, 0.45 + PAGE / len(images))
    draw_samples(figure, images, found.scale, min(DETAIL, *hr.shape[:2]))
    return figure
