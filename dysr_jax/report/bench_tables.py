"""The switch experiment as tables: times, then bytes and seconds to be ready.

The steady-rate experiment as a table and as timelines.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from etils import epath

from dysr_jax.report.plots import timeline_figure
from dysr_jax.report.tables import format_number, format_table
from dysr_jax.runtime import trace_from_json

_TIMES: Final = (
    *("strategy", "steady p50", "p99", "first p50", "p99", "/ own steady p99", "within it"),
    *("switch, host us", "missed", "after a switch", "compiled"),
)
_BYTES: Final = (
    *("strategy", "weights", "executables", "workspace", "sum", "peak", "host RSS", "before"),
    *("ready s", "warm s", "levels off"),
)


def switch_tables(result: Mapping[str, Any]) -> str:
    """What `bench_switch` found."""
    rows = [row for row in result["strategies"] if "failed" not in row]
    parts = [_head(result), *_left_out(result)]
    if rows:
        parts += [
            "\nms a frame, host to host; first: the frame after a switch, with the switch",
            format_table(_TIMES, [_times(row) for row in rows]),
            "\nMB (1,000,000 bytes) on the device by XLA's analysis; peak: by its allocator, where it tells",
            format_table(_BYTES, [_bytes(row) for row in rows]),
        ]
    for row in result["strategies"]:
        if "failed" in row:
            parts.append(f"{row['name']}: failed, {row['failed']}")
    return "\n".join(parts)


def _head(result: Mapping[str, Any]) -> str:
    rows, columns = result["frame"]
    scale = result["scale"]
    members = ", ".join(f"{m['name']} ({m['rest_ms']:.1f})" for m in result["members"])
    return (
        f"{result['device']}, {result['dtype']}; {columns}x{rows} -> {columns * scale}x{rows * scale} "
        f"at {result['fps']:g} fps\nmembers (ms at rest): {members}"
    )


def _left_out(result: Mapping[str, Any]) -> list[str]:
    names = [f"{m['name']} ({m['rest_ms']:.1f})" for m in result["left_out"]]
    return [f"left out, slower than a period: {', '.join(names)}"] if names else []


def _times(row: Mapping[str, Any]) -> Sequence[str]:
    frames = row["switches"] + row["steady_frames"]
    return [
        row["name"],
        *(f"{row[f'{kind}_ms_p{q}']:.2f}" for kind in ("steady", "switch") for q in (50, 99)),
        f"{row['switch_over_steady_p99']:.2f}",
        f"{100 * row['within_steady_p99']:.1f} %",
        format_number(row["host_us"]),
        f"{row['missed_frames']} in {frames}",
        str(row["missed_after_switch"]),
        str(row["compilations"]),
    ]


def _bytes(row: Mapping[str, Any]) -> Sequence[str]:
    kinds = ("weight", "executable", "workspace", "device", "peak", "rss", "rss_before")
    sizes, warm = [row[f"{kind}_bytes"] for kind in kinds], row["ready_warm_s"]
    return [
        row["name"],
        *("" if size is None else format_number(size / 1e6) for size in sizes),
        f"{row['ready_s']:.2f}",
        "" if warm is None else f"{warm:.2f}",
        str(row["levels_off"]),
    ]


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
