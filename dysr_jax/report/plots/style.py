"""Widths, type and files of figures for papers."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any, Final

from etils import epath

from dysr_jax.report.plots.front import save_figure

COLUMN: Final = 3.3
"""Width of one of two columns, inches."""
PAGE: Final = 6.9
"""Width of both."""
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
"""Colour-blind safe, Okabe & Ito 2008, without their black."""
_TYPE: Final[dict[Any, Any]] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    # Text as outlines: the same on every machine. The salt makes the same figure the same file.
    "svg.fonttype": "path",
    "svg.hashsalt": "dysr_jax",
}


@contextlib.contextmanager
def page() -> Iterator[None]:
    """Matplotlib's settings for papers; figures are made and saved within."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_TYPE)
        yield


def new_figure(width: float, height: float) -> Any:
    """An empty `matplotlib.figure.Figure` of that many inches, whose parts make room for each other."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_pair(figure: Any, folder: epath.PathLike, name: str) -> list[str]:
    """Write `name.png`, 300 pixels an inch, and `name.svg`; returns both paths."""
    paths = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        path = os.fspath(epath.Path(folder) / f"{name}.{kind}")
        save_figure(figure, path, kind=kind, dpi=300, bbox_inches=None, metadata=metadata)
        paths.append(path)
    return paths
