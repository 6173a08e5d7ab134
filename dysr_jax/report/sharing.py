"""The figure of what adaptation-aware selection costs in hypervolume and saves in weights."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from etils import epath

from dysr_jax.report.figures import BLUE, ORANGE, save_figure
from dysr_jax.search.select import SharingPoint

CLOSE: Final = 0.04
"""In parts of an axis: points nearer than this in both directions get one label."""


def _labels(x: np.ndarray, y: np.ndarray, names: Sequence[str]) -> dict[int, str]:
    """A label for the first of each group of points that lie together, by its index."""
    x_span, y_span = np.ptp(x) or 1.0, np.ptp(y) or 1.0
    groups: dict[int, list[str]] = {}
    for i, name in enumerate(names):
        near = (
            j
            for j in groups
            if abs(x[i] - x[j]) < CLOSE * x_span and abs(y[i] - y[j]) < CLOSE * y_span
        )
        groups.setdefault(next(near, i), []).append(name)
    return {i: ", ".join(group) for i, group in groups.items()}


def _draw(axes: Any, x: np.ndarray, y: np.ndarray, weights: Sequence[float], used: float) -> None:
    """`x` and `y` `[n]`: a labelled point for each weight, the used one ringed."""
    ring = [weight == used for weight in weights]
    axes.plot(x, y, "o-", color=BLUE, linewidth=1, markersize=5, label="by weight of sharing")
    axes.plot(
        x[ring],
        y[ring],
        "o",
        color=ORANGE,
        fillstyle="none",
        markersize=11,
        markeredgewidth=2,
        label=f"this run's, {used:g}",
    )
    for i, label in _labels(x, y, [f"{weight:g}" for weight in weights]).items():
        axes.annotate(label, (x[i], y[i]), xytext=(8, -12), textcoords="offset points", fontsize=8)
    axes.margins(x=0.18, y=0.1)
    axes.grid(alpha=0.3)


def sharing_figure(path: epath.PathLike, curve: Sequence[SharingPoint], *, used: float) -> None:
    """Hypervolume against resident weights and against the steps' cost, a point for each weight.

    Args:
        path: of the PNG.
        curve: of `dysr_jax.search.select.sharing_curve`, not empty.
        used: the weight that chose the run's members.
    """
    from matplotlib.figure import Figure

    weights = [point["weight"] for point in curve]
    share = 100 * np.array([point["hypervolume_share"] for point in curve])
    separate = [point["ensemble_bytes"] / 1e6 for point in curve]
    figure = Figure(figsize=(10, 4.2))
    left, right = figure.subplots(1, 2, sharey=True)
    resident = np.array([point["resident_bytes"] / 1e6 for point in curve])
    _draw(left, resident, share, weights, used)
    _draw(right, np.array([point["step_cost"] for point in curve]), share, weights, used)
    left.set_ylabel("hypervolume, % of the whole front's")
    left.set_xlabel(
        f"resident weights, MB (as separate models {min(separate):.3g} to {max(separate):.3g} MB)"
    )
    right.set_xlabel("cost of all steps of the ladder (each 0 to 1)")
    left.set_title("memory")
    right.set_title("what the run-time changes")
    right.legend(loc="lower right", fontsize=8)
    figure.tight_layout()
    save_figure(figure, path)
