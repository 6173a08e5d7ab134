"""Colours: whether an ICC profile fits its pixels, and what a file declares of its colours without one."""

import io
import struct
from collections.abc import Mapping
from typing import IO, Final

from PIL import Image, ImageCms

HDR: Final = {16: "PQ", 18: "HLG"}
"""Transfer functions of ITU-T H.273 that 8 bits and the networks' training images do not cover."""

_KINDS: Final = {b"GRAY": "grey", b"RGB ": "RGB", b"CMYK": "CMYK", b"Lab ": "Lab"}
_HEAD: Final = 2**16  # bytes at the start of a file in which it declares its colours
_SRGB: Final = (1, 13)  # primaries and transfer function of sRGB
# PNG's cHRM of sRGB
_BT709: Final = struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)


def usable_profile(profile: bytes | None, mode: str) -> tuple[bytes | None, tuple[str, ...]]:
    """The profile where it fits pixels of a mode (`L`, `RGB` or `CMYK`), and a note where it does not."""
    if not profile:
        return None, ()
    try:
        ImageCms.buildTransform(_opened(profile), ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        kind, wanted = _KINDS.get(profile[16:20]), "grey" if mode == "L" else mode
        reason = f"is for {kind} and not for {wanted}" if kind not in (None, wanted) else "is damaged"
        return None, (f"its colour profile {reason}, and is left out",)
    return profile, ()


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def cmyk_to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A CMYK image in sRGB, by a profile that fits; without one by the inks' complements."""
    if profile is None:
        return image.convert("RGB")
    screen = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, _opened(profile), screen, outputMode="RGB")
    assert converted is not None  # a new image, because it was not asked to work in place
    return converted


def container_colours(file: IO[bytes]) -> dict[bytes, bytes]:
    """The colours that an AVIF or HEIC file declares (a box `colr` of ISO 23008-12), as PNG's cICP."""
    file.seek(0)
    head = file.read(_HEAD)
    place = head.find(b"colrnclx") if head[4:8] == b"ftyp" else -1
    if place < 0 or len(head) < place + 14:
        return {}
    primaries, transfer = head[place + 9], head[place + 11]
    # BT.709 and "unspecified" are what programs write that mean the screen's.
    if primaries in (1, 2) and transfer in (1, 2, 6, 13):
        return {}
    return {b"cICP": bytes([primaries, transfer, 0, 1])}


def check_dynamic_range(colours: Mapping[bytes, bytes]) -> None:
    """Refuse (`ValueError`) colours that are declared as PQ or HLG, as videos do."""
    declared = colours.get(b"cICP", b"")
    if len(declared) == 4 and declared[1] in HDR:
        raise ValueError(f"its colours are HDR ({HDR[declared[1]]}); they must be SDR")


def is_srgb(colours: Mapping[bytes, bytes]) -> bool:
    """Whether the declared colours are those that programs assume without a declaration."""
    if b"cICP" in colours:
        return tuple(colours[b"cICP"][:2]) == _SRGB
    if b"sRGB" in colours:
        return True
    gamma = int.from_bytes(colours.get(b"gAMA", b"\0\0\xb1\x8f"), "big")
    white_and_red = colours.get(b"cHRM", _BT709)[:16]
    return abs(gamma - 45_455) < 500 and white_and_red == _BT709[:16]
