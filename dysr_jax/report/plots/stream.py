"""A stream over time: what each frame took, which member made it, and what else ran.

What was measured on the device: latencies against their model, switches, streams.

The switch experiment as a figure.

A walk along the front: how long each member takes, steady and right after a switch, and how good it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from etils import epath

from dysr_jax.bundle import Member
from dysr_jax.report.plots.front import BLUE, GREY, ORANGE, save_figure
from dysr_jax.report.plots.latency import draw_predictions
from dysr_jax.report.plots.style import COLUMN, PAGE, new_figure
from dysr_jax.report.rundata import Streamed
from dysr_jax.results import Prediction
from dysr_jax.runtime import Load, SwitchReport, Trace


def timeline_figure(
    path: epath.PathLike, trace: Trace, *, load: Sequence[Load] = (), title: str = ""
) -> None:
    """Frame times with the late ones marked, the members, and the load if it is known, over seconds.

    Args:
        path: of the PNG file.
        trace: of the stream, with a frame at least.
        load: when other processes started and stopped.
        title: above all.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.2 if load else 5.0))
    top = draw_timeline(figure, trace, load)
    if title:
        top.set_title(title, fontsize=10)
    figure.tight_layout()
    save_figure(figure, path)


def draw_timeline(figure: Any, trace: Trace, load: Sequence[Load]) -> Any:
    """The panels of `timeline_figure`; returns the axes of the top one."""
    names = list(trace.psnr_y)
    seconds = np.array([frame.done_s for frame in trace.frames])
    took = np.array([frame.frame_ms for frame in trace.frames])
    late = np.array([frame.late for frame in trace.frames])
    rung = np.array([names.index(frame.member) for frame in trace.frames])
    rows = figure.subplots(3 if load else 2, 1, sharex=True, height_ratios=[3, 2, 1] if load else [3, 2])
    top, middle = rows[0], rows[1]
    top.plot(seconds, took, ".", markersize=3, color=BLUE, label="frame")
    top.plot(seconds[late], took[late], "x", markersize=5, color=ORANGE, label="late frame")
    top.axhline(1e3 / trace.fps, color=GREY, linewidth=1, label=f"{trace.fps:.4g} frames a second")
    top.set_ylabel("frame time, ms")
    top.set_ylim(0, max(2e3 / trace.fps, float(np.quantile(took, 0.995)) * 1.1))
    top.legend(fontsize=8, ncols=3)
    middle.step(seconds, rung, where="post", color=BLUE, linewidth=1)
    middle.set_yticks(range(len(names)), [_short(name, trace.psnr_y[name]) for name in names])
    middle.tick_params(axis="y", labelsize=8)
    middle.set_ylabel("member")
    if load:
        times, busy = zip(*[*load, (float(seconds[-1]), load[-1][1])], strict=True)
        rows[2].step(times, busy, where="post", color=ORANGE, linewidth=1)
        rows[2].set_ylabel("other\nprocesses")
        rows[2].set_ylim(0, max(busy) + 0.5)
        rows[2].yaxis.get_major_locator().set_params(integer=True)
    for axes in rows:
        axes.grid(alpha=0.3)
    rows[-1].set_xlabel("seconds")
    figure.align_ylabels(rows)
    return top


def _short(name: str, psnr_y: float, most: int = 22) -> str:
    """A label for a member that fits beside an axis."""
    head = name if len(name) <= most else f"{name[: most - 3]}..."
    return f"{head}  {psnr_y:.2f} dB"


_GROUPS: Final = {"fitted": "archs of the fit", "member": "members, measured later"}


def _mean_error(pairs: np.ndarray) -> float:
    return float(np.mean(np.abs(pairs[1] / pairs[0] - 1)))


def predictions_figure(predictions: Sequence[Prediction]) -> Any:
    """Predicted against measured latency: of the archs that the table was fitted to, and of members.

    The errors are means of the relative ones.

    Args:
        predictions: of `dysr_jax.results.predictions`, not empty.
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


def streamed_figure(streamed: Streamed) -> Any:
    """Frame times, members and the load over seconds.

    Args:
        streamed: a stream with a frame at least.
    """
    members = len(streamed.trace.psnr_y)
    figure = new_figure(PAGE, 2.9 + 0.13 * members + (0.6 if streamed.load else 0.0))
    draw_timeline(figure, streamed.trace, streamed.load)
    return figure


_KINDS: Final = {
    "weight_bytes": (BLUE, "", "weights"),
    "executable_bytes": (ORANGE, "//", "executables"),
    "workspace_bytes": (GREY, "..", "workspace of a frame"),
}


def finished(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of the strategies that did not fail, by name."""
    return {row["name"]: row for row in result["strategies"] if "failed" not in row}


def switching_figure(result: Mapping[str, Any]) -> Any:
    """A Matplotlib figure: frames after a switch beside steady ones, and bytes on the device.

    Args:
        result: of `bench_switch`; strategies that failed are left out.
    """
    from matplotlib.figure import Figure

    rows = list(finished(result).values())
    figure = Figure(figsize=(10, 1.6 + 0.55 * len(rows)))
    left, right = figure.subplots(1, 2, sharey=True)
    _latencies(left, rows, result["fps"])
    _bytes(right, rows)
    left.set_yticks(range(len(rows)), [row["name"] for row in rows])
    left.invert_yaxis()
    columns, lines = result["frame"][1], result["frame"][0]
    members = len(result["members"])
    figure.suptitle(
        f"{result['device']}, {result['dtype']}, {members} members, {columns}x{lines}, x{result['scale']}",
        fontsize=9,
    )
    figure.tight_layout()
    return figure


def _latencies(axes: Any, rows: list[dict[str, Any]], fps: float) -> None:
    """From the median to the 99th percentile, steady frames above those after a switch."""
    styles = (
        ("steady_ms", BLUE, "o", -0.16, "steady frame"),
        ("switch_ms", ORANGE, "s", 0.16, "first frame after a switch"),
    )
    for key, colour, marker, offset, label in styles:
        places = [number + offset for number in range(len(rows))]
        low, high = ([row[f"{key}_p{q}"] for row in rows] for q in (50, 99))
        axes.hlines(places, low, high, color=colour, linewidth=2)
        axes.plot(low, places, marker, color=colour, label=f"{label}: p50")
        axes.plot(high, places, "|", color=colour, markersize=11, label=f"{label}: p99")
    axes.axvline(1e3 / fps, color=GREY, linestyle="--", label=f"due at {fps:g} fps")
    axes.set_xscale("log")
    axes.set_xlabel("ms, host to host")
    axes.grid(alpha=0.3, axis="x")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)


def _bytes(axes: Any, rows: list[dict[str, Any]]) -> None:
    """What lies on the device, stacked."""
    begin = [0.0] * len(rows)
    for key, (colour, hatch, label) in _KINDS.items():
        sizes = [row[key] / 1e6 for row in rows]
        places = range(len(rows))
        axes.barh(places, sizes, left=begin, color=colour, hatch=hatch, edgecolor="white", label=label)
        begin = [a + b for a, b in zip(begin, sizes, strict=True)]
    axes.set_xlabel("MB on the device")
    axes.grid(alpha=0.3, axis="x")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)


def walk_figure(
    members: Sequence[Member], frames: SwitchReport, psnr_y: Mapping[str, float], *, bicubic_psnr_y: float
) -> Any:
    """A Matplotlib figure: frame times of the members, and PSNR-Y against them.

    Args:
        members: fastest first.
        frames: of `measure_switching`.
        psnr_y: dB of each member, by name, on the image that was walked with.
        bicubic_psnr_y: dB of bicubic upscaling on it.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    names = [member.name for member in members]
    numbers = range(1, len(names) + 1)
    steady, first = ([kind[name] for name in names] for kind in (frames.steady_ms, frames.first_ms))
    figure = Figure(figsize=(10, 3.8))
    left, right = figure.subplots(1, 2)
    left.plot(numbers, steady, "o-", color=BLUE, label="steady frame")
    left.plot(numbers, first, "x", color=ORANGE, markersize=8, label="first frame after a switch")
    left.set_yscale("log")
    right.set_xscale("log")
    left.set_xticks(numbers)
    left.set_xlabel("member, fastest first")
    left.set_ylabel("ms a frame, host to host")
    left.set_title(f"{frames.switches} switches, {frames.compilations} compilations", fontsize=9)
    quality = [psnr_y[name] for name in names]
    right.plot(steady, quality, "o-", color=BLUE, label="members")
    for number, point in zip(numbers, zip(steady, quality, strict=True), strict=True):
        right.annotate(str(number), point, xytext=(4, -11), textcoords="offset points", fontsize=8)
    right.axhline(bicubic_psnr_y, color=GREY, linestyle="--", label="bicubic")
    for axis in (left.yaxis, right.xaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    right.set_xlabel("ms a steady frame, host to host")
    right.set_ylabel("PSNR-Y of this image, dB")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.tight_layout()
    return figure
