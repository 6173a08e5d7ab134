"""The figure of a latency table: predicted against measured.

Work over devices: how a population is dealt out, and what more devices bring.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from dysr_jax.bench import Profile
from dysr_jax.report.plots.front import BLUE, GREY, ORANGE, save_figure
from dysr_jax.search import partition

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


def draw_predictions(axes: Any, groups: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
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


def dealing_figure(costs: np.ndarray, genes: np.ndarray, devices: int) -> Any:
    """A Matplotlib figure: candidates and work of each device, as the search deals them out.

    Args:
        costs: `[slots, branches]` of a branch's time, in any unit.
        genes: int32 `[N, slots]`.
        devices: that share the population.
    """
    from matplotlib.figure import Figure

    hands = partition(costs, genes, devices, len(genes))
    each = costs[np.arange(genes.shape[1]), genes].sum(1)
    alone = np.array([each[hand].sum() for hand in hands])
    shared = np.array([_shared_work(costs, genes[hand]) for hand in hands])
    figure = Figure(figsize=(10, 3.4))
    left, right = figure.subplots(1, 2)
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
        axes.grid(alpha=0.3, axis="y")
    figure.tight_layout()
    return figure


def _shared_work(costs: np.ndarray, genes: np.ndarray) -> float:
    """Of archs when what their common prefixes compute is computed once; the last slot is each one's own."""
    total = float(costs[-1, genes[:, -1]].sum())
    for slot in range(genes.shape[1] - 1):
        prefixes = np.unique(genes[:, : slot + 1], axis=0)
        total += float(costs[slot, prefixes[:, slot]].sum())
    return total


def scaling_figure(result: Mapping[str, Any]) -> Any:
    """A Matplotlib figure: the work a second on n devices over that on one, beside n.

    Args:
        result: of `bench_scaling`.
    """
    from matplotlib.figure import Figure

    rows = result["scaling"]
    counts = [row["devices"] for row in rows]
    figure = Figure(figsize=(6, 3.6))
    axes = figure.subplots()
    axes.plot(counts, counts, color=GREY, linestyle="--", label="n times one device's")
    for key, mark, colour, label in (
        ("step_efficiency", "o-", BLUE, "training"),
        ("candidate_efficiency", "s-", ORANGE, "search, without what a larger population shares"),
    ):
        speeds = [row["devices"] * row[key] for row in rows]
        axes.plot(counts, speeds, mark, color=colour, label=label)
    axes.set_xticks(counts)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("devices")
    axes.set_ylabel("work a second, of one device's")
    axes.set_title(result["device"], fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    return figure
