"""Pillow images of every mode to `[H, W, C]` uint8: C is 1 for grey, 2 with alpha, 3 for RGB, 4 with alpha.

Pillow opens colour images of 16 bits per channel with the upper 8 bits only. Its decoders take the upper byte
of each sample, and the raw mode names the byte order: with the other order, the same file gives the lower
bytes. So PNG and every compression of TIFF are decoded without another package.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from PIL import Image, ImageFile

from dysr_jax.data.images.metadata import turn_upright

_STEP: Final = 257  # 16-bit levels per 8-bit level: 65535 / 255
# Formats whose 16 bits of grey Pillow may give in its mode of 32
_SIXTEEN_AS_I: Final = ("PNG", "PPM", "JPEG2000")
_BAND: Final = 256  # rows that are rounded at once


def round_levels(levels: np.ndarray, transparent: Any = None) -> np.ndarray:
    """16-bit levels `[H, W, C]` to 8-bit pixels, rounded; the colour `transparent` gets alpha 0."""
    pixels = np.empty(levels.shape, np.uint8)
    for start in range(0, len(levels), _BAND):  # a sum needs four bytes a level
        band = levels[start : start + _BAND].astype(np.uint32)
        pixels[start : start + _BAND] = (band + _STEP // 2) // _STEP
    if transparent is None or levels.shape[2] not in (1, 3):
        return pixels
    opaque = (levels != np.asarray(transparent)).any(2, keepdims=True)
    return np.concatenate([pixels, np.where(opaque, np.uint8(255), np.uint8(0))], 2)


def pixels_from_pil(image: Image.Image, *, white: int = 65535, inverted: bool = False) -> np.ndarray:
    """The pixels of an image of at most 8 bits per channel, or of 16 bits of grey; not of CMYK.

    Of 16-bit grey, `white` is the level of white; `inverted` says that white is 0.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in _SIXTEEN_AS_I):
        levels = np.clip(np.asarray(image)[:, :, None], 0, white)
        if white != 65535:
            levels = levels.astype(np.uint32) * 65535 // white
        return round_levels(65535 - levels if inverted else levels, image.info.get("transparency"))
    if image.mode in ("F", "I"):
        kind = "floats" if image.mode == "F" else "32-bit integers"
        raise ValueError(f"its pixels are {kind}; they must be unsigned integers of at most 16 bits")
    pixels = np.asarray(_plain(image))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _plain(image: Image.Image) -> Image.Image:
    """In mode L, LA, RGB or RGBA; not copied where it is in one of them, because a copy may be large."""
    if image.mode in ("LA", "RGBA") or (image.mode in ("L", "RGB") and not image.has_transparency_data):
        return image
    if image.mode in ("1", "L", "LA", "La"):
        return image.convert("LA" if image.has_transparency_data else "L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def blend_on_white(pixels: np.ndarray) -> np.ndarray:
    """Pixels without their alpha channel, laid on white: `[H, W, 2 or 4]` to `[H, W, 1 or 3]`."""
    if pixels.shape[2] in (1, 3):
        return pixels
    colour, alpha = pixels[:, :, :-1].astype(np.uint16), pixels[:, :, -1:].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def fill_transparent(pixels: np.ndarray) -> np.ndarray:
    """The colours of `[H, W, 2 or 4]`; invisible pixels, which would bleed, take the nearest visible ones."""
    from scipy.ndimage import distance_transform_edt

    colour, invisible = pixels[:, :, :-1], pixels[:, :, -1] == 0
    if not invisible.any() or invisible.all():
        return colour
    nearest = distance_transform_edt(invisible, return_distances=False, return_indices=True)
    return colour[tuple(nearest)]


def rgb_to_grey(rgb: np.ndarray) -> np.ndarray:
    """The mean of the three channels, rounded: `[H, W, 3]` to `[H, W, 1]` uint8."""
    return ((rgb.sum(2, dtype=np.uint16, keepdims=True) + 1) // 3).astype(np.uint8)


def grey_to_rgb(image: np.ndarray) -> np.ndarray:
    """`[H, W, 1 or 3]` to `[H, W, 3]`."""
    return np.repeat(image, 3, 2) if image.shape[2] == 1 else image


# Pillow's raw modes that keep the upper byte, and those that keep the lower byte of the same samples
_SWAPPED: Final = {
    f"{bands};16{order}": f"{bands};16{other}"
    for bands in ("RGB", "RGBA", "RGBX")
    for order, other in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}
# PNG's 16 bits of grey and alpha; its four bytes per pixel are read as those of RGBA
_GREY_ALPHA: Final = "LA;16B"
# Decoders that unpack by the raw mode; others may swap the samples themselves
_CODECS: Final = frozenset(("zip", "raw", "libtiff"))


def raw_modes(image: Image.Image) -> set[str]:
    """How samples lie in the file, as Pillow tells its decoder; empty for formats without such tiles."""
    tiles = getattr(image, "tile", None) or []
    args = [tile[3] if isinstance(tile[3], tuple) else (tile[3],) for tile in tiles]
    return {str(given[0]) for given in args if given}


def decode_16_bit_colour(
    image: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile]
) -> np.ndarray | None:
    """The pixels of an opened file of 16 bits per colour channel, upright; None for others.

    `reopen` opens it once more. A `ValueError` says that its lower bits cannot be read.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return None
    deep = {mode for mode in raw_modes(image) if ";16" in mode and not mode.startswith("BGR")}
    if not deep:
        return None
    if not (deep <= _SWAPPED.keys() | {_GREY_ALPHA} and {tile[0] for tile in image.tile} <= _CODECS):
        raise ValueError(f"it has 16 bits per channel in a layout that is not known ({min(deep)})")
    if _GREY_ALPHA in deep:
        image._mode = "RGBA"
        levels = _upright(image, {_GREY_ALPHA: "RGBA"}).astype(np.uint8).view(">u2").astype(np.uint16)
    else:
        levels = _upright(image, {}) * 256 + _upright(reopen(), _SWAPPED)
    return round_levels(levels, image.info.get("transparency"))


def _upright(image: ImageFile.ImageFile, modes: dict[str, str]) -> np.ndarray:
    """The samples, decoded by the raw modes that `modes` has in place of the file's, if any."""
    for number, tile in enumerate(image.tile if modes else ()):
        args = tile[3]
        given = (modes[args[0]], *args[1:]) if isinstance(args, tuple) else modes[str(args)]
        image.tile[number] = tile._replace(args=given)
    turn_upright(image)
    return np.asarray(image, np.uint16)
