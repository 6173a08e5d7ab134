"""The steady-rate experiment as a table and as timelines."""

from collections.abc import Mapping
from typing import Any

from etils import epath

from dysr_jax.report.tables import format_table
from dysr_jax.report.timeline import timeline_figure
from dysr_jax.runtime.trace import trace_from_json


def gain(result: Mapping[str, Any]) -> float:
    """Of the distance from the smallest to the largest member's PSNR-Y, the share that adapting gains."""
    quality = result["member_psnr_y"]
    low, high = (quality[result["members"][end]["name"]] for end in (0, -1))
    adaptive = next(row for row in result["strategies"] if row["name"] == "adaptive")
    return (adaptive["true_psnr_y"] - low) / (high - low)


def steady_table(result: Mapping[str, Any]) -> str:
    """What `bench_steady` found: the members at rest, then a row for each stream."""
    rows = [
        [
            row["name"],
            f"{100 * row['on_time']:.1f} %",
            str(row["late"]),
            str(row["interruptions"]),
            f"{row['longest_gap_ms']:.0f}",
            str(row["switches"]),
            f"{row['true_psnr_y']:.2f}",
        ]
        for row in result["strategies"]
    ]
    times = ("on time", "late", "interruptions", "longest gap ms")
    header = ["stream", *times, "switches", "PSNR-Y dB"]
    members = [
        [m["name"], f"{m['frame_ms']:.1f}", f"{result['member_psnr_y'][m['name']]:.2f}"]
        for m in result["members"]
    ]
    size = "x".join(str(side) for side in reversed(result["frame"]))
    return "\n".join(
        [
            f"{result['device']}, {size}, {result['fps']:g} frames a second",
            format_table(["member", "ms at rest", "PSNR-Y dB"], members),
            "",
            format_table(header, rows),
            f"adapting gains {100 * gain(result):.0f} % of the way from the smallest to the largest member",
        ]
    )


def write_timelines(folder: epath.PathLike, result: Mapping[str, Any]) -> list[epath.Path]:
    """A timeline of each stream, as PNG.

    Args:
        folder: made where it is missing.
        result: of `bench_steady`.

    Returns:
        The files, in the order of the streams.
    """
    place = epath.Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    files = []
    for row in result["strategies"]:
        keys = ("fps", "real_time", "trace")
        trace = trace_from_json({k: row[k] for k in keys} | {"psnr_y": result["member_psnr_y"]})
        load = [(at, count) for at, count in row["load"] if at <= trace.seconds]
        title = f"{row['name']}: {100 * row['on_time']:.1f} % on time, {row['true_psnr_y']:.2f} dB"
        files.append(place / f"steady_{row['name'].replace(', ', '_').replace(' ', '_')}.png")
        timeline_figure(files[-1], trace, load=load, title=title)
    return files
