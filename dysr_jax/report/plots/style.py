"""What figures share: colours, axes, files, and the type of figures for papers."""

import contextlib
import io
import os
from collections.abc import Iterable, Iterator
from typing import Any, Final

from etils import epath

from dysr_jax.atomic import replacing

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
"""Colour-blind safe, Okabe & Ito 2008, without their black."""
BLUE, ORANGE, GREY = *COLOURS[:2], "#999999"
COLUMN, PAGE = 3.3, 6.9
"""Width of one and of two columns of a paper, inches."""
ABOVE: Final = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "frameon": False}
"""Where a legend stands over its axes."""
_TEXT = "font.size axes.titlesize axes.labelsize xtick.labelsize ytick.labelsize legend.fontsize"
_PAPER: Final[dict[Any, Any]] = {
    **dict.fromkeys(_TEXT.split(), 8),
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    # Text as outlines is the same on every machine. The salt makes the same figure the same file.
    "svg.fonttype": "path",
    "svg.hashsalt": "dysr_jax",
}


@contextlib.contextmanager
def paper_style() -> Iterator[None]:
    """Matplotlib's settings for papers; figures are made and saved within."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_PAPER)
        yield


def paper_figure(width: float, height: float) -> Any:
    """An empty `matplotlib.figure.Figure` of that many inches, whose parts make room for each other."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def paper_axes(width: float, height: float) -> tuple[Any, Any]:
    """A paper's figure and its only axes."""
    figure = paper_figure(width, height)
    return figure, figure.subplots()


def screen_figure(width: float, height: float, rows: int = 1, columns: int = 1, **how: Any) -> Any:
    """A figure for screens of that many inches, and its axes as `Figure.subplots` returns them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, **how)


def finish(figure: Any, grid: str = "both") -> Any:
    """The figure, with a grid in all axes that are drawn and its parts moved apart."""
    for axes in figure.axes:
        axes.grid(alpha=0.3, axis=grid)
    figure.tight_layout()
    return figure


def save_figure(figure: Any, path: epath.PathLike, *, kind: str = "png", **how: Any) -> None:
    """Write a Matplotlib figure in one of its formats, whole or not at all, also to `gs://`; `how` is of
    `Figure.savefig`, in place of 150 pixels per inch and a tight frame.
    """
    content = io.BytesIO()
    figure.savefig(content, format=kind, **({"dpi": 150, "bbox_inches": "tight"} | how))
    with replacing(path) as partial:
        partial.write_bytes(content.getvalue())


def save_pair(figure: Any, folder: epath.PathLike, name: str) -> list[str]:
    """Write `name.png`, 300 pixels per inch, and `name.svg`; returns both paths."""
    paths = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        paths.append(os.fspath(epath.Path(folder) / f"{name}.{kind}"))
        save_figure(figure, paths[-1], kind=kind, dpi=300, bbox_inches=None, metadata=metadata)
    return paths


def label_points(axes: Any, points: Iterable[Any], labels: Iterable[Any], offset: tuple[int, int]) -> None:
    """Write a label beside each point (x, y), in small type."""
    for label, point in zip(labels, points, strict=False):
        axes.annotate(str(label), point, xytext=offset, textcoords="offset points", fontsize=8)


def whole_numbers(axis: Any) -> None:
    """Ticks of an axis at whole numbers only."""
    axis.get_major_locator().set_params(integer=True)
