"""The shape of pixels in the head of Y4M, WebM and Matroska, where PyAV cannot tell it to the muxer.

What FFmpeg writes wrongly into the head of an MP4 or MOV, set right when the file is whole.
"""

import datetime
import os
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO, NamedTuple

Y4M_UNKNOWN = b" A0:0 "

TRACKS, TRACK, VIDEO, CRC, VOID = b"\x16\x54\xae\x6b", b"\xae", b"\xe0", b"\xbf", b"\xec"
NAME, WIDTH, HEIGHT, UNIT = b"\x53\x6e", b"\x54\xb0", b"\x54\xba", b"\x54\xb2"
"""Identifiers of Matroska's elements."""

ROOM = "-" * 40
"""Put behind the name of a track, to be replaced by the elements that say the shape."""

CLOSE = Fraction(1, 5)
"""Share by which the size for display may be off, so that its sides are integers of the right ratio."""


def display_size(size: tuple[int, int], aspect: Fraction) -> tuple[int, int]:
    """Columns and rows of square pixels that look like `size` ones of `aspect`."""
    columns, rows = size
    ratio = columns * aspect / rows
    if (columns * aspect).denominator == 1:
        return int(columns * aspect), rows
    times = max(1, round(Fraction(rows, ratio.denominator)))
    if abs(times * ratio.denominator - rows) <= CLOSE * rows:
        return times * ratio.numerator, times * ratio.denominator
    return max(1, round(columns * aspect)), rows


def y4m_head(head: bytes, aspect: Fraction) -> bytes | None:
    """The first bytes of a Y4M file, with the shape; None while its first line is not complete."""
    if b"\n" not in head:
        return None
    return head.replace(Y4M_UNKNOWN, b" A%d:%d " % (aspect.numerator, aspect.denominator), 1)


def matroska_head(head: bytes, shown: tuple[int, int]) -> bytes | None:
    """The first bytes of a file, with a size for display in the track whose name ends with `ROOM`.

    As long as before, since offsets stand elsewhere. None while the list of tracks is not complete.
    """
    start = head.rfind(TRACKS, 0, max(head.find(ROOM.encode()), 0))
    if start < 0:
        return None
    try:
        _, begin, end = _element(head, start)
    except IndexError:
        return None
    if end > len(head):
        return None
    parts = [_shaped(head[a:c], shown) for _, a, _, c in _children(head, begin, end)]
    body = b"".join(parts)
    if body.startswith(CRC):
        body = body[:2] + zlib.crc32(body[6:]).to_bytes(4, "little") + body[6:]
    return head[:begin] + body + head[end:]


def _shaped(element: bytes, shown: tuple[int, int]) -> bytes:
    """An element of the list of tracks, of the same length."""
    identifier, begin, end = _element(element, 0)
    if identifier != TRACK or ROOM.encode() not in element:
        return element
    inner = b""
    for name, a, b, c in _children(element, begin, end):
        payload = element[b:c]
        if name == NAME:
            title = payload.removesuffix(ROOM.encode())
            inner += _written(NAME, title) if title else b""
        elif name == VIDEO:
            inner += _written(VIDEO, _with_size(payload, shown))
        else:
            inner += element[a:c]
    # An element of nothing fills what is left; its size takes 8 bytes.
    left = end - begin - len(inner) - 9
    return element[:begin] + inner + VOID + _size(left) + bytes(left)


def _with_size(video: bytes, shown: tuple[int, int]) -> bytes:
    kept = [video[a:c] for name, a, _, c in _children(video, 0, len(video)) if name != UNIT]
    sizes = zip((WIDTH, HEIGHT), shown, strict=True)
    return b"".join(kept) + b"".join(_written(name, side.to_bytes(4)) for name, side in sizes)


def _children(data: bytes, begin: int, end: int) -> list[tuple[bytes, int, int, int]]:
    """Identifier, and where it, its content and the next element begin."""
    found = []
    while begin < end:
        name, content, after = _element(data, begin)
        found.append((name, begin, content, after))
        begin = after
    return found


def _element(data: bytes, at: int) -> tuple[bytes, int, int]:
    """The identifier of an element, and where its content begins and ends."""
    length = 9 - data[at].bit_length()
    size_at = at + length
    width = 9 - data[size_at].bit_length()
    begin = size_at + width
    size = int.from_bytes(data[size_at:begin]) & ((1 << 7 * width) - 1)
    return data[at:size_at], begin, begin + size


def _written(name: bytes, content: bytes) -> bytes:
    size = bytes([0x80 | len(content)]) if len(content) < 127 else _size(len(content))
    return name + size + content


def _size(length: int) -> bytes:
    """The size of an element, in 8 bytes."""
    return (1 << 56 | length).to_bytes(8)


EPOCH = datetime.datetime(1904, 1, 1, tzinfo=datetime.UTC)
"""From which these files count seconds."""


class Box(NamedTuple):
    """A part of a file."""

    kind: bytes
    start: int
    content: int
    """Where what is in it begins."""
    end: int


def seconds_of(creation_time: str) -> int | None:
    """A tag such as `2021-05-06T07:08:09Z` in the seconds of these files; None where it is none."""
    try:
        time = datetime.datetime.fromisoformat(creation_time)
    except ValueError:
        return None
    time = time if time.tzinfo else time.replace(tzinfo=datetime.UTC)
    seconds = int((time - EPOCH).total_seconds())
    return seconds if 0 < seconds < 1 << 32 else None


def mend(descriptor: int, *, covers: tuple[int, ...] = (), created: int | None = None) -> None:
    """Take out the empty tracks that stand for covers, and write when the film was made.

    FFmpeg writes a track for each cover into a file that was written in fragments; and where tags stand under
    their full names, a second time of creation.

    Args:
        descriptor: of the file, to read and to write.
        covers: numbers of the streams that are covers, from 0.
        created: when the film was made, in seconds of these files.
    """
    with open(descriptor, "r+b", buffering=0, closefd=False) as file:
        for moov in _boxes(file, 0, file.seek(0, os.SEEK_END)):
            if moov.kind == b"moov":
                _mend(file, moov, covers, created)


def _mend(file: BinaryIO, moov: Box, covers: tuple[int, ...], created: int | None) -> None:
    tracks = 0
    for box in list(_boxes(file, moov.content, moov.end)):
        if box.kind == b"mvhd" and created is not None:
            # Times of creation and of the last change; version 1 has 64 bits for them.
            form = ">QQ" if _read(file, box.content, 1) == b"\1" else ">II"
            _write(file, box.content + 4, struct.pack(form, created, created))
        if box.kind == b"trak":
            if tracks in covers:
                _write(file, box.start + 4, b"free")
            tracks += 1


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", _read(file, start, 8))
        header = 8
        if size == 1:
            size, header = struct.unpack(">Q", _read(file, start + 8, 8))[0], 16
        if size == 0:
            size = end - start
        if size < header:
            return
        yield Box(kind, start, start + header, min(start + size, end))
        start += size


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _write(file: BinaryIO, at: int, data: bytes) -> None:
    file.seek(at)
    file.write(data)
