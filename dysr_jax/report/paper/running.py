"""What was measured on the device: latencies against their model, switches, streams."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from dysr_jax.report.figures import BLUE, GREY, ORANGE
from dysr_jax.report.latency import draw_predictions
from dysr_jax.report.measured import Prediction
from dysr_jax.report.paper.page import COLUMN, PAGE, new_figure
from dysr_jax.report.streamed import Streamed
from dysr_jax.report.timeline import draw_timeline

_GROUPS: Final = {"fitted": "archs of the fit", "member": "members, measured later"}


def _mean_error(pairs: np.ndarray) -> float:
    return float(np.mean(np.abs(pairs[1] / pairs[0] - 1)))


def latency_figure(predictions: Sequence[Prediction]) -> Any:
    """Predicted against measured latency: of the archs that the table was fitted to, and of members.

    The errors are means of the relative ones.

    Args:
        predictions: of `dysr_jax.report.measured.predictions`, not empty.
    """
    groups = {}
    for kind, label in _GROUPS.items():
        found = [(p.measured_ms, p.predicted_ms) for p in predictions if p.kind == kind]
        if found:
            pairs = np.array(found).T
            groups[f"{label} ({len(found)}), error {100 * _mean_error(pairs):.1f} %"] = pairs
    figure = new_figure(COLUMN, COLUMN)
    axes = figure.subplots()
    draw_predictions(axes, {label: (list(x), list(y)) for label, (x, y) in groups.items()})
    axes.get_legend().remove()
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    return figure


def switch_figure(switch: Mapping[str, Any]) -> Any:
    """Steady frames and first frames after a switch, median to 99th percentile, by strategy.

    Args:
        switch: of `dysr_jax.bench_switch`, with a strategy that did not fail.
    """
    rows = [row for row in switch["strategies"] if "failed" not in row]
    places = np.arange(len(rows))
    figure = new_figure(COLUMN, 1.25 + 0.32 * len(rows))
    axes = figure.subplots()
    kinds = (
        ("steady", "steady frame", -0.14, BLUE, "o"),
        ("switch", "first frame after a switch", 0.14, ORANGE, "D"),
    )
    for kind, label, shift, colour, mark in kinds:
        median, high = (np.array([row[f"{kind}_ms_p{q}"] for row in rows]) for q in (50, 99))
        axes.hlines(places + shift, median, high, color=colour)
        axes.plot(median, places + shift, mark, color=colour, markersize=4, label=label)
        axes.plot(high, places + shift, "|", color=colour, markersize=5)
    period = 1e3 / switch["fps"]
    axes.axvline(period, color=GREY, linestyle="--", label=f"{switch['fps']:g} frames a second")
    axes.set_xscale("log")
    axes.set_yticks(places, [row["name"] for row in rows])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("ms a frame, host to host:\nmedian to 99th percentile")
    axes.grid(alpha=0.3, axis="x", which="both")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    return figure


def timeline_figure(streamed: Streamed) -> Any:
    """Frame times, members and the load over seconds.

    Args:
        streamed: a stream with a frame at least.
    """
    members = len(streamed.trace.psnr_y)
    figure = new_figure(PAGE, 2.9 + 0.13 * members + (0.6 if streamed.load else 0.0))
    draw_timeline(figure, streamed.trace, streamed.load)
    return figure
