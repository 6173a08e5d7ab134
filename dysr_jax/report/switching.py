"""The switch experiment as tables: times, then bytes and seconds to be ready."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dysr_jax.report.tables import format_number, format_table

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
