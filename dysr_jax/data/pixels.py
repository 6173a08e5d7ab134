"""Pillow images of every mode to 8-bit pixels `[H, W, C]` uint8.

C is 1 for grey, 2 for grey and alpha, 3 for RGB, 4 for RGBA.
"""

from typing import Any, Final

import numpy as np
from PIL import Image

SIXTEEN: Final = 257
"""16-bit levels in one of 8 bits: 65535 / 255."""


_SIXTEEN_AS_I: Final = ("PNG", "PPM", "JPEG2000")
"""Formats whose 16 bits of grey Pillow may give in its mode of 32."""

_BAND: Final = 256
"""Rows at once."""


def from_levels(levels: np.ndarray, transparent: Any = None) -> np.ndarray:
    """16-bit levels `[H, W, C]` to 8-bit pixels, rounded; the colour `transparent` gets alpha 0."""
    pixels = np.empty(levels.shape, np.uint8)
    for start in range(0, len(levels), _BAND):  # a sum needs four bytes a level
        band = levels[start : start + _BAND].astype(np.uint32)
        pixels[start : start + _BAND] = (band + SIXTEEN // 2) // SIXTEEN
    if transparent is None or levels.shape[2] not in (1, 3):
        return pixels
    opaque = (levels != np.asarray(transparent)).any(2, keepdims=True)
    return np.concatenate([pixels, np.where(opaque, np.uint8(255), np.uint8(0))], 2)


def from_image(image: Image.Image, *, white: int = 65535, inverted: bool = False) -> np.ndarray:
    """The pixels of an image that has 8 bits a channel or fewer, or 16 bits of grey; of CMYK none.

    Args:
        image: of Pillow.
        white: the level of white where it has 16 bits of grey.
        inverted: whether white is 0 there.

    Raises:
        ValueError: a mode that has no such pixels.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in _SIXTEEN_AS_I):
        levels = np.clip(np.asarray(image)[:, :, None], 0, white)
        if white != 65535:
            levels = levels.astype(np.uint32) * 65535 // white
        return from_levels(65535 - levels if inverted else levels, image.info.get("transparency"))
    if image.mode in ("F", "I"):
        kind = "floats" if image.mode == "F" else "32-bit integers"
        raise ValueError(f"its pixels are {kind}; allowed are 8-bit and 16-bit images")
    pixels = np.asarray(_plain(image))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _plain(image: Image.Image) -> Image.Image:
    """In mode L, LA, RGB or RGBA; as it is where it is in one of them, because a copy may be large."""
    if image.mode in ("LA", "RGBA") or (
        image.mode in ("L", "RGB") and not image.has_transparency_data
    ):
        return image
    if image.mode in ("1", "L", "LA", "La"):
        return image.convert("LA" if image.has_transparency_data else "L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def on_white(pixels: np.ndarray) -> np.ndarray:
    """Pixels without their alpha channel, laid on white: `[H, W, 2 or 4]` to `[H, W, 1 or 3]`."""
    if pixels.shape[2] in (1, 3):
        return pixels
    colour, alpha = pixels[:, :, :-1].astype(np.uint16), pixels[:, :, -1:].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def as_grey(rgb: np.ndarray) -> np.ndarray:
    """The mean of the three channels, rounded: `[H, W, 3]` to `[H, W, 1]` uint8."""
    return ((rgb.sum(2, dtype=np.uint16, keepdims=True) + 1) // 3).astype(np.uint8)


def filled(pixels: np.ndarray) -> np.ndarray:
    """The colours of `[H, W, 2 or 4]`, where invisible ones are those of the nearest visible pixel.

    What a transparent pixel holds is anybody's guess, and it would bleed into its neighbours.
    """
    from scipy.ndimage import distance_transform_edt

    colour, invisible = pixels[:, :, :-1], pixels[:, :, -1] == 0
    if not invisible.any() or invisible.all():
        return colour
    nearest = distance_transform_edt(invisible, return_distances=False, return_indices=True)
    return colour[tuple(nearest)]
