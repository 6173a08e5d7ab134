"""A stream over time: what each frame took, which member made it, and what else ran."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from etils import epath

from dysr_jax.bench import SteadyStream
from dysr_jax.report.plots import style
from dysr_jax.runtime import Load, Trace

NAME_LENGTH: Final = 22
"""Letters of a member's name that fit beside an axis."""


def timeline_figure(
    path: epath.PathLike, trace: Trace, *, load: Sequence[Load] = (), title: str = ""
) -> None:
    """Write a PNG: frame times with the late ones marked, the members, and the load if it is known.

    The trace has at least one frame; `load` is when other processes started and stopped.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.2 if load else 5.0))
    top = _draw_timeline(figure, trace, load)
    if title:
        top.set_title(title, fontsize=10)
    figure.tight_layout()
    style.save_figure(figure, path)


def streamed_figure(stream: SteadyStream) -> Any:
    """For papers: frame times, members and the load over seconds; of at least one frame."""
    members = len(stream.trace.psnr_y)
    figure = style.paper_figure(style.PAGE, 2.9 + 0.13 * members + (0.6 if stream.load else 0.0))
    _draw_timeline(figure, stream.trace, stream.load)
    return figure


def _draw_timeline(figure: Any, trace: Trace, load: Sequence[Load]) -> Any:
    """Draws all panels; returns the axes of the top one."""
    names, frames = list(trace.psnr_y), trace.frames
    seconds = np.array([frame.done_s for frame in frames])
    took = np.array([frame.frame_ms for frame in frames])
    late = np.array([frame.late for frame in frames])
    heights = [3, 2, 1] if load else [3, 2]
    rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    top, middle = rows[:2]
    top.plot(seconds, took, ".", markersize=3, color=style.BLUE, label="frame")
    top.plot(seconds[late], took[late], "x", markersize=5, color=style.ORANGE, label="late frame")
    top.axhline(1e3 / trace.fps, color=style.GREY, linewidth=1, label=f"{trace.fps:.4g} frames per second")
    top.set(ylabel="frame time, ms", ylim=(0, max(2e3 / trace.fps, float(np.quantile(took, 0.995)) * 1.1)))
    top.legend(fontsize=8, ncols=3)
    made_by = np.array([names.index(frame.member) for frame in frames])
    middle.step(seconds, made_by, where="post", color=style.BLUE, linewidth=1)
    middle.set_yticks(range(len(names)), [f"{_short(n)}  {trace.psnr_y[n]:.2f} dB" for n in names])
    middle.tick_params(axis="y", labelsize=8)
    middle.set_ylabel("member")
    if load:
        times, busy = zip(*[*load, (float(seconds[-1]), load[-1][1])], strict=True)
        rows[2].step(times, busy, where="post", color=style.ORANGE, linewidth=1)
        rows[2].set(ylabel="other\nprocesses", ylim=(0, max(busy) + 0.5))
        style.whole_numbers(rows[2].yaxis)
    for axes in rows:
        axes.grid(alpha=0.3)
    rows[-1].set_xlabel("seconds")
    figure.align_ylabels(rows)
    return top


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 3]}..."
