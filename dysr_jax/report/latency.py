"""The figure of a latency table: predicted against measured."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dysr_jax.bench.profile import Profile
from dysr_jax.report.figures import BLUE, GREY, ORANGE, save_figure

_MARKS: Final = (("o", BLUE), ("D", ORANGE))
"""Shape and colour of each group."""


def latency_figure(path: str | os.PathLike[str], found: Profile) -> None:
    """Write a PNG with a point an arch that was not fitted, and the line of exact predictions."""
    from matplotlib.figure import Figure

    fidelity, key = found.fidelity, found.table.key
    rows, columns = key["frame"]
    title = f"{key['device']}, LR frame {columns}x{rows}, x{key['scale']}, {key['dtype']}"

    figure = Figure(figsize=(5.2, 4.8))
    axes = figure.subplots()
    label = (
        f"{len(fidelity.archs)} archs: Kendall's tau {fidelity.kendall_tau:.3f}, "
        f"mean error {100 * fidelity.mean_error:.1f} %"
    )
    draw_predictions(axes, {label: (fidelity.measured_ms, fidelity.predicted_ms)})
    axes.set_title(title, fontsize=9)
    figure.tight_layout()
    save_figure(figure, path)


def draw_predictions(
    axes: Any, groups: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> None:
    """A point an arch in two groups at most, and the line of exact predictions.

    Args:
        axes: Matplotlib's.
        groups: label to the measured and the predicted ms of its archs.
    """
    largest = 1.05 * max(value for group in groups.values() for values in group for value in values)
    axes.plot([0, largest], [0, largest], color=GREY, linestyle="--", label="exact")
    for (label, pair), (mark, colour) in zip(groups.items(), _MARKS, strict=False):
        axes.scatter(*pair, s=18, marker=mark, color=colour, label=label)
    axes.set_xlabel("measured latency, ms a frame")
    axes.set_ylabel("predicted latency, ms a frame")
    axes.set_xlim(0, largest)
    axes.set_ylim(0, largest)
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize=8)
