"""The parts of a PNG file that are not its pixels: text, colours, profile.

Pillow refuses a file for a text with a bad checksum or a profile of 1 MB. Such chunks are taken out before it
sees the file; what they hold is kept as it is, or left out and told.
"""

import io
import zlib
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

MAGIC: Final = b"\x89PNG\r\n\x1a\n"
TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt")
COLOURS: Final = (b"cHRM", b"gAMA", b"sRGB", b"cICP")
_LENGTHS: Final = {b"cHRM": 32, b"gAMA": 4, b"sRGB": 1, b"cICP": 4, b"pHYs": 9}
_PIXELS: Final = (b"IHDR", b"PLTE", b"IDAT", b"fdAT", b"IEND")
_LARGEST: Final = 64 * 2**20
"""Bytes that a text or a profile may have."""


class Chunk(NamedTuple):
    """A part of the file."""

    kind: bytes
    start: int
    stop: int
    data: bytes
    """Empty for pixels, which stay in the file."""
    sound: bool
    """Whether it has the checksum that it says, and the length of its kind."""


class PngParts(NamedTuple):
    """What a PNG file holds beside its pixels."""

    pixels: IO[bytes]
    """The file without the rest, for Pillow."""
    texts: tuple[tuple[bytes, bytes], ...]
    """Chunks with text, as they are."""
    colours: dict[bytes, bytes]
    """Chunks that say what the colours are."""
    profile: bytes | None
    notes: tuple[str, ...]


def _chunks(file: IO[bytes]) -> Iterator[Chunk]:
    """All that are whole; pixels are skipped."""
    end = file.seek(0, 2)
    start = file.seek(len(MAGIC))
    while start + 12 <= end:
        file.seek(start)
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        stop = start + 12 + length
        if stop > end or not kind.isalpha():
            return
        kept = kind not in _PIXELS and length <= _LARGEST
        data = file.read(length) if kept else b""
        checksum = zlib.crc32(data, zlib.crc32(kind)) if kept else _checksum(file, kind, length)
        sound = checksum == int.from_bytes(file.read(4), "big")
        sound = sound and length == _LENGTHS.get(kind, length)
        yield Chunk(kind, start, stop, data, sound)
        start = stop
        if kind == b"IEND":
            return


def _checksum(file: IO[bytes], kind: bytes, length: int) -> int:
    """Of what comes next in the file, a megabyte at a time."""
    checksum = zlib.crc32(kind)
    for start in range(0, length, 2**20):
        checksum = zlib.crc32(file.read(min(2**20, length - start)), checksum)
    return checksum


def _is_left_out(chunk: Chunk) -> bool:
    """Texts but those that Pillow needs for the orientation, profiles, and what is damaged.

    A chunk whose name begins with a capital is needed for the pixels: a damaged one makes the file so.
    """
    if chunk.kind in TEXTS:
        return not _is_orientation(chunk) or not chunk.sound or _inflated(chunk) is None
    return chunk.kind == b"iCCP" or (not chunk.sound and chunk.kind[:1].islower())


def _is_orientation(chunk: Chunk) -> bool:
    return chunk.data.startswith((b"XML:com.adobe.xmp\0", b"Raw profile type exif\0"))


def _inflated(chunk: Chunk) -> bytes | None:
    """A text as Pillow takes it, of less than a megabyte; None for others."""
    rest = chunk.data.partition(b"\0")[2]
    packed = chunk.kind == b"zTXt" or rest[:1] == b"\1"
    content = rest[1:] if chunk.kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1]
    try:
        text = _decompressed(content, 2**20) if packed else content
    except (zlib.error, ValueError):
        return None
    return text if len(text) < 2**20 else None


def _decompressed(data: bytes, largest: int = _LARGEST) -> bytes:
    """Raises `ValueError` for what is longer, `zlib.error` for what is damaged."""
    decoder = zlib.decompressobj()
    text = decoder.decompress(data, largest)
    if not decoder.eof:
        raise ValueError("too long or cut off")
    return text


def _profile(data: bytes) -> bytes | None:
    try:
        return _decompressed(data.partition(b"\0")[2][1:])
    except (zlib.error, ValueError):
        return None


def is_png(file: IO[bytes]) -> bool:
    """Whether a file begins as PNG files do."""
    file.seek(0)
    return file.read(len(MAGIC)) == MAGIC


def split(file: IO[bytes]) -> PngParts:
    """Take a PNG file apart; what is damaged beside the pixels is left out and told.

    Raises:
        ValueError: the checksum of pixels is wrong. Pillow would show what it makes of them.
    """
    found = list(_chunks(file))
    if any(not chunk.sound for chunk in found if chunk.kind in _PIXELS):
        raise ValueError("its pixels are damaged (a checksum is wrong)")
    out = [chunk for chunk in found if _is_left_out(chunk)]
    sound = [chunk for chunk in found if chunk.sound]
    texts = [(c.kind, c.data) for c in sound if c.kind in TEXTS and not _is_orientation(c)]
    profile = next((_profile(chunk.data) for chunk in sound if chunk.kind == b"iCCP"), None)
    notes = []
    if any(not c.sound for c in out) or any(c in out for c in sound if _is_orientation(c)):
        notes.append("a damaged part beside its pixels is left out")
    if profile is None and any(chunk.kind == b"iCCP" for chunk in found):
        notes.append("its colour profile is damaged and is left out")
    colours = {chunk.kind: chunk.data for chunk in sound if chunk.kind in COLOURS}
    return PngParts(_without(file, out), tuple(texts), colours, profile, tuple(notes))


def _without(file: IO[bytes], chunks: list[Chunk]) -> IO[bytes]:
    if not chunks:
        return file
    kept, start = io.BytesIO(), 0
    for chunk in chunks:
        file.seek(start)
        kept.write(file.read(chunk.start - start))
        start = chunk.stop
    file.seek(start)
    kept.write(file.read())
    return kept
