"""The switch experiment as a figure."""

from collections.abc import Mapping
from typing import Any, Final

from dysr_jax.report.figures import BLUE, GREY, ORANGE

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
        f"{result['device']}, {result['dtype']}, {members} members, {columns}x{lines}, "
        f"x{result['scale']}",
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
        axes.barh(
            places, sizes, left=begin, color=colour, hatch=hatch, edgecolor="white", label=label
        )
        begin = [a + b for a, b in zip(begin, sizes, strict=True)]
    axes.set_xlabel("MB on the device")
    axes.grid(alpha=0.3, axis="x")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
