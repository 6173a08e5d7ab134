"""What FFmpeg leaves out of a file's header, or gets wrong there, patched in its bytes.

Y4M, Matroska and WebM: the shape of pixels, which PyAV cannot tell their muxers. MP4 and MOV: tracks that
stand for covers, and the time of creation.
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

PLACEHOLDER = "-" * 40
"""Ends the name of a track, to be replaced by the elements that say the shape."""

MAX_RESCALING = Fraction(1, 5)
"""Share by which the size for display may be off, so that its sides are integers of the right ratio."""

MP4_EPOCH = datetime.datetime(1904, 1, 1, tzinfo=datetime.UTC)
"""The time from which MP4 and MOV count seconds."""


def display_size(size: tuple[int, int], aspect: Fraction) -> tuple[int, int]:
    """Columns and rows of square pixels that look like `size` ones of `aspect`."""
    columns, rows = size
    ratio = columns * aspect / rows
    if (columns * aspect).denominator == 1:
        return int(columns * aspect), rows
    times = max(1, round(Fraction(rows, ratio.denominator)))
    if abs(times * ratio.denominator - rows) <= MAX_RESCALING * rows:
        return times * ratio.numerator, times * ratio.denominator
    return max(1, round(columns * aspect)), rows


def y4m_header(header: bytes, aspect: Fraction) -> bytes | None:
    """The first bytes of a Y4M file, with the shape of pixels; None if its first line is not complete."""
    if b"\n" not in header:
        return None
    return header.replace(Y4M_UNKNOWN, b" A%d:%d " % (aspect.numerator, aspect.denominator), 1)


def matroska_header(header: bytes, shown: tuple[int, int]) -> bytes | None:
    """The first bytes of a file, with a size for display in the track whose name ends with `PLACEHOLDER`.

    As long as before, since it holds offsets. None if the list of tracks is not complete.
    """
    start = header.rfind(TRACKS, 0, max(header.find(PLACEHOLDER.encode()), 0))
    if start < 0:
        return None
    try:
        _, begin, end = _element(header, start)
    except IndexError:
        return None
    if end > len(header):
        return None
    body = b"".join(_with_shape(header[a:c], shown) for _, a, _, c in _children(header, begin, end))
    if body.startswith(CRC):
        body = body[:2] + zlib.crc32(body[6:]).to_bytes(4, "little") + body[6:]
    return header[:begin] + body + header[end:]


def _with_shape(element: bytes, shown: tuple[int, int]) -> bytes:
    """An element of the list of tracks, of the same length."""
    identifier, begin, end = _element(element, 0)
    if identifier != TRACK or PLACEHOLDER.encode() not in element:
        return element
    inner = b""
    for name, a, b, c in _children(element, begin, end):
        payload = element[b:c]
        if name == NAME:
            title = payload.removesuffix(PLACEHOLDER.encode())
            inner += _encode(NAME, title) if title else b""
        elif name == VIDEO:
            kept = [payload[a:c] for name, a, _, c in _children(payload, 0, len(payload)) if name != UNIT]
            sizes = zip((WIDTH, HEIGHT), shown, strict=True)
            inner += _encode(
                VIDEO, b"".join(kept + [_encode(name, side.to_bytes(4)) for name, side in sizes])
            )
        else:
            inner += element[a:c]
    # An empty element fills what is left; its size takes 8 bytes.
    left = end - begin - len(inner) - 9
    return element[:begin] + inner + VOID + _encode_size(left) + bytes(left)


def _children(data: bytes, begin: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """The identifier of each element, and where it, its content and the next element begin."""
    while begin < end:
        name, content, after = _element(data, begin)
        yield name, begin, content, after
        begin = after


def _element(data: bytes, at: int) -> tuple[bytes, int, int]:
    """The identifier of an element, and where its content begins and ends."""
    size_at = at + 9 - data[at].bit_length()
    width = 9 - data[size_at].bit_length()
    begin = size_at + width
    size = int.from_bytes(data[size_at:begin]) & ((1 << 7 * width) - 1)
    return data[at:size_at], begin, begin + size


def _encode(name: bytes, content: bytes) -> bytes:
    size = bytes([0x80 | len(content)]) if len(content) < 127 else _encode_size(len(content))
    return name + size + content


def _encode_size(length: int) -> bytes:
    """The size of an element, in 8 bytes."""
    return (1 << 56 | length).to_bytes(8)


def mp4_seconds(creation_time: str) -> int | None:
    """A tag such as `2021-05-06T07:08:09Z` in the seconds of MP4; None if it is no such time."""
    try:
        time = datetime.datetime.fromisoformat(creation_time)
    except ValueError:
        return None
    time = time if time.tzinfo else time.replace(tzinfo=datetime.UTC)
    seconds = int((time - MP4_EPOCH).total_seconds())
    return seconds if 0 < seconds < 1 << 32 else None


class _Box(NamedTuple):
    """A part of an MP4 file: its bytes from `start` to `end`, of which `content` is the first inside."""

    kind: bytes
    start: int
    content: int
    end: int


def patch_mp4(descriptor: int, *, covers: tuple[int, ...] = (), created: int | None = None) -> None:
    """Take out the empty tracks that stand for covers, by number, and write when the film was made.

    FFmpeg writes a track per cover into a file that was written in fragments; and if tags have their full
    names, a second time of creation. `created` is in `mp4_seconds`.
    """
    with open(descriptor, "r+b", buffering=0, closefd=False) as file:
        top = list(_boxes(file, 0, file.seek(0, os.SEEK_END)))
        for moov in (box for box in top if box.kind == b"moov"):
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


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", _read(file, start, 8))
        header = 8
        if size == 1:
            size, header = struct.unpack(">Q", _read(file, start + 8, 8))[0], 16
        if size == 0:
            size = end - start
        if size < header:
            return
        yield _Box(kind, start, start + header, min(start + size, end))
        start += size


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _write(file: BinaryIO, at: int, data: bytes) -> None:
    file.seek(at)
    file.write(data)
