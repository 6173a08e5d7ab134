"""What switches cost: the switch experiment, and a walk along the front."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dysr_jax.bench.switch import StrategyResult, SwitchResult
from dysr_jax.bundle import Member
from dysr_jax.report.plots.style import (
    ABOVE,
    BLUE,
    COLUMN,
    GREY,
    ORANGE,
    finish,
    number_points,
    paper_axes,
    screen_figure,
)
from dysr_jax.runtime import SwitchReport


class _Style(NamedTuple):
    """How a row shows a median and a 99th percentile."""

    marks: tuple[str, str]
    """Of steady and of first frames."""
    shift: float
    """Of both from the row's middle."""
    line: dict[str, float]
    dot: dict[str, float]
    end: dict[str, float]


_PAPER = _Style(("o", "D"), 0.14, {}, {"markersize": 4}, {"markersize": 5})
_SCREEN = _Style(("o", "s"), 0.16, {"linewidth": 2}, {}, {"markersize": 11})


def _draw_times(
    axes: Any, rows: Sequence[StrategyResult], style: _Style, labels: Sequence[str | None]
) -> None:
    """Steady frames above those after a switch, from the median to the 99th percentile.

    `labels` are of both quantiles: None leaves one out of the legend.
    """
    for kind, name, colour, mark, shift in (
        ("steady", "steady frame", BLUE, style.marks[0], -style.shift),
        ("switch", "first frame after a switch", ORANGE, style.marks[1], style.shift),
    ):
        places = np.arange(len(rows)) + shift
        low, high = (np.array([getattr(row, f"{kind}_ms_p{q}") for row in rows]) for q in (50, 99))
        legend = [name + label if label is not None else None for label in labels]
        axes.hlines(places, low, high, color=colour, **style.line)
        axes.plot(low, places, mark, color=colour, label=legend[0], **style.dot)
        axes.plot(high, places, "|", color=colour, label=legend[1], **style.end)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.invert_yaxis()


def switch_figure(found: SwitchResult) -> Any:
    """For papers: steady frames and first frames after a switch, by strategy.

    Those that failed are left out; at least one must not have.
    """
    rows = list(found.finished.values())
    figure, axes = paper_axes(COLUMN, 1.25 + 0.32 * len(rows))
    _draw_times(axes, rows, _PAPER, ("", None))
    label = f"{found.fps:g} frames per second"
    axes.axvline(1e3 / found.fps, color=GREY, linestyle="--", label=label)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("ms per frame, host to host:\nmedian to 99th percentile")
    axes.grid(alpha=0.3, axis="x", which="both")
    axes.legend(**ABOVE)
    return figure


def switching_figure(found: SwitchResult) -> Any:
    """Frames after a switch beside steady ones, and bytes on the device; what failed is left out."""
    rows = list(found.finished.values())
    figure, (left, right) = screen_figure(10, 1.6 + 0.55 * len(rows), 1, 2, sharey=True)
    _draw_times(left, rows, _SCREEN, (": p50", ": p99"))
    left.axvline(1e3 / found.fps, color=GREY, linestyle="--", label=f"due at {found.fps:g} fps")
    left.set_xlabel("ms, host to host")
    begin = np.zeros(len(rows))
    for name, colour, hatch, label in (
        ("weight_bytes", BLUE, "", "weights"),
        ("executable_bytes", ORANGE, "//", "executables"),
        ("workspace_bytes", GREY, "..", "workspace of a frame"),
    ):
        sizes = np.array([getattr(row, name) / 1e6 for row in rows])
        how = {"color": colour, "hatch": hatch, "edgecolor": "white", "label": label}
        right.barh(range(len(rows)), sizes, left=begin, **how)
        begin = begin + sizes
    right.set_xlabel("MB on the device")
    for axes in (left, right):
        axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    height, width = found.frame
    title = f"{found.device}, {found.dtype}, {len(found.members)} members, {width}x{height}, x{found.scale}"
    figure.suptitle(title, fontsize=9)
    return finish(figure, "x")


def walk_figure(
    members: Sequence[Member], frames: SwitchReport, psnr_y: Mapping[str, float], *, bicubic_psnr_y: float
) -> Any:
    """Frame times of the members, and PSNR-Y against them.

    Args:
        members: fastest first.
        frames: of `measure_switching`.
        psnr_y: dB of each member, by name, on the image that was used.
        bicubic_psnr_y: dB of bicubic upscaling on it.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    names = [member.name for member in members]
    numbers = range(1, len(names) + 1)
    steady, first = ([kind[name] for name in names] for kind in (frames.steady_ms, frames.first_ms))
    figure, (left, right) = screen_figure(10, 3.8, 1, 2)
    left.plot(numbers, steady, "o-", color=BLUE, label="steady frame")
    left.plot(numbers, first, "x", color=ORANGE, markersize=8, label="first frame after a switch")
    left.set_yscale("log")
    right.set_xscale("log")
    left.set_xticks(numbers)
    left.set_xlabel("member, fastest first")
    left.set_ylabel("ms per frame, host to host")
    left.set_title(f"{frames.switches} switches, {frames.compilations} compilations", fontsize=9)
    points = [(ms, psnr_y[name]) for ms, name in zip(steady, names, strict=True)]
    right.plot(*np.array(points).T, "o-", color=BLUE, label="members")
    number_points(right, points)
    right.axhline(bicubic_psnr_y, color=GREY, linestyle="--", label="bicubic")
    for axis in (left.yaxis, right.xaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    right.set_xlabel("ms per steady frame, host to host")
    right.set_ylabel("PSNR-Y of this image, dB")
    for axes in (left, right):
        axes.legend(fontsize=8)
    return finish(figure)
