"""TIFF files that Pillow opens wrongly or not at all: tifffile reads their samples as they are."""

import contextlib
from typing import IO, Any, Final

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from dysr_jax.data.images.formats import check_pixel_count, open_image
from dysr_jax.data.images.metadata import IPTC_TAG, XMP_TAG, plain_exif, turn_upright
from dysr_jax.data.images.pixels import raw_modes, round_levels

BITS_TAG: Final = 258
_PHOTOMETRIC, _ORIENTATION, _SAMPLES, _PLANAR, _EXTRA, _FORMAT = 262, 274, 277, 284, 338, 339
_INFO: Final = {"icc_profile": 34675, "xmp": XMP_TAG, "iptc": IPTC_TAG}

_WHITE_IS_ZERO, _CMYK = 0, 5
# Colour channels per photometric interpretation that can be read here
_BANDS: Final = {_WHITE_IS_ZERO: 1, 1: 1, 2: 3, _CMYK: 4}
_UNSIGNED, _SIGNED, _FLOATS = 1, 2, 3
_ASSOCIATED, _ALPHA = 1, 2


def is_tiff(file: IO[bytes]) -> bool:
    """Whether a file begins as TIFF or BigTIFF files do."""
    file.seek(0)
    return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def grey_range(image: Image.Image) -> tuple[int, bool]:
    """The white level of a grey file of more than 8 bits, and whether its zero is white."""
    tags: Any = getattr(image, "tag_v2", {})
    bits = tags.get(BITS_TAG, (16,))
    return 2 ** (bits[0] if bits[0] in (12, 16) else 16) - 1, tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def read_odd_tiff(file: IO[bytes], max_pixels: int) -> tuple[Image.Image, int] | None:
    """A TIFF file that Pillow opens wrongly or not at all, and its bits per channel; None for other files.

    The image is upright, has 8 bits per channel, and is of mode L, LA, RGB, RGBA or CMYK.
    """
    with contextlib.suppress(UnidentifiedImageError):
        if not _is_odd(open_image(file)):
            return None
    return _read(file, max_pixels)


def _is_odd(image: Image.Image) -> bool:
    tags: Any = getattr(image, "tag_v2", {})
    bits = max(tags.get(BITS_TAG, (1,)))
    if set(tags.get(_FORMAT, (_UNSIGNED,))) == {_SIGNED} and bits <= 16:
        raise ValueError("its pixels are signed integers; they must be unsigned integers of at most 16 bits")
    if tags.get(_PLANAR, 1) == 2 and tags.get(_SAMPLES, 1) > 1:
        return bits > 8 or _EXTRA in tags  # Pillow has no raw modes for more planes
    known = ("I", "F", "RGB;", "RGBA;", "RGBX;")
    return bits > 8 and not all(mode.startswith(known) for mode in raw_modes(image))


def _read(file: IO[bytes], max_pixels: int) -> tuple[Image.Image, int]:
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        if len(tiff.pages) != 1:
            raise ValueError(f"it has {len(tiff.pages)} frames or pages; it must have one")
        page: Any = tiff.pages[0]
        _check(page, file)
        check_pixel_count((page.imagewidth, page.imagelength), max_pixels)
        pixels = round_levels(_levels(page))
        if int(page.photometric) == _CMYK:
            image = Image.frombytes("CMYK", (pixels.shape[1], pixels.shape[0]), pixels.tobytes())
        else:
            image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        image.info |= {name: page.tags.valueof(tag) for name, tag in _INFO.items()}
        bits, orientation = page.bitspersample, page.tags.valueof(_ORIENTATION, 1)
    exif, image.info["exif"] = Image.Exif(), b""
    file.seek(0)
    with contextlib.suppress(Exception):  # the pixels are read: no reason to refuse the file
        exif.load_from_fp(file)
        image.info["exif"] = plain_exif(exif)
    image.getexif()[ExifTags.Base.Orientation] = orientation
    turn_upright(image)
    return image, bits


def _check(page: Any, file: IO[bytes]) -> None:
    """Refuse what is cut off, or pixels whose meaning is not known."""
    photometric = None if page.photometric is None else int(page.photometric)
    if page.sampleformat != _UNSIGNED or page.bitspersample not in (1, 2, 4, 8, 12, 16):
        kind = "floats" if page.sampleformat == _FLOATS else f"{page.bitspersample}-bit integers"
        raise ValueError(f"its pixels are {kind}; they must be unsigned integers of at most 16 bits")
    if photometric not in _BANDS or page.samplesperpixel < _BANDS[photometric]:
        kind = f"{page.samplesperpixel} channels are {page.photometric!s}"
        raise ValueError(f"its {kind}; they must be grey, RGB or CMYK")
    if page.imagedepth != 1 or not page.dataoffsets:
        raise ValueError("it is no image of rows and columns")
    end = file.seek(0, 2)
    parts = zip(page.dataoffsets, page.databytecounts, strict=True)
    if any(not count or start + count > end for start, count in parts):
        raise ValueError("it is cut off")


def _levels(page: Any) -> np.ndarray:
    """16-bit levels `[H, W, C]` of the colours, and of alpha where the file has it."""
    samples, photometric = _samples(page), int(page.photometric)
    if samples.ndim == 2:
        samples = samples[:, :, None]
    elif page.planarconfig == 2:
        samples = np.moveaxis(samples, 0, 2)
    levels = samples.astype(np.uint32) * 65_535 // (2**page.bitspersample - 1)
    bands = _BANDS[photometric]
    colour, rest = levels[:, :, :bands], levels[:, :, bands : bands + 1]
    if photometric == _WHITE_IS_ZERO:
        colour = 65_535 - colour
    kind = int(page.extrasamples[0]) if page.extrasamples else _ALPHA
    if not rest.shape[2] or kind not in (_ASSOCIATED, _ALPHA) or photometric == _CMYK:
        return colour.astype(np.uint16)
    if kind == _ASSOCIATED:
        colour = np.minimum((colour * 65_535 + rest // 2) // np.maximum(rest, 1), 65_535)
    return np.concatenate([colour, rest], 2).astype(np.uint16)


def _samples(page: Any) -> np.ndarray:
    """As they are in the file; tifffile decodes some compressions by another package."""
    try:
        return page.asarray()
    except (ImportError, ValueError) as error:
        if isinstance(error, ValueError) and "imagecodecs" not in str(error):
            raise
        name = getattr(page.compression, "name", page.compression)
        needed = "the package imagecodecs (pip install imagecodecs)"
        raise ValueError(f"its compression {name} needs {needed} at this depth") from None
