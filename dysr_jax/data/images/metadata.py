"""What an image file holds beside its pixels: EXIF, XMP, IPTC, resolution, text, colours.

Images are read upright and written at another size: orientation, thumbnails and sizes are not passed on.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from PIL import ExifTags, Image, ImageOps

IPTC_TAG: Final = 33723
XMP_TAG: Final = 700
# Tags of an image's first directory that describe the picture, not how the file stores it
_KEPT: Final = {270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432, 18246, 18249, *range(40091, 40096)}
_LAYOUTS: Final = ('{"shape"', "ImageJ=")  # descriptions by which programs find their own arrays again
_XMP_SIZE: Final = ("tiff:ImageWidth", "tiff:ImageLength", "exif:PixelXDimension", "exif:PixelYDimension")
_SIZE: Final = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)


@dataclasses.dataclass(frozen=True, eq=False)
class Metadata:
    """What goes from one image file into the next."""

    profile: bytes | None = None  # ICC profile of the pixels' colours
    exif: bytes = b""  # a TIFF structure without orientation and thumbnails, after `Exif\0\0`
    xmp: bytes = b""
    iptc: bytes = b""
    dpi: tuple[float, float] | None = None  # pixels per inch, horizontal and vertical
    comment: bytes = b""
    texts: tuple[tuple[bytes, bytes], ...] = ()  # PNG's text chunks, as they are: kind and content
    # PNG's chunks that declare colours: `cHRM`, `gAMA`, `sRGB`, `cICP`
    colours: Mapping[bytes, bytes] = dataclasses.field(default_factory=dict)


def read_metadata(image: Image.Image) -> tuple[Metadata, tuple[str, ...]]:
    """What Pillow knows of an image, without colours and PNG's texts; and notes on what cannot be read."""
    notes: tuple[str, ...] = ()
    try:
        exif = plain_exif(image.getexif())
        _resized_exif(exif, image.size)  # it must be writable too
    except Exception:  # of damaged data Pillow raises anything
        exif, notes = b"", ("its EXIF data are damaged and are left out",)
    texts = (image.info.get(name) or b"" for name in ("xmp", "comment"))
    xmp, comment = (x if isinstance(x, bytes) else str(x).encode(errors="replace") for x in texts)
    xmp = _replace_number(xmp, "tiff:Orientation", 1)
    return Metadata(None, exif, xmp, _iptc(image), _dpi(image.info), comment), notes


def turn_upright(image: Image.Image) -> None:
    """Decode an image and turn it in place as its EXIF orientation says; damaged EXIF data are ignored."""
    image.load()  # what is wrong with the pixels is raised here
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # of damaged EXIF data; where they say an orientation, it was applied before
        return


def plain_exif(exif: Image.Exif) -> bytes:
    """EXIF data as bytes, without orientation, thumbnails and the layout of the file's own pixels."""
    kept, ifd = Image.Exif(), ExifTags.IFD
    for tag in _KEPT & set(exif):
        if not str(exif[tag]).startswith(_LAYOUTS):
            kept[tag] = exif[tag]
    for directory in (ifd.Exif, ifd.GPSInfo):
        if found := exif.get_ifd(directory):
            kept[directory] = dict(found)
    if ifd.Exif in kept and ifd.Interop in kept[ifd.Exif]:
        kept[ifd.Exif][ifd.Interop] = exif.get_ifd(ifd.Interop)
    return kept.tobytes() if len(kept) else b""


def _replace_number(xmp: bytes, name: str, value: int) -> bytes:
    """XMP with another number in an attribute or an element, where it has that."""
    pattern = rb"(" + name.encode() + rb"\s*(?:=\s*[\"']|>)\s*)\d+"
    return re.sub(pattern, rb"\g<1>%d" % value, xmp)


def _iptc(image: Image.Image) -> bytes:
    resources, found = image.info.get("photoshop"), image.info.get("iptc")
    if isinstance(resources, dict):
        found = resources.get(0x0404)
    if found is None:
        found = getattr(image, "tag_v2", {}).get(IPTC_TAG)
    return found if isinstance(found, bytes) else b""


def _dpi(info: Mapping[Any, Any]) -> tuple[float, float] | None:
    """The resolution that a file declares; without one Pillow gives 72 for JPEG and 1 for TIFF."""
    if info.get("jfif_unit") == 0 and info.get("dpi") == (72, 72):
        return None
    try:
        across, down = (float(side) for side in info.get("dpi") or ())
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    usable = all(math.isfinite(side) and 1 < side < 65_536 for side in (across, down))
    return (across, down) if usable else None


def resize_metadata(metadata: Metadata, size: tuple[int, int]) -> Metadata:
    """The metadata of an image that is written with these columns and rows."""
    xmp = metadata.xmp
    for name, side in zip(_XMP_SIZE, size * 2, strict=True):
        xmp = _replace_number(xmp, name, side)
    return dataclasses.replace(metadata, exif=_resized_exif(metadata.exif, size), xmp=xmp)


def _resized_exif(exif: bytes, size: tuple[int, int]) -> bytes:
    def resize(data: Image.Exif) -> None:
        directory = data.get_ifd(ExifTags.IFD.Exif) if ExifTags.IFD.Exif in data else {}
        directory.update({tag: side for tag, side in zip(_SIZE, size, strict=True) if tag in directory})

    return change_exif(exif, resize) if exif else b""


def change_exif(exif: bytes, change: Callable[[Image.Exif], object]) -> bytes:
    """EXIF data, changed in place by a function."""
    data = Image.Exif()
    data.load(exif)
    change(data)
    return data.tobytes()
