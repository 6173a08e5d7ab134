"""Image files to and from `[H, W, C]` uint8 arrays, through Pillow.

C is 1 for grey, 2 for grey and alpha, 3 for RGB, 4 for RGBA.
"""

import os
import pathlib
from typing import IO, Final

import numpy as np
from PIL import Image

from dysr_jax.atomic import replacing
from dysr_jax.data.formats import MAX_PIXELS, writable
from dysr_jax.data.metadata import Metadata
from dysr_jax.data.pictures import Picture, decode
from dysr_jax.data.pixels import on_white
from dysr_jax.data.saving import OPAQUE, fitted, save_options
from dysr_jax.errors import InputError

LONGEST_SIDE: Final = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 16_384, "TGA": 65_535}
"""Pixels a side that a format holds, where images come near it."""

LARGEST_FILE: Final = {"BMP": 2**32 - 2**16}
"""Bytes of pixels, likewise."""


def read_picture(
    path: str | os.PathLike[str] | IO[bytes], *, max_pixels: int = MAX_PIXELS
) -> Picture:
    """An image file as 8-bit pixels with its transparency and its metadata.

    16-bit channels are rounded to 8 bits, palettes and CMYK become RGB.

    Args:
        path: of the file; or the file itself, opened.
        max_pixels: that it may have.

    Raises:
        InputError: no such file, no image, a damaged one, a larger one, one of several frames, one in HDR, or
            one whose pixels are floats, signed or 32-bit integers.
    """
    name = repr(os.fspath(path)) if isinstance(path, (str, os.PathLike)) else "in a record"
    try:
        return decode(path, max_pixels)
    except FileNotFoundError:
        raise InputError(f"image {name} does not exist") from None
    except Exception as error:  # of damaged files Pillow's plugins raise anything
        raise InputError(f"image {name} cannot be read: {reason_of(error)}") from None


def reason_of(error: Exception) -> str:
    """What an exception says, in one line; its kind where it says nothing."""
    said = getattr(error, "strerror", None) or str(error)
    return " ".join(said.split()) or type(error).__name__


def read_image(path: str | os.PathLike[str] | IO[bytes]) -> np.ndarray:
    """An image file as RGB `[H, W, 3]` uint8: `read_picture`, grey repeated, laid on white.

    Raises:
        InputError: see `read_picture`.
    """
    return to_rgb(read_grey_or_rgb(path))


def read_grey_or_rgb(path: str | os.PathLike[str] | IO[bytes]) -> np.ndarray:
    """Like `read_image`, but a grey file gives `[H, W, 1]`: metrics keep its values as they are."""
    return on_white(read_picture(path).pixels)


def to_rgb(image: np.ndarray) -> np.ndarray:
    """`[H, W, 1 or 3]` to `[H, W, 3]`."""
    return np.repeat(image, 3, 2) if image.shape[2] == 1 else image


def check_suffix(path: str | os.PathLike[str]) -> str:
    """The format of an image file that can be written, by its suffix, as Pillow calls it.

    Raises:
        InputError: another suffix.
    """
    form = writable().get(pathlib.Path(path).suffix.lower())
    if form is None:
        raise InputError(f"image {os.fspath(path)!r}: allowed suffixes are {', '.join(writable())}")
    return form


def check_size(path: str | os.PathLike[str], shape: tuple[int, ...]) -> None:
    """Whether the format of a file's suffix holds an image of these rows, columns and channels.

    Raises:
        InputError: it does not.
    """
    form, (rows, columns) = check_suffix(path), shape[:2]
    longest, largest = LONGEST_SIDE.get(form), LARGEST_FILE.get(form)
    limit = ""
    if longest is not None and max(rows, columns) > longest:
        limit = f"{longest:,} pixels a side"
    if largest is not None and int(np.prod(shape, dtype=np.int64)) > largest:
        limit = "4 GB"
    if limit:
        raise InputError(
            f"image {os.fspath(path)!r} cannot be written: {columns}x{rows} is more than the {limit} "
            f"of its format; .png and .tif hold larger ones"
        )


def write_image(
    path: str | os.PathLike[str], image: np.ndarray, metadata: Metadata | None = None
) -> tuple[str, ...]:
    """Write `[H, W, C]` uint8 in the format of the file's suffix, whole or not at all.

    Transparency is laid on white where the format holds none.

    Args:
        path: of the file.
        image: the pixels.
        metadata: what else is written.

    Returns:
        What the format does not hold, a sentence each.

    Raises:
        InputError: a suffix that Pillow does not write, an image that is too large for its format, or a
            place that cannot be written to.
    """
    form = check_suffix(path)
    check_size(path, image.shape)
    has_alpha = image.shape[2] in (2, 4)
    pixels = on_white(image) if has_alpha and form in OPAQUE else image
    kept, notes = fitted(metadata or Metadata(), form, (image.shape[1], image.shape[0]))
    options = save_options(kept, form, pixels.nbytes)
    suffix = pathlib.Path(path).suffix.lower()
    if suffix == ".j2k":
        options["no_jp2"] = True  # the bare stream
    try:
        with replacing(path) as partial:
            shown = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
            # By bytes, because Pillow encodes a name that is text, and not every name can be.
            with open(os.fsencode(partial), "w+b") as file:  # noqa: PTH123
                shown.save(file, format=form, **options)
    except Exception as error:  # an encoder may raise anything; a full disk, OSError
        raise InputError(
            f"image {os.fspath(path)!r} cannot be written: {reason_of(error)}"
        ) from None
    lost = f"its transparency is laid on white, because {suffix} holds none"
    return (lost, *notes) if pixels is not image else notes
