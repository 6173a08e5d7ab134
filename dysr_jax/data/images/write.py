"""Pixels and metadata to image files, whole or not at all, with notes on what a format does not hold."""

import dataclasses
import math
import os
import pathlib
from typing import Any, Final

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from dysr_jax.atomic import replacing
from dysr_jax.data.images.formats import writable_suffixes
from dysr_jax.data.images.metadata import IPTC_TAG, XMP_TAG, Metadata, change_exif, resize_metadata
from dysr_jax.data.images.pixels import blend_on_white
from dysr_jax.data.images.profiles import is_srgb
from dysr_jax.data.images.read import error_reason
from dysr_jax.errors import InputError

_OPAQUE: Final = frozenset(("JPEG", "BMP", "PPM"))  # formats that hold no transparency
# Pixels per side that a format holds, where images come near it
_LONGEST_SIDE: Final = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 16_384, "TGA": 65_535}
_LARGEST_FILE: Final = {"BMP": 2**32 - 2**16}  # bytes of pixels, likewise
# Fields of the metadata: what a note calls them, and the formats that hold them
_PARTS: Final = {
    "profile": ("colour profile", ("PNG", "JPEG", "TIFF", "WEBP", "AVIF")),
    "exif": ("EXIF data", ("PNG", "JPEG", "TIFF", "WEBP", "AVIF")),
    "xmp": ("XMP data", ("PNG", "JPEG", "TIFF", "WEBP", "AVIF")),
    "iptc": ("IPTC data", ("JPEG", "TIFF")),
    "dpi": ("resolution", ("PNG", "JPEG", "TIFF", "WEBP", "AVIF", "BMP")),
    "comment": ("comment", ("PNG", "JPEG", "JPEG2000")),
    "texts": ("text chunks", ("PNG",)),
    "colours": ("declared colours", ("PNG",)),
}
_SEGMENT: Final = 65_533  # bytes that a segment of a JPEG file holds
_XMP_HEAD: Final = 29
_IPTC_HEAD: Final = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0"

_QUALITY: Final = {"JPEG": 95, "WEBP": 95, "AVIF": 90}


def check_image_suffix(path: str | os.PathLike[str]) -> str:
    """Pillow's name of the format of a file's suffix, which must be one that can be written."""
    form = writable_suffixes().get(pathlib.Path(path).suffix.lower())
    if form is None:
        known = ", ".join(writable_suffixes())
        raise InputError(f"image {os.fspath(path)!r}: its suffix must be one of {known}")
    return form


def check_image_size(path: str | os.PathLike[str], shape: tuple[int, ...]) -> None:
    """Refuse a shape `(H, W, C)` that the format of a file's suffix does not hold."""
    form, (rows, columns) = check_image_suffix(path), shape[:2]
    longest = _LONGEST_SIDE.get(form)
    limit = f"{longest:,} pixels per side" if longest and max(rows, columns) > longest else ""
    if form in _LARGEST_FILE and math.prod(shape) > _LARGEST_FILE[form]:
        limit = "4 GB"
    if limit:
        reason = f"{columns}x{rows} is more than the {limit} of its format; .png and .tif hold larger ones"
        raise InputError(f"image {os.fspath(path)!r} cannot be written: {reason}")


def write_image(
    path: str | os.PathLike[str], image: np.ndarray, metadata: Metadata | None = None
) -> tuple[str, ...]:
    """Write `[H, W, C]` uint8 in the format of the file's suffix; give back what the format does not hold.

    Transparency is laid on white where the format holds none.
    Raises `InputError`: a suffix or a place that cannot be written, or an image too large for its format.
    """
    form, suffix = check_image_suffix(path), pathlib.Path(path).suffix.lower()
    check_image_size(path, image.shape)
    opaque = image.shape[2] in (2, 4) and form in _OPAQUE
    pixels = blend_on_white(image) if opaque else image
    kept, notes = _fit_metadata(metadata or Metadata(), form, (image.shape[1], image.shape[0]))
    options = save_options(kept, form, pixels.nbytes)
    if suffix == ".j2k":
        options["no_jp2"] = True  # the bare stream
    try:
        with replacing(path) as partial:
            shown = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
            # By bytes, because Pillow encodes a name that is text, and not every name can be.
            with open(os.fsencode(partial), "w+b") as file:  # noqa: PTH123
                shown.save(file, format=form, **options)
    except Exception as error:  # an encoder may raise anything; a full disk, OSError
        raise InputError(f"image {os.fspath(path)!r} cannot be written: {error_reason(error)}") from None
    return (f"its transparency is laid on white, because {suffix} holds none", *notes) if opaque else notes


def _fit_metadata(metadata: Metadata, form: str, size: tuple[int, int]) -> tuple[Metadata, tuple[str, ...]]:
    """What of the metadata a file of a format and of these columns and rows holds; a note on the rest."""
    kept, none, note = resize_metadata(metadata, size), Metadata(), ExifTags.Base.MakerNote
    out = {field: getattr(none, field) for field, (_, forms) in _PARTS.items() if form not in forms}
    if form == "JPEG":
        if len(kept.exif) > _SEGMENT:  # what the camera's maker adds may be most of it
            plain = change_exif(kept.exif, lambda data: data.get_ifd(ExifTags.IFD.Exif).pop(note, None))
            kept = dataclasses.replace(kept, exif=plain)
        heads = {"exif": 0, "xmp": _XMP_HEAD, "comment": 0, "iptc": len(_IPTC_HEAD) + 8}
        out |= {name: b"" for name, head in heads.items() if len(getattr(kept, name)) + head > _SEGMENT}
    kept = dataclasses.replace(kept, **out)
    gone = [field for field in _PARTS if getattr(metadata, field) and not getattr(kept, field)]
    if "colours" in gone and (kept.profile or is_srgb(metadata.colours)):
        gone.remove("colours")
    if "dpi" in gone and metadata.dpi == (72, 72):
        gone.remove("dpi")  # what programs write that mean nothing by it
    if not gone:
        return kept, ()
    names = [_PARTS[field][0] for field in gone]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
    return kept, (f"its {listed} cannot be kept in {form.replace('JPEG2000', 'JPEG 2000')}",)


def save_options(metadata: Metadata, form: str, nbytes: int) -> dict[str, Any]:
    """Options of Pillow's `save` for metadata that the format holds and pixels of so many bytes."""
    exif = metadata.exif
    if metadata.dpi and form in ("WEBP", "AVIF"):
        (across, down), base = metadata.dpi, ExifTags.Base  # EXIF is their only place for it
        tags: dict[int, Any] = {base.XResolution: across, base.YResolution: down, base.ResolutionUnit: 2}
        exif = change_exif(exif, lambda data: data.update(tags))
    elif form == "TIFF" and (metadata.xmp or metadata.iptc):
        found = {tag: value for tag, value in ((XMP_TAG, metadata.xmp), (IPTC_TAG, metadata.iptc)) if value}
        exif = change_exif(exif, lambda data: data.update(found))
    options = {
        "icc_profile": metadata.profile,
        "exif": exif,
        "xmp": metadata.xmp if form != "TIFF" else b"",
        "dpi": metadata.dpi,
        "comment": metadata.comment,
        "quality": _QUALITY.get(form),
        "pnginfo": _png_chunks(metadata) if form == "PNG" else None,
        "extra": _iptc_segment(metadata.iptc) if form == "JPEG" else b"",
        "big_tiff": form == "TIFF" and nbytes > 2**32 - 2**20,
    }
    return {name: value for name, value in options.items() if value}


def pil_info(metadata: Metadata, size: tuple[int, int]) -> dict[str, Any]:
    """`info` of a Pillow image of these columns and rows."""
    kept = resize_metadata(metadata, size)
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
