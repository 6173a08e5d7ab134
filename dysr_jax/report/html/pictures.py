"""Pictures of a comparison, small enough for a page."""

import io
from collections.abc import Iterable
from typing import Final

import numpy as np

MOST_BYTES: Final = 1_200_000
"""Of all pictures of a page."""
QUALITIES: Final = (95, 90, 80, 65, 50, 30)
"""Of WebP, tried in this order; artefacts are below what members differ by at the first ones."""


def _webp(picture: np.ndarray, quality: int | None) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    options = {"lossless": True} if quality is None else {"quality": quality, "method": 6}
    Image.fromarray(picture).save(content, format="WEBP", **options)
    return content.getvalue()


def encode(pictures: Iterable[np.ndarray], most: int = MOST_BYTES) -> tuple[list[bytes], str]:
    """Pictures as WebP, lossless where they fit, else all of them at the best quality that does.

    Args:
        pictures: `[H, W, 3]` uint8.
        most: bytes in all; what the lowest quality takes is taken in any case.

    Returns:
        The files, and how they were encoded, for the reader.
    """
    pictures = list(pictures)
    for quality in (None, *QUALITIES):
        files = [_webp(picture, quality) for picture in pictures]
        if sum(map(len, files)) <= most:
            break
    return files, "lossless" if quality is None else f"WebP, quality {quality}"
