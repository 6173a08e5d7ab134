"""Image files to what they show, through Pillow: 8-bit pixels, metadata, and notes on what was left out."""

import dataclasses
import os
import pathlib
from typing import IO, Final

import numpy as np
from PIL import Image

from dysr_jax.data.images.formats import MAX_PIXELS, check_pixel_count, open_image
from dysr_jax.data.images.metadata import Metadata, read_metadata, turn_upright
from dysr_jax.data.images.pixels import blend_on_white, decode_16_bit_colour, grey_to_rgb, pixels_from_pil
from dysr_jax.data.images.png import FileParts, is_png, split_png
from dysr_jax.data.images.profiles import check_dynamic_range, cmyk_to_srgb, container_colours, usable_profile
from dysr_jax.data.images.tiff import BITS_TAG, grey_range, is_tiff, read_odd_tiff
from dysr_jax.errors import InputError

_HEAD: Final = 2**16  # bytes at the start of a file in which it declares its bits
# A mark (the first of ISO 15444-1, the name of a box), and how far behind it the byte with the bits lies
_BITS_AT: Final = {"JPEG2000": (b"\xff\x4f\xff\x51", 38), "AVIF": (b"av1C", 2)}
_ZEROS: Final = 64
Notes = tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """What an image file shows: `[H, W, C]` uint8, upright, C as in `pixels`; notes on what is left out."""

    pixels: np.ndarray
    metadata: Metadata = Metadata()
    notes: tuple[str, ...] = ()


def read_picture(path: str | os.PathLike[str] | IO[bytes], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """An image file, by its path or opened, as 8-bit pixels with transparency and metadata.

    16-bit channels are rounded to 8 bits; palettes and CMYK become RGB. Raises `InputError`: no such file, no
    image, a damaged one, one of more than `max_pixels`, of several frames or in HDR, or one whose pixels are
    floats, signed or 32-bit integers.
    """
    name = repr(os.fspath(path)) if isinstance(path, (str, os.PathLike)) else "in a record"
    try:
        if not isinstance(path, (str, os.PathLike)):
            return _decode(path, "", max_pixels)
        place = pathlib.Path(path)
        if place.exists() and not place.is_file():  # opening a pipe would wait for its writer
            raise ValueError(f"it is {'a folder' if place.is_dir() else 'a pipe or a device'}")
        with place.open("rb") as file:
            return _decode(file, place.suffix, max_pixels)
    except FileNotFoundError:
        raise InputError(f"image {name} does not exist") from None
    except Exception as error:  # of damaged files Pillow's plugins raise anything
        raise InputError(f"image {name} cannot be read: {error_reason(error)}") from None


def read_grey_or_rgb(path: str | os.PathLike[str] | IO[bytes]) -> np.ndarray:
    """`read_picture` as `[H, W, 1 or 3]` uint8 on white: a grey file keeps its values, for metrics."""
    return blend_on_white(read_picture(path).pixels)


def read_image(path: str | os.PathLike[str] | IO[bytes]) -> np.ndarray:
    """`read_picture` as RGB `[H, W, 3]` uint8: grey is repeated, transparency is laid on white."""
    return grey_to_rgb(read_grey_or_rgb(path))


def error_reason(error: Exception) -> str:
    """What an exception says, in one line; its class where it says nothing."""
    said = getattr(error, "strerror", None) or str(error)
    return " ".join(said.split()) or type(error).__name__


def _decode(file: IO[bytes], suffix: str, max_pixels: int) -> Picture:
    """What cannot be read raises what Pillow raises, or a `ValueError`."""
    if is_tiff(file) and (odd := read_odd_tiff(file, max_pixels)):
        return picture_from_pil(odd[0], _depth_note(odd[1]))
    parts = split_png(file) if is_png(file) else FileParts(file, container_colours(file))
    check_dynamic_range(parts.colours)
    image = open_image(parts.pixels, suffix)
    check_pixel_count(image.size, max_pixels)
    # A second picture in a JPEG (MPO) is a preview or a gain map; those of a PSD are layers.
    if getattr(image, "is_animated", False) and image.format not in ("MPO", "PSD"):
        frames = getattr(image, "n_frames", "several")
        raise ValueError(f"it has {frames} frames or pages; it must have one")
    # Compressed data do not end in many zeros: such a file was given its length and never its content.
    if image.format in ("WEBP", "AVIF", "HEIF"):
        file.seek(max(0, file.seek(0, os.SEEK_END) - _ZEROS))
        if file.read() == bytes(_ZEROS):
            raise ValueError("its end is missing (there are only zeros)")
    note = _depth_note(bits_per_channel(image, file))
    pixels = decode_16_bit_colour(image, lambda: open_image(parts.pixels, suffix))
    if parts.profile:
        image.info["icc_profile"] = parts.profile
    if pixels is None:
        turn_upright(image)
        picture = picture_from_pil(image, note)
    else:
        picture = _with_metadata(image, pixels, image.info.get("icc_profile"), _depth_note(16))
    metadata = dataclasses.replace(picture.metadata, texts=parts.texts, colours=parts.colours)
    second = ("its second picture, a preview or a gain map, is left out",) if image.format == "MPO" else ()
    return Picture(picture.pixels, metadata, (*picture.notes, *second, *parts.notes))


def picture_from_pil(image: Image.Image, notes: tuple[str, ...] = ()) -> Picture:
    """What an upright Pillow image shows, of any mode that has levels; `notes` are on what it was made of."""
    profile = image.info.get("icc_profile")
    if image.mode == "CMYK":
        usable, unfit = usable_profile(profile, "CMYK")
        return _with_metadata(image, np.asarray(cmyk_to_srgb(image, usable)), None, (*notes, *unfit))
    white, inverted = grey_range(image)
    pixels = pixels_from_pil(image, white=white, inverted=inverted)
    return _with_metadata(image, pixels, None if image.mode == "LAB" else profile, notes)


def _with_metadata(image: Image.Image, pixels: np.ndarray, profile: bytes | None, notes: Notes) -> Picture:
    profile, unfit = usable_profile(profile, "L" if pixels.shape[2] < 3 else "RGB")
    metadata, unread = read_metadata(image)
    return Picture(pixels, dataclasses.replace(metadata, profile=profile), (*notes, *unfit, *unread))


def _depth_note(bits: int) -> tuple[str, ...]:
    return (f"its {bits} bits per channel are rounded to 8",) if bits > 8 else ()


def bits_per_channel(image: Image.Image, file: IO[bytes]) -> int:
    """Bits per channel of the file that `image` was opened from, of which Pillow may give 8; 8 if unknown."""
    if image.format == "TIFF":
        return max(getattr(image, "tag_v2", {}).get(BITS_TAG, (8,)))
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    if image.format in _BITS_AT:
        mark, place = _BITS_AT[image.format]
        file.seek(0)
        rest = file.read(_HEAD).partition(mark)[2]
        if len(rest) <= place:
            return 8
        if image.format == "JPEG2000":
            return (rest[place] & 127) + 1
        return 8 if not rest[place] & 64 else 12 if rest[place] & 32 else 10
    if image.mode.startswith("I"):
        return 16
    if image.format == "PPM":
        args = (getattr(image, "tile", None) or [(None,) * 4])[0][3]
        return 16 if isinstance(args, tuple) and isinstance(args[-1], int) and args[-1] > 255 else 8
    return 8
