"""A stream over time (frame times, members, load), and what switches cost."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from etils import epath

from dysr_jax.bench import SteadyStream
from dysr_jax.bench.switch import StrategyResult, SwitchResult
from dysr_jax.bundle import Member
from dysr_jax.report.plots import style
from dysr_jax.runtime import STAGES, Load, SwitchReport, Trace

WINDOW: Final = 15  # frames, odd
NAME_LENGTH: Final = 22  # letters of a member's name that fit beside an axis


def timeline_figure(
    path: epath.PathLike, trace: Trace, *, load: Sequence[Load] = (), title: str = ""
) -> None:
    """Write a PNG of at least one frame: times with the late ones marked, the members, and other programs'
    load, if it is known.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.0 + 1.2 * (bool(load) + _staged(trace))))
    top = _draw_timeline(figure, trace, load)
    if title:
        top.set_title(title, fontsize=10)
    figure.tight_layout()
    style.save_figure(figure, path)


def streamed_figure(stream: SteadyStream) -> Any:
    """For papers: frame times, members and the load over seconds; of at least one frame."""
    members = len(stream.trace.psnr_y)
    more = 0.6 * bool(stream.load) + 0.9 * _staged(stream.trace)
    figure = style.paper_figure(style.PAGE, 2.9 + 0.13 * members + more)
    _draw_timeline(figure, stream.trace, stream.load)
    return figure


def _draw_timeline(figure: Any, trace: Trace, load: Sequence[Load]) -> Any:
    names, frames = list(trace.psnr_y), trace.frames
    seconds = np.array([frame.done_s for frame in frames])
    took = np.array([frame.frame_ms for frame in frames])
    late = np.array([frame.late for frame in frames])
    heights = [3, 2, *([1.5] if _staged(trace) else []), *([1] if load else [])]
    rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    top, middle = rows[:2]
    top.plot(seconds, took, ".", markersize=3, color=style.BLUE, label="frame")
    top.plot(seconds[late], took[late], "x", markersize=5, color=style.ORANGE, label="late frame")
    top.axhline(1e3 / trace.fps, color=style.GREY, linewidth=1, label=f"{trace.fps:.4g} frames per second")
    top.set(ylabel="frame time, ms", ylim=(0, max(2e3 / trace.fps, float(np.quantile(took, 0.995)) * 1.1)))
    top.legend(fontsize=8, ncols=3)
    made_by = np.array([names.index(frame.member) for frame in frames])
    middle.step(seconds, made_by, where="post", color=style.BLUE, linewidth=1)
    short = [n if len(n) <= NAME_LENGTH else f"{n[: NAME_LENGTH - 3]}..." for n in names]
    labels = [f"{name}  {quality:.2f} dB" for name, quality in zip(short, trace.psnr_y.values(), strict=True)]
    middle.set_yticks(range(len(names)), labels)
    middle.tick_params(axis="y", labelsize=8)
    middle.set_ylabel("member")
    if _staged(trace):
        _draw_stages(rows[2], trace, seconds)
    if load:
        times, busy = zip(*[*load, (float(seconds[-1]), load[-1][1])], strict=True)
        rows[-1].step(times, busy, where="post", color=style.ORANGE, linewidth=1)
        rows[-1].set(ylabel="other\nprocesses", ylim=(0, max(busy) + 0.5))
        style.whole_numbers(rows[-1].yaxis)
    for axes in rows:
        axes.grid(alpha=0.3)
    rows[-1].set_xlabel("seconds")
    figure.align_ylabels(rows)
    return top


def _staged(trace: Trace) -> bool:
    """Whether times of other stages than the network are known."""
    return any(ms for name, ms in trace.stage_ms.items() if name != "network")


def _draw_stages(axes: Any, trace: Trace, seconds: np.ndarray) -> None:
    """How long each stage was busy with a frame: the median of `WINDOW` frames around it."""
    for (name, field), colour in zip(STAGES.items(), style.COLOURS, strict=False):
        took = np.array([getattr(frame, field) for frame in trace.frames])
        if took.any():
            padded = np.pad(took, WINDOW // 2, mode="edge")
            smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, WINDOW), -1)
            axes.plot(seconds, np.maximum(smooth, 1e-3), color=colour, linewidth=1, label=name)
    axes.set(ylabel="stages, ms", yscale="log")
    axes.legend(fontsize=7, ncols=len(STAGES), loc="lower left", bbox_to_anchor=(0, 1), frameon=False)


def _draw_times(axes: Any, rows: Sequence[StrategyResult], *, paper: bool) -> None:
    """Steady frames above those after a switch, from the median to the 99th percentile."""
    marks, shift = ("oD", 0.14) if paper else ("os", 0.16)
    line, dot, end = ({}, 4, 5) if paper else ({"linewidth": 2}, None, 11)
    names = {"steady": "steady frame", "switch": "first frame after a switch"}
    looks = zip(names.items(), style.COLOURS, marks, (-shift, shift), strict=False)
    for (kind, name), colour, mark, offset in looks:
        places = np.arange(len(rows)) + offset
        low, high = ([getattr(row, f"{kind}_ms_p{q}") for row in rows] for q in (50, 99))
        labels = (name, None) if paper else (f"{name}: p50", f"{name}: p99")
        axes.hlines(places, low, high, color=colour, **line)
        axes.plot(low, places, mark, color=colour, label=labels[0], markersize=dot)
        axes.plot(high, places, "|", color=colour, label=labels[1], markersize=end)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.invert_yaxis()


def switch_figure(found: SwitchResult) -> Any:
    """For papers: steady frames and first frames after a switch, of the strategies that finished, if any."""
    rows = list(found.finished.values())
    figure, axes = style.paper_axes(style.COLUMN, 1.25 + 0.32 * len(rows))
    _draw_times(axes, rows, paper=True)
    look = {"color": style.GREY, "linestyle": "--", "label": f"{found.fps:g} frames per second"}
    axes.axvline(1e3 / found.fps, **look)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("ms per frame, host to host:\nmedian to 99th percentile")
    axes.grid(alpha=0.3, axis="x", which="both")
    axes.legend(**style.ABOVE)
    return figure


def switching_figure(found: SwitchResult) -> Any:
    """Frames after a switch beside steady ones, and bytes on the device; what failed is left out."""
    rows = list(found.finished.values())
    figure, (left, right) = style.screen_figure(10, 1.6 + 0.55 * len(rows), 1, 2, sharey=True)
    _draw_times(left, rows, paper=False)
    left.axvline(1e3 / found.fps, color=style.GREY, linestyle="--", label=f"due at {found.fps:g} fps")
    left.set_xlabel("ms, host to host")
    begin = np.zeros(len(rows))
    kinds = {"weight": "weights", "executable": "executables", "workspace": "workspace of a frame"}
    looks = zip(kinds.items(), (style.BLUE, style.ORANGE, style.GREY), ("", "//", ".."), strict=True)
    for (kind, label), colour, hatch in looks:
        sizes = np.array([getattr(row, f"{kind}_bytes") / 1e6 for row in rows])
        look = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": label}
        right.barh(range(len(rows)), sizes, left=begin, **look)
        begin = begin + sizes
    right.set_xlabel("MB on the device")
    for axes in (left, right):
        axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    height, width = found.frame
    title = f"{found.device}, {found.dtype}, {len(found.members)} members, {width}x{height}, x{found.scale}"
    figure.suptitle(title, fontsize=9)
    return style.finish(figure, "x")


def walk_figure(
    members: Sequence[Member], frames: SwitchReport, psnr_y: Mapping[str, float], *, bicubic_psnr_y: float
) -> Any:
    """Frame times of the members, fastest first, by `measure_switching`, and an image's PSNR-Y, dB."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    names, numbers = [member.name for member in members], range(1, len(members) + 1)
    steady, first = ([kind[name] for name in names] for kind in (frames.steady_ms, frames.first_ms))
    figure, (left, right) = style.screen_figure(10, 3.8, 1, 2)
    left.plot(numbers, steady, "o-", color=style.BLUE, label="steady frame")
    left.plot(numbers, first, "x", color=style.ORANGE, markersize=8, label="first frame after a switch")
    left.set_yscale("log")
    right.set_xscale("log")
    left.set(xlabel="member, fastest first", xticks=numbers, ylabel="ms per frame, host to host")
    left.set_title(f"{frames.switches} switches, {frames.compilations} compilations", fontsize=9)
    points = [(ms, psnr_y[name]) for ms, name in zip(steady, names, strict=True)]
    right.plot(*np.array(points).T, "o-", color=style.BLUE, label="members")
    style.label_points(right, points, numbers, (4, -11))
    right.axhline(bicubic_psnr_y, color=style.GREY, linestyle="--", label="bicubic")
    for axis in (left.yaxis, right.xaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    right.set(xlabel="ms per steady frame, host to host", ylabel="PSNR-Y of this image, dB")
    for axes in (left, right):
        axes.legend(fontsize=8)
    return style.finish(figure)
