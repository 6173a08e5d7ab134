"""Predicted against measured latency, and work over devices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from dysr_jax.bench import Profile, ScalingResult
from dysr_jax.report.plots.style import (
    ABOVE,
    BLUE,
    COLUMN,
    GREY,
    ORANGE,
    finish,
    paper_axes,
    save_figure,
    screen_figure,
)
from dysr_jax.results import Prediction
from dysr_jax.search import deal


def latency_figure(path: epath.PathLike, found: Profile) -> None:
    """Write a PNG: a point per arch that was not fitted, and the line of exact predictions."""
    fidelity, key = found.fidelity, found.table.key
    rows, columns = key["frame"]
    figure, axes = screen_figure(5.2, 4.8)
    label = (
        f"{len(fidelity.archs)} archs: Kendall's tau {fidelity.kendall_tau:.3f}, "
        f"mean error {100 * fidelity.mean_error:.1f} %"
    )
    _draw_predictions(axes, {label: (fidelity.measured_ms, fidelity.predicted_ms)})
    axes.legend(loc="upper left", fontsize=8)
    axes.set_title(f"{key['device']}, LR frame {columns}x{rows}, x{key['scale']}, {key['dtype']}", fontsize=9)
    save_figure(finish(figure), path)


def predictions_figure(predictions: Sequence[Prediction]) -> Any:
    """For papers: the archs that the table was fitted to, and the members; errors are means of the relative
    ones. `predictions` is of `dysr_jax.results.predictions` and not empty.
    """
    groups = {}
    for kind, label in (("fitted", "archs of the fit"), ("member", "members, measured later")):
        found = [(p.measured_ms, p.predicted_ms) for p in predictions if p.kind == kind]
        if found:
            measured, predicted = np.array(found).T
            error = 100 * np.mean(np.abs(predicted / measured - 1))
            groups[f"{label} ({len(found)}), error {error:.1f} %"] = (measured.tolist(), predicted.tolist())
    figure, axes = paper_axes(COLUMN, COLUMN)
    _draw_predictions(axes, groups)
    axes.legend(**ABOVE)
    return figure


def _draw_predictions(axes: Any, groups: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """Two groups at most: label to the measured and the predicted ms of its archs."""
    longest = 1.05 * max(value for group in groups.values() for values in group for value in values)
    axes.plot([0, longest], [0, longest], color=GREY, linestyle="--", label="exact")
    for (label, pair), (mark, colour) in zip(groups.items(), (("o", BLUE), ("D", ORANGE)), strict=False):
        axes.scatter(*pair, s=18, marker=mark, color=colour, label=label)
    axes.set_xlabel("measured latency, ms per frame")
    axes.set_ylabel("predicted latency, ms per frame")
    axes.set_xlim(0, longest)
    axes.set_ylim(0, longest)
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)


def dealing_figure(costs: np.ndarray, genes: np.ndarray, devices: int) -> Any:
    """Candidates and work of each device, as the search divides a population among them.

    Args:
        costs: `[slots, branches]` of a branch's time, in any unit.
        genes: int32 `[N, slots]`.
        devices: that share the population.
    """
    hands = deal(costs, genes, devices, len(genes))
    each = costs[np.arange(genes.shape[1]), genes].sum(1)
    alone = np.array([each[hand].sum() for hand in hands])
    shared = np.array([_shared_work(costs, genes[hand]) for hand in hands])
    figure, (left, right) = screen_figure(10, 3.4, 1, 2)
    places = range(devices)
    left.bar(places, [len(hand) for hand in hands], color=BLUE)
    left.set_ylabel("candidates")
    right.bar(places, alone / alone.mean(), color=GREY, label="each candidate by itself")
    right.bar(places, shared / alone.mean(), color=ORANGE, width=0.5, label="computed: prefixes shared")
    right.set_ylabel("work, of the mean device's")
    right.set_ylim(0, 1.35 * (alone / alone.mean()).max())
    right.legend(fontsize=8, loc="upper right")
    for axes in (left, right):
        axes.set_xticks(places)
        axes.set_xlabel("device")
    return finish(figure, "y")


def _shared_work(costs: np.ndarray, genes: np.ndarray) -> float:
    """Of archs whose common prefixes are computed once; the last slot is each one's own."""
    total = float(costs[-1, genes[:, -1]].sum())
    for slot in range(genes.shape[1] - 1):
        prefixes = np.unique(genes[:, : slot + 1], axis=0)
        total += float(costs[slot, prefixes[:, slot]].sum())
    return total


def scaling_figure(found: ScalingResult) -> Any:
    """The work per second on n devices over that on one, beside n."""
    counts = [row.devices for row in found.scaling]
    figure, axes = screen_figure(6, 3.6)
    axes.plot(counts, counts, color=GREY, linestyle="--", label="n times one device's")
    for name, mark, colour, label in (
        ("step_efficiency", "o-", BLUE, "training"),
        ("candidate_efficiency", "s-", ORANGE, "search, without what a larger population shares"),
    ):
        speeds = [row.devices * getattr(row, name) for row in found.scaling]
        axes.plot(counts, speeds, mark, color=colour, label=label)
    axes.set_xticks(counts)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("devices")
    axes.set_ylabel("work per second, of one device's")
    axes.set_title(found.device, fontsize=9)
    axes.legend(fontsize=8)
    return finish(figure)
