"""How a camera was held: the display matrix of a video, applied to its pixels."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import av

Matrix = tuple[float, float, float, float]
"""`(a, b, c, d)`: a pixel at column x and row y is shown at column `a x + c y`, row `b x + d y`."""

UPRIGHT: Matrix = (1, 0, 0, 1)


def display_matrix(frame: "av.VideoFrame") -> Matrix:
    """What turns and mirrors a frame for display; `UPRIGHT` without such metadata."""
    from av.sidedata.sidedata import Type

    side_data: Any = frame.side_data  # PyAV 18 and 19 annotate it differently
    data = side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return UPRIGHT
    # Rows of three in 16.16 fixed point (the last column in 2.30); translations do not matter here.
    fixed = np.frombuffer(data, np.int32)[:6].astype(float) / 65536
    return fixed[0], fixed[1], fixed[3], fixed[4]


def swaps_sides(matrix: Matrix) -> bool:
    """Whether rows are shown as columns."""
    a, b, c, d = map(abs, matrix)
    return b + c > a + d


def oriented(image: np.ndarray, matrix: Matrix) -> np.ndarray:
    """`[H, W, C]` as it is shown, to the nearest quarter of a turn."""
    if matrix == UPRIGHT:
        return image
    if swaps_sides(matrix):
        image, across, down = image.swapaxes(0, 1), matrix[2], matrix[1]
    else:
        across, down = matrix[0], matrix[3]
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])
