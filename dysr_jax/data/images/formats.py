"""The image formats that are read and written, and the opening of a file by its content.

Pillow's `Image.open` warns of large images and refuses larger ones by a limit that the whole process shares.
Here its plugins are called as it calls them, and the limit is the caller's.
"""

import functools
import importlib.util
import struct
from typing import IO, Final

from PIL import Image, ImageFile, UnidentifiedImageError

MAX_PIXELS: Final = 500_000_000
"""Pixels that an image may have, where the caller names no other limit."""

HEIC_SUFFIXES: Final = (".heic", ".heif", ".hif")
"""Suffixes that need the package pillow-heif."""

# Formats of Pillow that are drawings, measurements or films, or that it only writes
_NO_PIXELS: Final = frozenset(("BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "PALM", "WMF"))
# Formats that hold an upscaled image, with their suffixes
_WRITTEN: Final = (
    "PNG .png, JPEG .jpg .jpeg .jpe .jfif, WEBP .webp, BMP .bmp, TIFF .tif .tiff, AVIF .avif, "
    "JPEG2000 .jp2 .j2k, PPM .ppm .pgm, TGA .tga"
)


def has_heic() -> bool:
    """Whether HEIC can be read: pillow-heif is an optional package."""
    return importlib.util.find_spec("pillow_heif") is not None


@functools.cache
def readable_suffixes() -> dict[str, str]:
    """The suffixes of images that can be read here, in lower case, and their formats."""
    Image.init()
    if has_heic():
        import pillow_heif

        pillow_heif.register_heif_opener()
    opened = {*Image.OPEN, "MPO"} - _NO_PIXELS  # JPEG's plugin opens MPO
    return {s: form for s, form in Image.registered_extensions().items() if form in opened}


@functools.cache
def writable_suffixes() -> dict[str, str]:
    """The suffixes of images that can be written here, and their formats."""
    Image.init()
    known = (entry.split() for entry in _WRITTEN.split(", "))
    return {suffix: form for form, *suffixes in known if form in Image.SAVE for suffix in suffixes}


def open_image(file: IO[bytes], suffix: str = "") -> ImageFile.ImageFile:
    """A Pillow image that is not decoded yet; it keeps reading from the binary `file`.

    A format whose files have no mark is tried only where `suffix` names it. Damage may raise any exception.
    """
    named = readable_suffixes().get(suffix.lower())
    file.seek(0)
    prefix = file.read(16).ljust(16, b"\0")  # some plugins look further than a short file goes
    reason = "it is no image of a known format"
    if not any(prefix):
        reason = "it is empty or begins with zeros"
    elif prefix[4:8] == b"ftyp" and prefix[8:11] in (b"hei", b"hev", b"mif") and not has_heic():
        reason = "it is HEIC, which needs the package pillow-heif (pip install 'dysr_jax[heic]')"
    for form in Image.ID:
        opener, accept = Image.OPEN[form]
        accepted = form == named if accept is None else accept(prefix)
        if not accepted or isinstance(accepted, str) or form in _NO_PIXELS:  # a string is a warning
            continue
        file.seek(0)
        try:
            return opener(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            reason = f"damaged {form} ({error})"
    raise UnidentifiedImageError(reason)


def check_pixel_count(size: tuple[int, int], max_pixels: int = MAX_PIXELS) -> None:
    """Refuse (`ValueError`) an image of no columns or rows, or of more pixels than the limit."""
    columns, rows = size
    if columns < 1 or rows < 1:
        raise ValueError(f"it has {columns}x{rows} pixels")
    if columns * rows > max_pixels:
        way = "that are allowed; max_pixels (dysr upscale --max-pixels) sets another limit"
        raise ValueError(f"it has {columns}x{rows} pixels, more than the {max_pixels:,} {way}")
