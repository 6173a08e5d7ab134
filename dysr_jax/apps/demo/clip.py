"""The film of the page: a slow move over the embedded photograph that a search holds out."""

import io
import math
from typing import Final

import PIL.Image

from dysr_jax.data import load_source

PHOTOGRAPH: Final = "astronaut"
WINDOW: Final = (512, 384)
"""Columns and rows of the photograph that the first frame shows."""
CLOSEST: Final = 0.7
"""Side of the last frame's window over that of the first."""
END: Final = (0.3, 0.1)
"""Where the last window lies, from 0 (left, top) to 1 (right, bottom) of the way that is open to it."""
FRAMES: Final = 32


def clip_frames(scale: int) -> list[bytes]:
    """LR frames as lossless WebP, `WINDOW` over `scale` in size; played forwards and backwards they loop."""
    image = next(e.hr for e in load_source("embedded", scale) if e.name == PHOTOGRAPH)
    return [_frame(PIL.Image.fromarray(image), scale, number / (FRAMES - 1)) for number in range(FRAMES)]


def _frame(photograph: PIL.Image.Image, scale: int, time: float) -> bytes:
    """The frame at a time from 0 to 1; the move begins and ends gently."""
    moved = (1 - math.cos(math.pi * time)) / 2
    width, height = (side * (1 - (1 - CLOSEST) * moved) for side in WINDOW)
    left, top = (photograph.width - width) * END[0] * moved, (photograph.height - height) * END[1] * moved
    box = (left, top, left + width, top + height)
    columns, rows = (side // scale for side in WINDOW)
    lr = photograph.resize((columns, rows), PIL.Image.Resampling.BICUBIC, box=box)
    file = io.BytesIO()
    lr.save(file, "WEBP", lossless=True, method=2)
    return file.getvalue()
