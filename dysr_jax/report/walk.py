"""A walk along the front: how long each member takes, steady and right after a switch, and how good it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from dysr_jax.report.figures import BLUE, GREY, ORANGE
from dysr_jax.runtime.bundle import Member
from dysr_jax.runtime.switching import SwitchReport


def walk_figure(
    members: Sequence[Member],
    frames: SwitchReport,
    psnr_y: Mapping[str, float],
    *,
    bicubic_psnr_y: float,
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
