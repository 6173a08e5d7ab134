"""What training and search did: the loss, the candidates with their front, the hypervolume."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from dysr_jax.report.candidates import Candidates, growth
from dysr_jax.report.figures import BLUE, draw_candidates
from dysr_jax.report.paper.page import COLOURS, COLUMN, new_figure
from dysr_jax.train.curves import Curve

SMOOTH: Final = 50
"""A curve is drawn as means of a 50th of it each."""
_GRADIENT: Final = "gradient_norm"


def candidates_figure(found: Candidates) -> Any:
    """Every evaluated candidate, as predicted and on patches, and the front."""
    figure = new_figure(COLUMN, 2.6)
    points = np.stack([found.latency_ms, found.psnr_y], 1)
    axes = figure.subplots()
    draw_candidates(axes, points, points[found.front], size=2.0)
    axes.set_ylabel("PSNR-Y on patches, dB")
    return figure


def hypervolume_figure(found: Candidates) -> Any:
    """The hypervolume of the front after each generation."""
    grown = growth(found)
    figure = new_figure(COLUMN, 2.2)
    axes = figure.subplots()
    axes.plot(grown.hypervolume, ".-", color=BLUE, markersize=4)
    axes.set_xlabel("generation")
    axes.set_ylabel("hypervolume, ms dB")
    latency, quality = grown.reference
    told = f"{grown.evaluated[-1]:,} candidates;\nup to {latency:.3g} ms, from {quality:.2f} dB"
    axes.text(0.96, 0.06, told, ha="right", va="bottom", transform=axes.transAxes)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    return figure


def _means(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values, averaged over neighbours where there are many."""
    parts = min(SMOOTH, len(curve.step))
    steps, values = (np.array_split(x, parts) for x in (curve.step, curve.value))
    return np.array([s.mean() for s in steps]), np.array([v.mean() for v in values])


def training_figure(curves: Mapping[str, Curve]) -> Any:
    """The losses and, below them, the norm of the gradient.

    Args:
        curves: of `dysr_jax.report.rundata.RunData.training`, not empty.
    """
    groups = [[n for n in curves if n != _GRADIENT], [n for n in curves if n == _GRADIENT]]
    labels = ("loss and L1 (of 0 to 1)", "gradient norm")
    drawn = [(names, label) for names, label in zip(groups, labels, strict=True) if names]
    figure = new_figure(COLUMN, 1.0 + 1.3 * len(drawn))
    rows = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (names, label) in zip(rows, drawn, strict=True):
        for name, colour in zip(names, COLOURS * len(names), strict=False):
            steps, values = _means(curves[name])
            axes.plot(
                steps, values, color=colour, label="loss" if name == "loss" else f"L1, {name}"
            )
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    if len(groups[0]) > 1:
        rows[0].legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    rows[-1].set_xlabel("training step")
    rows[-1].xaxis.set_major_formatter("{x:,.0f}")
    rows[-1].xaxis.get_major_locator().set_params(nbins=5)
    return figure
