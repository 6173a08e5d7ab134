"""What switches cost: the switch experiment, and a walk along the front."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dysr_jax.bench.switch import StrategyResult, SwitchResult
from dysr_jax.bundle import Member
from dysr_jax.report.plots import style
from dysr_jax.runtime import SwitchReport


def _draw_times(axes: Any, rows: Sequence[StrategyResult], *, paper: bool) -> None:
    """Steady frames above those after a switch, from the median to the 99th percentile."""
    marks, shift = ("oD", 0.14) if paper else ("os", 0.16)
    line, dot, end = ({}, 4, 5) if paper else ({"linewidth": 2}, None, 11)
    kinds = (
        ("steady", "steady frame", style.BLUE, marks[0], -shift),
        ("switch", "first frame after a switch", style.ORANGE, marks[1], shift),
    )
    for kind, name, colour, mark, offset in kinds:
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
    due = f"{found.fps:g} frames per second"
    axes.axvline(1e3 / found.fps, color=style.GREY, linestyle="--", label=due)
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
    for kind, colour, hatch, label in (
        ("weight", style.BLUE, "", "weights"),
        ("executable", style.ORANGE, "//", "executables"),
        ("workspace", style.GREY, "..", "workspace of a frame"),
    ):
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
    """Frame times of the members, fastest first, and PSNR-Y on the image that was used against them.

    `frames` is of `measure_switching`; `psnr_y` is dB by member, `bicubic_psnr_y` of bicubic.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    names = [member.name for member in members]
    numbers = range(1, len(names) + 1)
    steady, first = ([kind[name] for name in names] for kind in (frames.steady_ms, frames.first_ms))
    figure, (left, right) = style.screen_figure(10, 3.8, 1, 2)
    left.plot(numbers, steady, "o-", color=style.BLUE, label="steady frame")
    left.plot(numbers, first, "x", color=style.ORANGE, markersize=8, label="first frame after a switch")
    left.set_yscale("log")
    right.set_xscale("log")
    left.set_xticks(numbers)
    left.set(xlabel="member, fastest first", ylabel="ms per frame, host to host")
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
