"""Image files to and from `[H, W, 3]` uint8 arrays, through Pillow."""

import os
import pathlib
import warnings

import numpy as np
from PIL import Image, ImageOps

from dysr_jax.atomic import replacing
from dysr_jax.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""What a folder of images is searched for, in any case."""

_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombWarning,
    Image.DecompressionBombError,
)
"""What Pillow raises for damaged files, files that are no images, and absurdly large ones."""

_SIXTEEN_BIT = ("I;16", "I;16B", "I;16L", "I")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Colour or grey, 8 bits: 16-bit greys are scaled, transparency is laid on white."""
    if image.mode in _SIXTEEN_BIT:
        levels = np.clip(np.asarray(image, np.int64), 0, 65535)
        return Image.fromarray(np.round(levels / 257).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode == "F":
        raise InputError("its pixels are floats; allowed are 8-bit and 16-bit images")
    return image.convert("RGB")


def _open(path: str | os.PathLike[str]) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return _to_8_bit(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise InputError(f"image {os.fspath(path)!r} does not exist") from None
    except _UNREADABLE as error:
        reason = "it is a folder" if pathlib.Path(path).is_dir() else str(error)
        raise InputError(f"image {os.fspath(path)!r} cannot be read: {reason}") from None


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """An image file as RGB `[H, W, 3]` uint8, turned as its EXIF orientation says.

    Grey is repeated over the channels, 16-bit grey is scaled to 8 bits, transparent pixels are laid on
    white.

    Raises:
        InputError: no such file, no image, a damaged one, or one with float pixels.
    """
    return np.asarray(_open(path).convert("RGB"))


def read_grey_or_rgb(path: str | os.PathLike[str]) -> np.ndarray:
    """Like `read_image`, but a grey file gives `[H, W, 1]`: metrics keep its values as they are."""
    image = np.asarray(_open(path))
    return image if image.ndim == 3 else image[:, :, None]


def check_suffix(path: str | os.PathLike[str]) -> str:
    """The suffix of an image file that can be written, in lower case.

    Raises:
        InputError: another suffix.
    """
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"image {os.fspath(path)!r}: allowed suffixes are {', '.join(SUFFIXES)}")
    return suffix


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write `[H, W, 3]` uint8 in the format of the file's suffix, whole or not at all.

    Raises:
        InputError: a suffix that Pillow does not write, or a place that cannot be written to.
    """
    suffix = check_suffix(path)
    options = {"quality": 95} if suffix in (".jpg", ".jpeg", ".webp") else {}
    try:
        with replacing(path) as partial:
            form = Image.registered_extensions()[suffix]
            Image.fromarray(image).save(os.fspath(partial), format=form, **options)
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
