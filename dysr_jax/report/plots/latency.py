"""Predicted against measured latency, and work over devices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from dysr_jax.bench import LatencyProfile, ScalingResult
from dysr_jax.report.plots import style
from dysr_jax.results import LatencyPrediction
from dysr_jax.search import partition


def latency_figure(path: epath.PathLike, found: LatencyProfile) -> None:
    """Write a PNG: a point per arch that was not fitted, and the line of exact predictions."""
    fidelity, key = found.fidelity, found.table.key
    rows, columns = key["frame"]
    figure, axes = style.screen_figure(5.2, 4.8)
    quality = f"Kendall's tau {fidelity.kendall_tau:.3f}, mean error {100 * fidelity.mean_error:.1f} %"
    label = f"{len(fidelity.archs)} archs: {quality}"
    _draw_predictions(axes, {label: (fidelity.measured_ms, fidelity.predicted_ms)})
    axes.legend(loc="upper left", fontsize=8)
    axes.set_title(f"{key['device']}, LR frame {columns}x{rows}, x{key['scale']}, {key['dtype']}", fontsize=9)
    style.save_figure(style.finish(figure), path)


def predictions_figure(predictions: Sequence[LatencyPrediction]) -> Any:
    """For papers, of `latency_predictions`, not empty: archs of the fit, and members; errors are relative."""
    groups = {}
    for kind, label in (("fitted", "archs of the fit"), ("member", "members, measured later")):
        found = [(p.measured_ms, p.predicted_ms) for p in predictions if p.kind == kind]
        if found:
            measured, predicted = np.array(found).T
            error = 100 * np.mean(np.abs(predicted / measured - 1))
            groups[f"{label} ({len(found)}), error {error:.1f} %"] = (measured.tolist(), predicted.tolist())
    figure, axes = style.paper_axes(style.COLUMN, style.COLUMN)
    _draw_predictions(axes, groups)
    axes.legend(**style.ABOVE)
    return figure


def _draw_predictions(axes: Any, groups: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """Two groups at most: label to the measured and the predicted ms of its archs."""
    longest = 1.05 * max(value for group in groups.values() for values in group for value in values)
    axes.plot([0, longest], [0, longest], color=style.GREY, linestyle="--", label="exact")
    for (label, pair), mark, colour in zip(groups.items(), "oD", style.COLOURS, strict=False):
        axes.scatter(*pair, s=18, marker=mark, color=colour, label=label)
    axes.set(xlim=(0, longest), ylim=(0, longest), aspect="equal")
    axes.set(xlabel="measured latency, ms per frame", ylabel="predicted latency, ms per frame")
    axes.grid(alpha=0.3)


def partition_figure(costs: np.ndarray, genes: np.ndarray, devices: int) -> Any:
    """Candidates and work of each device, as the search divides a population `[N, slots]` among them by
    `costs` `[slots, branches]`, in any unit.
    """
    shards = partition(costs, genes, devices, len(genes))
    each = costs[np.arange(genes.shape[1]), genes].sum(1)
    alone = np.array([each[shard].sum() for shard in shards])
    shared = np.array([_shared_work(costs, genes[shard]) for shard in shards])
    figure, (left, right) = style.screen_figure(10, 3.4, 1, 2)
    places = range(devices)
    left.bar(places, [len(shard) for shard in shards], color=style.BLUE)
    right.bar(places, alone / alone.mean(), color=style.GREY, label="each candidate by itself")
    right.bar(places, shared / alone.mean(), color=style.ORANGE, width=0.5, label="computed: prefixes shared")
    right.set(ylabel="work, of the mean device's", ylim=(0, 1.35 * (alone / alone.mean()).max()))
    right.legend(fontsize=8, loc="upper right")
    left.set(xlabel="device", xticks=places, ylabel="candidates")
    right.set(xlabel="device", xticks=places)
    return style.finish(figure, "y")


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
    figure, axes = style.screen_figure(6, 3.6)
    axes.plot(counts, counts, color=style.GREY, linestyle="--", label="n times one device's")
    training = [row.devices * row.step_efficiency for row in found.scaling]
    search = [row.devices * row.candidate_efficiency for row in found.scaling]
    axes.plot(counts, training, "o-", color=style.BLUE, label="training")
    label = "search, without what a larger population shares"
    axes.plot(counts, search, "s-", color=style.ORANGE, label=label)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="devices", xticks=counts, ylabel="work per second, of one device's")
    axes.set_title(found.device, fontsize=9)
    axes.legend(fontsize=8)
    return style.finish(figure)
