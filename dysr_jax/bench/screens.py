"""The frames that benchmarks upscale: sizes of screens, and a photograph to fill them."""

from typing import Final, NamedTuple

import numpy as np

from dysr_jax.errors import InputError

OUTPUTS: Final = (360, 720, 1080, 2160)
"""Rows of output frames; columns by 16:9."""


class Size(NamedTuple):
    """Of a frame."""

    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.columns}x{self.rows}"

    @property
    def pixels(self) -> int:
        """Rows times columns."""
        return self.rows * self.columns

    def over(self, scale: int) -> "Size":
        """The LR frame of an output of this size."""
        return Size(self.rows // scale, self.columns // scale)


def output_size(rows: int, scale: int) -> Size:
    """The 16:9 frame of so many rows.

    Raises:
        InputError: it has no whole number of columns, or the scale does not divide it.
    """
    size = Size(rows, rows * 16 // 9)
    if rows < 1 or rows * 16 % 9 or rows % scale or size.columns % scale:
        raise InputError(
            f"outputs {rows}: allowed are rows of 16:9 frames that x{scale} divides, such as "
            f"{', '.join(map(str, OUTPUTS))}"
        )
    return size


def photograph(size: Size) -> np.ndarray:
    """`[H, W, 3]` uint8 of this size: an embedded photograph, mirrored where it ends."""
    from dysr_jax.data.embedded import EmbeddedImages

    image = EmbeddedImages()[0].hr
    more = [(0, max(0, side - have)) for side, have in zip(size, image.shape, strict=False)]
    filled = np.pad(image, [*more, (0, 0)], mode="symmetric")
    return np.ascontiguousarray(filled[: size.rows, : size.columns])
