"""Image files to and from `[H, W, C]` uint8 arrays, through Pillow.

C is 1 for grey, 2 for grey and alpha, 3 for RGB, 4 for RGBA.

How many bits a channel a file has: Pillow gives 8 of them for most formats and does not say so.

From an image file to what it shows: pixels, metadata, and what was left out.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import IO, Any, Final

import numpy as np
from PIL import Image

from dysr_jax.atomic import replacing
from dysr_jax.data.images import png
from dysr_jax.data.images.formats import MAX_PIXELS, check_pixels, open_image, writable
from dysr_jax.data.images.metadata import Metadata, read_metadata, turn_upright
from dysr_jax.data.images.pixels import from_image, from_levels, is_sixteen_bit_colour, on_white, read_levels
from dysr_jax.data.images.profiles import check_range, container_colours, inks_to_screen, usable_profile
from dysr_jax.data.images.save import OPAQUE, fitted, save_options
from dysr_jax.data.images.tiff import grey_range, is_tiff, read_odd_tiff
from dysr_jax.errors import InputError

_HEAD: Final = 2**16
_BITS_PER_SAMPLE: Final = 258
"""TIFF tag."""
_JPEG_2000, _BITS_AT = b"\xff\x4f\xff\x51", 42
"""The first two markers of a stream, and where its first channel's bits stand after them."""


def bits_of(image: Image.Image, file: IO[bytes]) -> int:
    """Bits a channel of a file that `image` was opened from; 8 where that is not known."""
    if image.format == "TIFF":
        tags: Any = getattr(image, "tag_v2", {})
        return max(tags.get(_BITS_PER_SAMPLE, (8,)))
    if image.format == "HEIF":
        return int(image.info.get("bit_depth", 8))
    if image.format in ("JPEG2000", "AVIF"):
        file.seek(0)
        head = file.read(_HEAD)
        return _in_stream(head) if image.format == "JPEG2000" else _in_container(head)
    if image.mode.startswith("I"):
        return 16
    if image.format == "PPM":
        tiles = getattr(image, "tile", None) or [(None, None, None, None)]
        args = tiles[0][3]
        return 16 if isinstance(args, tuple) and isinstance(args[-1], int) and args[-1] > 255 else 8
    return 8


def _in_stream(head: bytes) -> int:
    """Of JPEG 2000 (ISO 15444-1, marker SIZ)."""
    place = head.find(_JPEG_2000)
    known = place >= 0 and len(head) > place + _BITS_AT
    return (head[place + _BITS_AT] & 127) + 1 if known else 8


def _in_container(head: bytes) -> int:
    """Of AVIF (its box `av1C`)."""
    place = head.find(b"av1C")
    flags = head[place + 6] if 0 <= place < len(head) - 6 else 0
    return 8 if not flags & 64 else 12 if flags & 32 else 10


def depth_note(bits: int) -> tuple[str, ...]:
    """What is said of a file with so many bits a channel."""
    return (f"its {bits} bits a channel are rounded to 8",) if bits > 8 else ()


_ZEROS: Final = 64
_SECOND: Final = "its second picture, a preview or a gain map, is left out"


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """What an image file shows."""

    pixels: np.ndarray
    """`[H, W, C]` uint8, turned as the EXIF orientation says."""
    metadata: Metadata = Metadata()
    notes: tuple[str, ...] = ()
    """What the file has and the pixels have not."""

    @property
    def profile(self) -> bytes | None:
        """ICC profile of the pixels' colours."""
        return self.metadata.profile


def decode(source: str | os.PathLike[str] | IO[bytes], max_pixels: int = MAX_PIXELS) -> Picture:
    """Read an image file; what cannot be read raises what Pillow raises, or a `ValueError`."""
    if not isinstance(source, (str, os.PathLike)):
        return _decode(source, "", max_pixels)
    place = pathlib.Path(source)
    if place.exists() and not place.is_file():  # opening a pipe would wait for its writer
        raise ValueError(f"it is {'a folder' if place.is_dir() else 'a pipe or a device'}")
    with place.open("rb") as file:
        return _decode(file, place.suffix, max_pixels)


def _decode(file: IO[bytes], suffix: str, max_pixels: int) -> Picture:
    if png.is_png(file):
        parts = png.split(file)
        picture = _shown(parts.pixels, suffix, max_pixels, parts.colours, parts.profile)
        metadata = dataclasses.replace(picture.metadata, texts=parts.texts)
        return Picture(picture.pixels, metadata, (*picture.notes, *parts.notes))
    if is_tiff(file):
        found = read_odd_tiff(file, max_pixels)
        if found:
            image, bits = found
            return picture_of(image, depth_note(bits))
    return _shown(file, suffix, max_pixels, container_colours(file))


def _shown(
    file: IO[bytes],
    suffix: str,
    max_pixels: int,
    colours: Mapping[bytes, bytes],
    profile: bytes | None = None,
) -> Picture:
    """What a file shows that Pillow decodes.

    Args:
        file: of one image.
        suffix: of its name.
        max_pixels: that it may have.
        colours: how they are declared beside a profile.
        profile: one that Pillow was not shown.
    """
    check_range(colours)
    image = open_image(file, suffix)
    check_pixels(image.size, max_pixels)
    _check_frames(image)
    _check_end(file, image.format)
    deep = depth_note(bits_of(image, file))
    if is_sixteen_bit_colour(image):
        levels = read_levels(image, lambda: open_image(file, suffix))
        pixels = from_levels(levels, image.info.get("transparency"))
        icc = profile or image.info.get("icc_profile")
        picture = _with_metadata(image, pixels, icc, depth_note(16))
    else:
        turn_upright(image)
        if profile:
            image.info["icc_profile"] = profile
        picture = picture_of(image, deep)
    more = (_SECOND,) if image.format == "MPO" else ()
    metadata = dataclasses.replace(picture.metadata, colours=colours)
    return Picture(picture.pixels, metadata, (*picture.notes, *more))


def _check_frames(image: Image.Image) -> None:
    """A second picture in a JPEG (MPO) is a preview or a gain map, the others of a PSD are layers."""
    if getattr(image, "is_animated", False) and image.format not in ("MPO", "PSD"):
        frames = getattr(image, "n_frames", "several")
        raise ValueError(f"it has {frames} frames or pages; allowed are images of one")


def _check_end(file: IO[bytes], form: str | None) -> None:
    """Compressed data do not end in many zeros: such a file was given its length and never its content."""
    if form in ("WEBP", "AVIF", "HEIF"):
        file.seek(max(0, file.seek(0, os.SEEK_END) - _ZEROS))
        if file.read() == bytes(_ZEROS):
            raise ValueError("its end is missing (there are only zeros)")


def picture_of(image: Image.Image, notes: tuple[str, ...] = ()) -> Picture:
    """What an upright image of Pillow shows.

    Args:
        image: in any mode.
        notes: on what it was made of.

    Raises:
        ValueError: a mode that has no levels.
    """
    profile = image.info.get("icc_profile")
    if image.mode == "CMYK":
        usable, unfit = usable_profile(profile, "CMYK")
        pixels = np.asarray(inks_to_screen(image, usable))
        return _with_metadata(image, pixels, None, (*notes, *unfit))
    white, inverted = grey_range(image)
    pixels = from_image(image, white=white, inverted=inverted)
    return _with_metadata(image, pixels, None if image.mode == "LAB" else profile, notes)


def _with_metadata(
    image: Image.Image, pixels: np.ndarray, profile: bytes | None, notes: tuple[str, ...]
) -> Picture:
    profile, unfit = usable_profile(profile, "L" if pixels.shape[2] < 3 else "RGB")
    metadata, unread = read_metadata(image)
    metadata = dataclasses.replace(metadata, profile=profile)
    return Picture(pixels, metadata, (*notes, *unfit, *unread))


LONGEST_SIDE: Final = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 16_384, "TGA": 65_535}
"""Pixels a side that a format holds, where images come near it."""

LARGEST_FILE: Final = {"BMP": 2**32 - 2**16}
"""Bytes of pixels, likewise."""


def read_picture(path: str | os.PathLike[str] | IO[bytes], *, max_pixels: int = MAX_PIXELS) -> Picture:
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
        raise InputError(f"image {os.fspath(path)!r} cannot be written: {reason_of(error)}") from None
    lost = f"its transparency is laid on white, because {suffix} holds none"
    return (lost, *notes) if pixels is not image else notes
