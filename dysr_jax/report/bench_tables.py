"""What benchmarks found, as tables for the terminal and as timelines."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from etils import epath

from dysr_jax.bench import (
    AGAINST,
    BenchResult,
    FrontResult,
    LatencyProfile,
    SearchResult,
    SteadyResult,
    SteadyStream,
)
from dysr_jax.bench.switch import StrategyResult, SwitchResult
from dysr_jax.report.plots import timeline_figure
from dysr_jax.report.tables import clock_table, format_number, format_table
from dysr_jax.search import frames_load


def bench_table(result: BenchResult) -> str:
    """A benchmark's result: its lists of rows as tables, everything else a line each, objects apart."""
    parts = []
    for name, value in result.to_json().items():
        if value is None or isinstance(value, dict):
            continue
        if not isinstance(value, (list, tuple)):
            parts.append(f"{name}: {_cell(value)}")
        elif value:
            parts.append(format_table(list(value[0]), [list(map(_cell, row.values())) for row in value]))
    return "\n".join(parts)


def search_tables(result: SearchResult) -> str:
    """The methods of evaluating, and where the time of a whole short search went."""
    whole = [f"a whole search:\n{clock_table(result.search)}"] if result.search else []
    return "\n".join([bench_table(result), *whole])


def _cell(value: Any) -> str:
    return format_number(value) if isinstance(value, float) else "" if value is None else str(value)


def profile_table(found: LatencyProfile) -> str:
    """A latency table's terms, and how well it predicts."""
    table, fidelity = found.table, found.fidelity
    columns = [{"(every frame)": own.intercept_ms, **own.body_ms, **own.upsampler_ms} for own in table.terms]
    at = [""] if len(columns) == 1 else [f", width {own.width}" for own in table.terms]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [[name, *(f"{column.get(name, 0.0):.4f}" for column in columns)] for name in names]
    return (
        f"{format_table(['branch', *(f'ms per frame{width}' for width in at)], rows)}\n"
        f"fitted to {len(table.measured_ms)} executables; {len(fidelity.archs)} of them, each predicted "
        f"from the others: Kendall's tau {fidelity.kendall_tau:.3f}, mean error "
        f"{100 * fidelity.mean_error:.1f} %"
    )


def front_summary(found: FrontResult) -> str:
    """How near the search came to the true front, in a few lines."""
    result = found.to_json()
    true, seen = ({row["name"] for row in result[f"{name}_front"]} for name in ("true", "found"))
    reached = result["evaluations_to_99"]
    return (
        f"{result['device']}: all {result['space_size']:,} archs in {result['seconds']:.1f} s, "
        f"{result['candidates_per_second']:.0f} per second\n"
        f"the search evaluated {result['evaluated']:,} of {result['allowed']:,} allowed ones and has "
        f"{100 * result['hypervolume_share']:.2f} % of the true front's hypervolume\n"
        f"{len(true - seen)} of the {len(true)} archs of the true front are not on the one found"
        + (f"\n99 % were reached after {reached:,} evaluations" if reached else "")
    )


TIMES: Final = (
    *("strategy", "steady p50", "p99", "first p50", "p99", "/ own steady p99", "within it"),
    *("switch, host us", "missed", "after a switch", "compiled"),
)
BYTES: Final = (
    *("strategy", "weights", "executables", "workspace", "sum", "own workspaces", "peak"),
    *("host RSS", "before"),
    *("ready s", "warm s", "max diff"),
)


def switch_tables(found: SwitchResult) -> str:
    """The switch experiment: times, then bytes and seconds to be ready."""
    (rows, columns), scale, finished = found.frame, found.scale, found.finished.values()
    sizes = f"{columns}x{rows} -> {columns * scale}x{rows * scale}"
    kinds = (found.members, found.left_out)
    members, left_out = (", ".join(f"{m.name} ({m.rest_ms:.1f})" for m in each) for each in kinds)
    parts = [
        f"{found.device}, {found.dtype}; {sizes} at {found.fps:g} fps",
        f"members (ms at rest): {members}",
    ]
    if left_out:
        parts.append(f"left out, slower than a period: {left_out}")
    if finished:
        parts += [
            "\nms per frame, host to host; first: the frame after a switch, with the switch",
            format_table(TIMES, [_times(row) for row in finished]),
            "\nMB (1,000,000 bytes) on the device by XLA's analysis; peak: by its allocator, where it tells; "
            "own workspaces: the sum where each executable keeps its own, as models apart do; max diff: of "
            "pixels, in levels",
            format_table(BYTES, [_bytes(row) for row in finished]),
        ]
    return "\n".join(parts + [f"{name}: failed, {reason}" for name, reason in found.failures.items()])


def _times(row: StrategyResult) -> Sequence[str]:
    return [
        row.name,
        *(f"{ms:.2f}" for ms in (row.steady_ms_p50, row.steady_ms_p99, row.switch_ms_p50, row.switch_ms_p99)),
        f"{row.switch_over_steady_p99:.2f}",
        f"{100 * row.within_steady_p99:.1f} %",
        format_number(row.host_us),
        f"{row.missed_frames} in {row.switches + row.steady_frames}",
        str(row.missed_after_switch),
        str(row.compilations),
    ]


def _bytes(row: StrategyResult) -> Sequence[str]:
    kinds = ("weight", "executable", "workspace", "device", "own_workspace", "peak", "rss", "rss_before")
    sizes = [getattr(row, f"{kind}_bytes") for kind in kinds]
    return [
        row.name,
        *("" if size is None else format_number(size / 1e6) for size in sizes),
        f"{row.ready_s:.2f}",
        "" if row.ready_warm_s is None else f"{row.ready_warm_s:.2f}",
        str(row.max_abs_diff),
    ]


def steady_table(found: SteadyResult) -> str:
    """The steady-rate experiment: the members at rest, then a row per stream, also of another bundle."""
    (height, width), both, names = found.frame, _bundles(found), ("", AGAINST)
    members, rows = [], []
    for place, one in enumerate(both):
        quality, name = one.member_psnr_y, names[place]
        members += [[f"{m.name}{name}", f"{m.frame_ms:.1f}", f"{quality[m.name]:.2f}"] for m in one.members]
    for streams in zip(*(one.strategies for one in both), strict=True):
        rows += [_steady_row(stream, names[place]) for place, stream in enumerate(streams)]
    times = ("on time", "late", "dropped", "interruptions", "longest gap ms")
    lines = [
        f"{found.device}, {width}x{height}, {found.fps:g} frames per second",
        f"{format_table(['member', 'ms at rest', 'PSNR-Y dB'], members)}\n",
        format_table(["stream", *times, "switches", "PSNR-Y dB", "on-time PSNR-Y dB"], rows),
        "(on-time PSNR-Y: the mean where a late or dropped frame counts 0 dB)",
        *(
            f"adapting{name} gains {100 * one.gain:.0f} % of the way from the smallest to the largest member"
            for name, one in zip(names, both, strict=False)
        ),
    ]
    if found.against is not None:
        load = frames_load([*found.slowdowns, *found.against.slowdowns])
        own, other = (f"{one.expected_psnr_y(load):.3f} dB" for one in both)
        what = "expected PSNR-Y of on-time frames under the slowdowns of both adaptive streams"
        lines.append(f"{what}, if the best member on time made each frame: {own}{AGAINST} {other}")
    return "\n".join(lines)


def _bundles(found: SteadyResult) -> list[SteadyResult]:
    return [found, *([found.against] if found.against else [])]


def _steady_row(stream: SteadyStream, name: str) -> list[str]:
    trace = stream.trace
    counts = [str(count) for count in (trace.late, trace.dropped, trace.interruptions)]
    counts.append(f"{max(trace.gaps_ms, default=0.0):.0f}")
    figures = (stream.true_psnr_y, stream.on_time_psnr_y)
    psnr_y = ("" if figure is None else f"{figure:.2f}" for figure in figures)
    return [f"{stream.name}{name}", f"{100 * trace.on_time:.1f} %", *counts, str(trace.switches), *psnr_y]


def write_timelines(folder: epath.PathLike, found: SteadyResult) -> list[epath.Path]:
    """A timeline of each stream as PNG, in the order of the streams, then those of another bundle; the folder
    is made where missing.
    """
    place = epath.Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    files = []
    for name, one in zip(("", AGAINST), _bundles(found), strict=False):
        for stream in one.strategies:
            trace = dataclasses.replace(stream.trace, psnr_y=one.member_psnr_y)
            load = [(at, count) for at, count in stream.load if at <= trace.seconds]
            title = f"{stream.name}{name}: {100 * trace.on_time:.1f} % on time, {stream.true_psnr_y:.2f} dB"
            file = f"steady_{stream.name}{name}.png".replace(", ", "_").replace(" ", "_")
            timeline_figure(place / file, trace, load=load, title=title)
            files.append(place / file)
    return files
