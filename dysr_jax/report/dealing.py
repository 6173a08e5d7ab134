"""Work over devices: how a population is dealt out, and what more devices bring."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dysr_jax.report.figures import BLUE, GREY, ORANGE
from dysr_jax.search.schedule import deal


def dealing_figure(costs: np.ndarray, genes: np.ndarray, devices: int) -> Any:
    """A Matplotlib figure: candidates and work of each device, as the search deals them out.

    Args:
        costs: `[slots, branches]` of a branch's time, in any unit.
        genes: int32 `[N, slots]`.
        devices: that share the population.
    """
    from matplotlib.figure import Figure

    hands = deal(costs, genes, devices, len(genes))
    each = costs[np.arange(genes.shape[1]), genes].sum(1)
    alone = np.array([each[hand].sum() for hand in hands])
    shared = np.array([_shared_work(costs, genes[hand]) for hand in hands])
    figure = Figure(figsize=(10, 3.4))
    left, right = figure.subplots(1, 2)
    places = range(devices)
    left.bar(places, [len(hand) for hand in hands], color=BLUE)
    left.set_ylabel("candidates")
    right.bar(places, alone / alone.mean(), color=GREY, label="each candidate by itself")
    right.bar(
        places, shared / alone.mean(), color=ORANGE, width=0.5, label="computed: prefixes shared"
    )
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
