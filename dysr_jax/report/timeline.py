"""A stream over time: what each frame took, which member made it, and what else ran."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from dysr_jax.report.figures import BLUE, GREY, ORANGE, save_figure
from dysr_jax.runtime.trace import Trace

Load = tuple[float, float]
"""Seconds since the stream began, and from then on this many busy processes beside it."""


def timeline_figure(
    path: epath.PathLike, trace: Trace, *, load: Sequence[Load] = (), title: str = ""
) -> None:
    """Frame times with the late ones marked, the members, and the load if it is known, over seconds.

    Args:
        path: of the PNG file.
        trace: of the stream, with a frame at least.
        load: when other processes started and stopped.
        title: above all.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.2 if load else 5.0))
    top = draw_timeline(figure, trace, load)
    if title:
        top.set_title(title, fontsize=10)
    figure.tight_layout()
    save_figure(figure, path)


def draw_timeline(figure: Any, trace: Trace, load: Sequence[Load]) -> Any:
    """The panels of `timeline_figure`; returns the axes of the top one."""
    names = list(trace.psnr_y)
    seconds = np.array([frame.done_s for frame in trace.frames])
    took = np.array([frame.frame_ms for frame in trace.frames])
    late = np.array([frame.late for frame in trace.frames])
    rung = np.array([names.index(frame.member) for frame in trace.frames])
    rows = figure.subplots(
        3 if load else 2, 1, sharex=True, height_ratios=[3, 2, 1] if load else [3, 2]
    )
    top, middle = rows[0], rows[1]
    top.plot(seconds, took, ".", markersize=3, color=BLUE, label="frame")
    top.plot(seconds[late], took[late], "x", markersize=5, color=ORANGE, label="late frame")
    top.axhline(1e3 / trace.fps, color=GREY, linewidth=1, label=f"{trace.fps:.4g} frames a second")
    top.set_ylabel("frame time, ms")
    top.set_ylim(0, max(2e3 / trace.fps, float(np.quantile(took, 0.995)) * 1.1))
    top.legend(fontsize=8, ncols=3)
    middle.step(seconds, rung, where="post", color=BLUE, linewidth=1)
    middle.set_yticks(range(len(names)), [_short(name, trace.psnr_y[name]) for name in names])
    middle.tick_params(axis="y", labelsize=8)
    middle.set_ylabel("member")
    if load:
        times, busy = zip(*[*load, (float(seconds[-1]), load[-1][1])], strict=True)
        rows[2].step(times, busy, where="post", color=ORANGE, linewidth=1)
        rows[2].set_ylabel("other\nprocesses")
        rows[2].set_ylim(0, max(busy) + 0.5)
        rows[2].yaxis.get_major_locator().set_params(integer=True)
    for axes in rows:
        axes.grid(alpha=0.3)
    rows[-1].set_xlabel("seconds")
    figure.align_ylabels(rows)
    return top


def _short(name: str, psnr_y: float, most: int = 22) -> str:
    """A label for a member that fits beside an axis."""
    head = name if len(name) <= most else f"{name[: most - 3]}..."
    return f"{head}  {psnr_y:.2f} dB"
