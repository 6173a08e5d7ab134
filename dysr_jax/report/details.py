"""The same detail of several images beside each other."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dysr_jax.report.figures import busiest_corner


def cut_details(images: Mapping[str, np.ndarray], scale: int, side: int) -> dict[str, np.ndarray]:
    """The same square of each image, chosen where the last one has the most detail.

    Args:
        images: title to `[H, W, 3]` uint8; each is as large as the last one, or LR, `scale` times smaller.
        scale: side of HR over side of LR.
        side: of the square in HR pixels; rounded down to whole LR pixels.

    Returns:
        Title to the square `[side, side, 3]`, or of an LR image `[side / scale, side / scale, 3]`; smaller
        where the images are.
    """
    *_, last = images.values()
    side -= side % scale
    row, column = (place - place % scale for place in busiest_corner(last, side))
    squares = {}
    for title, image in images.items():
        part = 1 if image.shape[0] == last.shape[0] else scale
        top, left, length = row // part, column // part, side // part
        squares[title] = image[top : top + length, left : left + length]
    return squares


def details_figure(
    images: Mapping[str, np.ndarray], scale: int, *, side: int = 160, columns: int = 6
) -> Any:
    """A Matplotlib figure of the same detail of several images.

    Args:
        images: see `cut_details`.
        scale: side of HR over side of LR.
        side: of the detail, in HR pixels.
        columns: images in a row.
    """
    from matplotlib.figure import Figure

    squares = cut_details(images, scale, side)
    columns = min(columns, len(squares))
    rows = -(-len(squares) // columns)
    figure = Figure(figsize=(2.0 * columns, 2.4 * rows))
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in places:
        axes.axis("off")
    for axes, (title, square) in zip(places, squares.items(), strict=False):
        axes.imshow(square, interpolation="nearest")
        axes.set_title(title, fontsize=8)
    figure.tight_layout()
    return figure
