"""Pillow images of every mode to 8-bit pixels `[H, W, C]` uint8.

C is 1 for grey, 2 for grey and alpha, 3 for RGB, 4 for RGBA.

Colour images of 16 bits a channel, which Pillow opens with the upper 8 bits only.

Its decoders take the upper byte of each sample, and which one that is depends on the byte order that the
raw mode names. Decoded a second time with the other order, the same file gives the lower bytes.
"""

import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from PIL import Image, ImageFile

from dysr_jax.data.images.metadata import turn_upright

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
    if image.mode in ("LA", "RGBA") or (image.mode in ("L", "RGB") and not image.has_transparency_data):
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


_SWAPPED = {
    f"{bands};16{order}": f"{bands};16{other}"
    for bands in ("RGB", "RGBA", "RGBX")
    for order, other in (("B", "L"), ("L", "B"), ("N", "B" if sys.byteorder == "little" else "L"))
}
"""Pillow's raw modes that keep the upper byte, and those that keep the lower one of the same samples."""

_GREY_ALPHA = "LA;16B"
"""As PNG has it; its four bytes a pixel are had as those of another mode."""

_CODECS = frozenset(("zip", "raw", "libtiff"))
"""Decoders that unpack by the raw mode; others may turn the samples themselves."""


def raw_modes(image: Image.Image) -> set[str]:
    """How the decoder is told that samples lie in the file; empty for formats without such tiles."""
    tiles = getattr(image, "tile", None) or []
    args = [tile[3] if isinstance(tile[3], tuple) else (tile[3],) for tile in tiles]
    return {str(given[0]) for given in args if given}


def is_sixteen_bit_colour(image: Image.Image) -> bool:
    """Whether an opened file, not loaded yet, holds more bits a channel than Pillow will give.

    Raises:
        ValueError: it does, in a layout whose lower bits cannot be had.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return False
    deep = {mode for mode in raw_modes(image) if ";16" in mode and not mode.startswith("BGR")}
    if not deep:
        return False
    codecs = {tile[0] for tile in getattr(image, "tile", ())}
    if deep <= _SWAPPED.keys() | {_GREY_ALPHA} and codecs <= _CODECS:
        return True
    raise ValueError(f"it has 16 bits a channel in a layout that is not known ({min(deep)})")


def _with_raw_modes(image: ImageFile.ImageFile, modes: dict[str, str]) -> ImageFile.ImageFile:
    """A file that is opened and not loaded, to be unpacked by other raw modes."""
    for number, tile in enumerate(image.tile):
        codec, extents, offset, args = tile
        given = (modes[args[0]], *args[1:]) if isinstance(args, tuple) else modes[str(args)]
        image.tile[number] = type(tile)(codec, extents, offset, given)
    return image


def read_levels(image: ImageFile.ImageFile, reopened: Callable[[], ImageFile.ImageFile]) -> np.ndarray:
    """`[H, W, 2, 3 or 4]` uint16 of a 16-bit colour file, turned as its EXIF orientation says.

    Args:
        image: the file, opened and not loaded.
        reopened: opens it once more.
    """
    if _GREY_ALPHA in raw_modes(image):
        image._mode = "RGBA"
        pairs = _upright(_with_raw_modes(image, {_GREY_ALPHA: "RGBA"}))
        return pairs.astype(np.uint8).view(">u2").astype(np.uint16)
    upper = _upright(image)
    return upper * 256 + _upright(_with_raw_modes(reopened(), _SWAPPED))


def _upright(image: Image.Image) -> np.ndarray:
    turn_upright(image)
    return np.asarray(image, np.uint16)
