"""The parts of a PNG file that are not its pixels: text, colours, profile.

Pillow refuses a file for a text with a wrong checksum or a profile of 1 MB. Such chunks are removed before it
sees the file; what they hold is kept as it is, or left out with a note.
"""

import io
import zlib
from collections.abc import Iterator
from typing import IO, Final, NamedTuple

_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt")
_COLOURS: Final = (b"cHRM", b"gAMA", b"sRGB", b"cICP")
_LENGTHS: Final = {b"cHRM": 32, b"gAMA": 4, b"sRGB": 1, b"cICP": 4, b"pHYs": 9}
_PIXELS: Final = (b"IHDR", b"PLTE", b"IDAT", b"fdAT", b"IEND")
# Beginnings of the texts in which Pillow finds an orientation
_ORIENTATIONS: Final = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
_LARGEST: Final = 64 * 2**20  # bytes that a text or a profile may have
_BLOCK: Final = 2**20  # bytes of pixels that are summed at once; also what a text may have for Pillow


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    stop: int
    data: bytes  # empty for pixels, which stay in the file
    sound: bool  # whether its checksum is right, and its length that of its kind

    @property
    def oriented(self) -> bool:  # whether it is a text that may hold an orientation
        return self.kind in _TEXTS and self.data.startswith(_ORIENTATIONS)


class FileParts(NamedTuple):
    """An image file, and what Pillow is not shown of it."""

    pixels: IO[bytes]  # the file without the rest, for Pillow
    colours: dict[bytes, bytes]  # chunks that declare the colours, as in `Metadata`
    texts: tuple[tuple[bytes, bytes], ...] = ()
    profile: bytes | None = None
    notes: tuple[str, ...] = ()


def is_png(file: IO[bytes]) -> bool:
    """Whether a file begins as PNG files do."""
    file.seek(0)
    return file.read(len(_MAGIC)) == _MAGIC


def split_png(file: IO[bytes]) -> FileParts:
    """Take a PNG file apart; damage beside the pixels is left out with a note, in them a `ValueError`."""
    found = list(_chunks(file))
    if any(not chunk.sound for chunk in found if chunk.kind in _PIXELS):
        raise ValueError("its pixels are damaged (a checksum is wrong)")
    out = [chunk for chunk in found if _is_left_out(chunk)]
    sound = [chunk for chunk in found if chunk.sound]
    texts = tuple((c.kind, c.data) for c in sound if c.kind in _TEXTS and not c.oriented)
    packed = [chunk.data.partition(b"\0")[2][1:] for chunk in sound if chunk.kind == b"iCCP"]
    profile = _decompressed(packed[0], _LARGEST) if packed else None
    notes = []
    if any(not chunk.sound or chunk.oriented for chunk in out):
        notes.append("a damaged part beside its pixels is left out")
    if profile is None and any(chunk.kind == b"iCCP" for chunk in found):
        notes.append("its colour profile is damaged and is left out")
    colours = {chunk.kind: chunk.data for chunk in sound if chunk.kind in _COLOURS}
    return FileParts(_without(file, out), colours, texts, profile, tuple(notes))


def _chunks(file: IO[bytes]) -> Iterator[_Chunk]:
    """All chunks that are whole; those of pixels without their content."""
    end = file.seek(0, 2)
    start = len(_MAGIC)
    while start + 12 <= end:
        file.seek(start)
        head = file.read(8)
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        stop = start + 12 + length
        if stop > end or not kind.isalpha():
            return
        kept = kind not in _PIXELS and length <= _LARGEST
        data = file.read(length) if kept else b""
        checksum = zlib.crc32(data, zlib.crc32(kind))
        for done in () if kept else range(0, length, _BLOCK):
            checksum = zlib.crc32(file.read(min(_BLOCK, length - done)), checksum)
        sound = checksum == int.from_bytes(file.read(4), "big") and length == _LENGTHS.get(kind, length)
        yield _Chunk(kind, start, stop, data, sound)
        start = stop
        if kind == b"IEND":
            return


def _is_left_out(chunk: _Chunk) -> bool:
    """Texts that Pillow does not need for the orientation, profiles, and what is damaged but not critical."""
    if chunk.kind in _TEXTS:
        return not (chunk.oriented and chunk.sound and _is_short_text(chunk))
    return chunk.kind == b"iCCP" or (not chunk.sound and chunk.kind[:1].islower())


def _is_short_text(chunk: _Chunk) -> bool:
    """Whether Pillow takes a text: it is whole, and of less than a megabyte."""
    rest = chunk.data.partition(b"\0")[2]
    packed = chunk.kind == b"zTXt" or rest[:1] == b"\1"
    content = rest[1:] if chunk.kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1]
    text = _decompressed(content, _BLOCK) if packed else content
    return text is not None and len(text) < _BLOCK


def _decompressed(data: bytes, largest: int) -> bytes | None:
    decoder = zlib.decompressobj()
    try:
        text = decoder.decompress(data, largest)
    except zlib.error:
        return None
    return text if decoder.eof else None


def _without(file: IO[bytes], chunks: list[_Chunk]) -> IO[bytes]:
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
