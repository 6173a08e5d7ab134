"""The same detail of several images beside each other."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from etils import epath

from dysr_jax.report.comparison import Comparison, cut_details
from dysr_jax.report.plots import style

COMPARED_SIDE: Final = 96
"""Of the detail in a paper's comparison, HR pixels."""


def _draw_details(grid: Iterable[Any], images: Mapping[str, np.ndarray], scale: int, side: int) -> None:
    """An image per axes, which are drawn without axes, as those are that are left over."""
    places = list(grid)
    for axes in places:
        axes.axis("off")
    for axes, (title, square) in zip(places, cut_details(images, scale, side).items(), strict=False):
        axes.imshow(square, interpolation="nearest")
        axes.set_title(title, fontsize=8)


def samples_figure(
    path: epath.PathLike, images: Mapping[str, np.ndarray], scale: int, *, side: int = 160
) -> None:
    """Write a PNG of one row; `images` as of `cut_details`, `side` of the detail in HR pixels."""
    figure, grid = style.screen_figure(2.6 * len(images), 3.0, 1, len(images))
    _draw_details(grid, images, scale, side)
    style.save_figure(style.finish(figure), path)


def details_figure(images: Mapping[str, np.ndarray], scale: int, *, side: int = 160, columns: int = 6) -> Any:
    """In rows of `columns` images; `images` as of `cut_details`, `side` of the detail in HR pixels."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure, grid = style.screen_figure(2.0 * columns, 2.4 * rows, rows, columns, squeeze=False)
    _draw_details(grid.flat, images, scale, side)
    return style.finish(figure)


def comparison_figure(found: Comparison) -> Any:
    """For papers: LR, bicubic, the fastest member, the best one and HR."""
    made = [name for name in found.pictures if name not in ("LR", "bicubic", "HR")]
    roles = {"bicubic": "bicubic", made[-1]: "best member", made[0]: "fastest member"}
    shown = dict.fromkeys(("bicubic", made[0], made[-1]))
    titled = {f"{roles[name]}\n{found.psnr_y[name]:.2f} dB": found.pictures[name] for name in shown}
    lr, hr = found.pictures["LR"], found.pictures["HR"]
    images = {f"LR, x{found.scale}\n": lr, **titled, "HR\n": hr}
    figure = style.paper_figure(style.PAGE, 0.45 + style.PAGE / len(images))
    grid = figure.subplots(1, len(images))
    _draw_details(grid, images, found.scale, min(COMPARED_SIDE, *hr.shape[:2]))
    return figure
