"""How many bits a channel a file has: Pillow gives 8 of them for most formats and does not say so."""

from typing import IO, Any, Final

from PIL import Image

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
