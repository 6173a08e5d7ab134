"""Image files to and from `[H, W, C]` uint8 arrays, through Pillow.

C is 1 for grey, 2 for grey and alpha, 3 for RGB, 4 for RGBA.
"""

import os
import pathlib
import warnings

import numpy as np
from PIL import Image

from dysr_jax.atomic import replacing
from dysr_jax.data.pictures import Picture, decode
from dysr_jax.data.pixels import on_white
from dysr_jax.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""What a folder of images is searched for, in any case."""

OPAQUE = (".jpg", ".jpeg", ".bmp")
"""Formats that hold no transparency."""

LONGEST_SIDE = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
"""Pixels a side that a format holds, where images come near it."""

UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombWarning,
    Image.DecompressionBombError,
)
"""What Pillow raises for damaged files, files that are no images, and absurdly large ones."""


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """An image file as 8-bit pixels with its transparency and its colour profile.

    16-bit channels are rounded to 8 bits, palettes and CMYK become RGB.

    Raises:
        InputError: no such file, no image, a damaged one, one of several frames, or one whose pixels are
            floats or 32-bit integers.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return decode(path)
    except FileNotFoundError:
        raise InputError(f"image {os.fspath(path)!r} does not exist") from None
    except UNREADABLE as error:
        reason = "it is a folder" if pathlib.Path(path).is_dir() else str(error)
        raise InputError(f"image {os.fspath(path)!r} cannot be read: {reason}") from None


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """An image file as RGB `[H, W, 3]` uint8: `read_picture`, grey repeated, laid on white.

    Raises:
        InputError: see `read_picture`.
    """
    return to_rgb(read_grey_or_rgb(path))


def read_grey_or_rgb(path: str | os.PathLike[str]) -> np.ndarray:
    """Like `read_image`, but a grey file gives `[H, W, 1]`: metrics keep its values as they are."""
    return on_white(read_picture(path).pixels)


def to_rgb(image: np.ndarray) -> np.ndarray:
    """`[H, W, 1 or 3]` to `[H, W, 3]`."""
    return np.repeat(image, 3, 2) if image.shape[2] == 1 else image


def check_suffix(path: str | os.PathLike[str]) -> str:
    """The suffix of an image file that can be written, in lower case.

    Raises:
        InputError: another suffix.
    """
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"image {os.fspath(path)!r}: allowed suffixes are {', '.join(SUFFIXES)}")
    return suffix


def check_size(path: str | os.PathLike[str], shape: tuple[int, int]) -> None:
    """Whether the format of a file's suffix holds an image of these rows and columns.

    Raises:
        InputError: it does not.
    """
    longest = LONGEST_SIDE.get(check_suffix(path))
    if longest is not None and max(shape) > longest:
        rows, columns = shape
        raise InputError(
            f"image {os.fspath(path)!r} cannot be written: {columns}x{rows} is more than the {longest:,} "
            f"pixels a side of its format; .png and .tif hold larger ones"
        )


def write_image(
    path: str | os.PathLike[str], image: np.ndarray, *, profile: bytes | None = None
) -> None:
    """Write `[H, W, C]` uint8 in the format of the file's suffix, whole or not at all.

    Transparency is laid on white where the format holds none (`OPAQUE`).

    Args:
        path: of the file.
        image: the pixels.
        profile: ICC profile of their colours.

    Raises:
        InputError: a suffix that Pillow does not write, an image that is too large for its format, or a
            place that cannot be written to.
    """
    suffix = check_suffix(path)
    check_size(path, (image.shape[0], image.shape[1]))
    pixels = on_white(image) if suffix in OPAQUE else image
    options = {"quality": 95} if suffix in (".jpg", ".jpeg", ".webp") else {}
    try:
        with replacing(path) as partial:
            form = Image.registered_extensions()[suffix]
            shown = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
            shown.save(os.fspath(partial), format=form, icc_profile=profile, **options)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"image {os.fspath(path)!r} cannot be written: {reason}") from None


def list_images(folder: str | os.PathLike[str]) -> list[pathlib.Path]:
    """The image files in a folder (not in folders below it), sorted by name.

    Raises:
        InputError: no such folder, or none of its files has a known suffix.
    """
    place = pathlib.Path(folder)
    if not place.is_dir():
        raise InputError(f"folder {os.fspath(folder)!r} does not exist")
    found = sorted(p for p in place.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise InputError(f"folder {os.fspath(folder)!r} holds no {', '.join(SUFFIXES)} file")
    return found
