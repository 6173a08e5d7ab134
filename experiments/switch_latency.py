r"""What a switch between compiled paths costs, by how they are served, and what each way takes of the device.

Runs `dysr bench switch` on a bundle and draws it:

    python experiments/switch_latency.py --out runs/switching --bundle runs/mine/bundle --frame 90 160

or draws and prints what an earlier run or `dysr bench switch --json FILE` measured:

    python experiments/switch_latency.py --out runs/switching \
        --recorded experiments/results/switch_quickstart_cpu.json
"""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import tyro

from dysr_jax.atomic import write_json
from dysr_jax.bench.switch import bench_switch
from dysr_jax.errors import InputError
from dysr_jax.report.figures import BLUE, GREY, ORANGE, save_figure
from dysr_jax.report.switching import switch_tables
from dysr_jax.report.tables import format_number

KINDS = {
    "weight_bytes": (BLUE, "", "weights"),
    "executable_bytes": (ORANGE, "//", "executables"),
    "workspace_bytes": (GREY, "..", "workspace of a frame"),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured, or drawn."""

    out: pathlib.Path
    """Folder for the results."""
    bundle: pathlib.Path | None = None
    """A bundle directory; without it the weights that come with the package."""
    scale: int | None = None
    """Of the package's weights; 4 without it."""
    frame: tuple[int, int] | None = None
    """LR rows and columns; without them the bundle's."""
    members: tuple[str, ...] = ()
    """Names; without any, all that hold the frame rate at rest."""
    switches: int = 200
    """Switches of each strategy."""
    fps: float = 30.0
    """Frames a second that are due."""
    recorded: pathlib.Path | None = None
    """Draw these results and measure nothing."""


def measure(options: Options) -> dict[str, Any]:
    """Run the benchmark."""
    return bench_switch(
        options.bundle,
        scale=options.scale,
        frame=options.frame,
        members=options.members,
        switches=options.switches,
        fps=options.fps,
        progress=True,
    )


def finished(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows of the strategies that did not fail, by name."""
    return {row["name"]: row for row in result["strategies"] if "failed" not in row}


def draw(path: pathlib.Path, result: Mapping[str, Any]) -> None:
    """Frames after a switch beside steady ones, and bytes on the device; a line for each strategy."""
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
    save_figure(figure, path)


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
    for key, (colour, hatch, label) in KINDS.items():
        sizes = [row[key] / 1e6 for row in rows]
        places = range(len(rows))
        axes.barh(
            places, sizes, left=begin, color=colour, hatch=hatch, edgecolor="white", label=label
        )
        begin = [a + b for a, b in zip(begin, sizes, strict=True)]
    axes.set_xlabel("MB on the device")
    axes.grid(alpha=0.3, axis="x")
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)


def ratios(result: Mapping[str, Any]) -> list[str]:
    """What the comparison comes to, a line each, as far as the strategies are there."""
    rows = {
        name: {**row, "resident_bytes": row["weight_bytes"] + row["executable_bytes"]}
        for name, row in finished(result).items()
    }
    lines = []
    for name, row in rows.items():
        lines.append(
            f"{name}: first frames reach {row['switch_over_steady_p99']:.3g} times the same member's "
            f"steady p99 (their p99)"
        )
    for name in ("reload_cached", "reload_compiled", "ensemble", "lax_switch", "chained"):
        lines += _line(rows, "first frame, p50", "switch_ms_p50", name, "fused")
        lines += _line(rows, "first frame, p99", "switch_ms_p99", name, "fused")
    lines += _line(rows, "weights", "weight_bytes", "fused", "ensemble")
    for name in ("fused", "chained", "lax_switch"):
        lines += _line(rows, "weights and executables", "resident_bytes", name, "ensemble")
        lines += _line(rows, "memory of the device", "device_bytes", name, "ensemble")
    for name, row in rows.items():
        if row["ready_warm_s"] is not None:
            ratio = row["ready_warm_s"] / row["ready_s"]
            lines.append(f"ready, {name} from its cache / compiled: {format_number(ratio)}")
    return lines


def _line(
    rows: Mapping[str, Mapping[str, Any]], what: str, key: str, name: str, other: str
) -> list[str]:
    """Nothing where one of the two failed or was not measured."""
    if name not in rows or other not in rows or not rows[other][key]:
        return []
    return [f"{what}, {name} / {other}: {format_number(rows[name][key] / rows[other][key])}"]


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    try:
        result = json.loads(options.recorded.read_text()) if options.recorded else measure(options)
    except InputError as error:
        sys.exit(f"error: {error}")
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "switch_latency.json", result)
    draw(options.out / "switch_latency.png", result)
    print(switch_tables(result))
    print("\n" + "\n".join(ratios(result)))


if __name__ == "__main__":
    main()
