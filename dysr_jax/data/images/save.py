"""What an image format holds beside pixels, and the options with which Pillow writes it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from PIL import PngImagePlugin

from dysr_jax.data.images.metadata import (
    IPTC_TAG,
    XMP_TAG,
    Metadata,
    resized,
    with_resolution,
    with_tags,
    without_maker_note,
)
from dysr_jax.data.images.profiles import is_srgb

OPAQUE: Final = frozenset(("JPEG", "BMP", "PPM"))
"""Formats that hold no transparency."""

_HOLDS: Final[Mapping[str, frozenset[str]]] = {
    "PNG": frozenset(("profile", "exif", "xmp", "dpi", "comment", "texts", "colours")),
    "JPEG": frozenset(("profile", "exif", "xmp", "dpi", "comment", "iptc")),
    "TIFF": frozenset(("profile", "exif", "xmp", "dpi", "iptc")),
    "WEBP": frozenset(("profile", "exif", "xmp", "dpi")),
    "AVIF": frozenset(("profile", "exif", "xmp", "dpi")),
    "BMP": frozenset(("dpi",)),
    "JPEG2000": frozenset(("comment",)),
}

_NAMES: Final = {
    "profile": "colour profile",
    "exif": "EXIF data",
    "xmp": "XMP data",
    "iptc": "IPTC data",
    "dpi": "resolution",
    "comment": "comment",
    "texts": "text chunks",
    "colours": "declared colours",
}

_SEGMENT: Final = 65_533
"""Bytes that a part of a JPEG file takes."""

_XMP_HEAD: Final = 29
_IPTC_HEAD: Final = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0"

_LOSSY: Final = {"JPEG": 95, "WEBP": 95, "AVIF": 90}
"""Qualities."""


def fitted(metadata: Metadata, form: str, size: tuple[int, int]) -> tuple[Metadata, tuple[str, ...]]:
    """What of the metadata a file of a format holds, and a note on what it does not.

    Args:
        metadata: of the source.
        form: of the file, as Pillow calls it.
        size: columns and rows of the image in it.
    """
    kept, held = resized(metadata, size), _HOLDS.get(form, frozenset())
    if form == "JPEG":
        kept = _short(kept)
    none = Metadata()
    gone = [name for name in _NAMES if getattr(metadata, name) and not (name in held and getattr(kept, name))]
    dropped = {name: getattr(none, name) for name in _NAMES if name not in held}
    kept = dataclasses.replace(kept, **dropped)
    if "colours" in gone and (kept.profile or is_srgb(metadata.colours)):
        gone.remove("colours")
    if "dpi" in gone and metadata.dpi == (72, 72):
        gone.remove("dpi")  # what programs write that mean nothing by it
    return kept, (_told(gone, form),) if gone else ()


def _told(gone: list[str], form: str) -> str:
    names = [_NAMES[name] for name in gone]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    return f"its {listed} cannot be kept in {form.replace('JPEG2000', 'JPEG 2000')}"


def _short(metadata: Metadata) -> Metadata:
    """Without what is too long for a segment of a JPEG file."""
    exif, xmp, comment, iptc = metadata.exif, metadata.xmp, metadata.comment, metadata.iptc
    if len(exif) > _SEGMENT:
        exif = without_maker_note(exif)
    return dataclasses.replace(
        metadata,
        exif=exif if len(exif) <= _SEGMENT else b"",
        xmp=xmp if len(xmp) + _XMP_HEAD <= _SEGMENT else b"",
        comment=comment if len(comment) <= _SEGMENT else b"",
        iptc=iptc if len(iptc) + len(_IPTC_HEAD) + 8 <= _SEGMENT else b"",
    )


def save_options(metadata: Metadata, form: str, nbytes: int) -> dict[str, Any]:
    """Options of Pillow's `save`.

    Args:
        metadata: that the format holds (`fitted`).
        form: of the file.
        nbytes: of the pixels.
    """
    exif = metadata.exif
    if metadata.dpi and form in ("WEBP", "AVIF"):
        exif = with_resolution(exif, metadata.dpi)
    tags = {XMP_TAG: metadata.xmp, IPTC_TAG: metadata.iptc}
    if form == "TIFF" and any(tags.values()):
        exif = with_tags(exif, {tag: value for tag, value in tags.items() if value})
    options = {
        "icc_profile": metadata.profile,
        "exif": exif,
        "xmp": metadata.xmp if form != "TIFF" else b"",
        "dpi": metadata.dpi,
        "comment": metadata.comment,
        "quality": _LOSSY.get(form),
        "pnginfo": _png_chunks(metadata) if form == "PNG" else None,
        "extra": _iptc_segment(metadata.iptc) if form == "JPEG" else b"",
        "big_tiff": form == "TIFF" and nbytes > 2**32 - 2**20,
    }
    return {name: value for name, value in options.items() if value}


def info_of(metadata: Metadata, size: tuple[int, int]) -> dict[str, Any]:
    """`info` of an image of Pillow of these columns and rows."""
    kept = resized(metadata, size)
    info = {"icc_profile": kept.profile, "exif": kept.exif, "xmp": kept.xmp, "dpi": kept.dpi}
    return {name: value for name, value in info.items() if value}


def _png_chunks(metadata: Metadata) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for kind, data in (*metadata.colours.items(), *metadata.texts):
        info.add(kind, data)
    if metadata.xmp:
        info.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode(errors="replace"))
    if metadata.comment:
        info.add_text("Comment", metadata.comment.decode(errors="replace"))
    return info


def _iptc_segment(iptc: bytes) -> bytes:
    """A JPEG segment as Photoshop writes it: a resource without a name."""
    if not iptc:
        return b""
    body = _IPTC_HEAD + len(iptc).to_bytes(4, "big") + iptc + b"\0" * (len(iptc) % 2)
    return b"\xff\xed" + (2 + len(body)).to_bytes(2, "big") + body
