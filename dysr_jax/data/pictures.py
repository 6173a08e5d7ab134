"""From an image file to what it shows: pixels, colour profile, and what was left out."""

import dataclasses
import os

import numpy as np
from PIL import Image, ImageOps

from dysr_jax.data.pixels import from_image, from_levels
from dysr_jax.data.sixteen_bit import is_sixteen_bit_colour, read_levels


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """What an image file shows."""

    pixels: np.ndarray
    """`[H, W, C]` uint8, turned as the EXIF orientation says."""
    profile: bytes | None = None
    """ICC profile of the pixels' colours."""
    notes: tuple[str, ...] = ()
    """What the file has and the pixels have not."""


def _check_frames(image: Image.Image) -> None:
    """A second picture in a JPEG (MPO) is a preview or a gain map; all others are frames or pages."""
    if getattr(image, "is_animated", False) and image.format != "MPO":
        frames = getattr(image, "n_frames", "several")
        raise ValueError(f"it has {frames} frames or pages; allowed are images of one")


def _profile(image: Image.Image, pixels: np.ndarray) -> bytes | None:
    """The file's ICC profile, where it is for pixels of this kind (bytes 16 to 19 say for which)."""
    profile = image.info.get("icc_profile") or b""
    return profile if profile[16:20] == (b"GRAY" if pixels.shape[2] < 3 else b"RGB ") else None


def decode(path: str | os.PathLike[str]) -> Picture:
    """Read an image file; what cannot be read raises what Pillow raises, or a `ValueError`."""
    with Image.open(path) as image:
        _check_frames(image)
        deep = is_sixteen_bit_colour(image)
        if deep:
            with Image.open(path) as again:
                levels = read_levels(image, again)
            pixels = from_levels(levels, image.info.get("transparency"))
        else:
            pixels = from_image(_upright(image))
        rounded = deep or image.mode.startswith("I")
        notes = ("its 16 bits a channel are rounded to 8",) if rounded else ()
        return Picture(pixels, _profile(image, pixels), notes)


def _upright(image: Image.Image) -> Image.Image:
    """Turned as EXIF says, with its format known."""
    turned = ImageOps.exif_transpose(image)
    turned.format = image.format
    return turned
