"""From an image file to what it shows: pixels, metadata, and what was left out."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import IO, Final

import numpy as np
from PIL import Image

from dysr_jax.data import png
from dysr_jax.data.depths import bits_of, depth_note
from dysr_jax.data.formats import MAX_PIXELS, check_pixels, open_image
from dysr_jax.data.metadata import Metadata, read_metadata, turn_upright
from dysr_jax.data.pixels import from_image, from_levels
from dysr_jax.data.profiles import check_range, container_colours, inks_to_screen, usable_profile
from dysr_jax.data.sixteen_bit import is_sixteen_bit_colour, read_levels
from dysr_jax.data.tiff import grey_range, is_tiff, read_odd_tiff

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
