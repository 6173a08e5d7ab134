"""What FFmpeg leaves out of a file's header, or gets wrong there, patched in its bytes.

Y4M, Matroska and WebM: the pixel aspect ratio, which PyAV cannot pass to their muxers. MP4 and MOV: tracks
that stand for covers, and the creation time.
"""

import datetime
import os
import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

# Identifiers of Matroska's elements.
TRACKS, TRACK, VIDEO, CRC, VOID = b"\x16\x54\xae\x6b", b"\xae", b"\xe0", b"\xbf", b"\xec"
NAME, WIDTH, HEIGHT, UNIT = b"\x53\x6e", b"\x54\xb0", b"\x54\xba", b"\x54\xb2"
PLACEHOLDER = "-" * 40  # ends a track's name, to be replaced by the elements of its display size
MAX_RESCALING = Fraction(1, 5)  # share by which a display size may be off, to be integers of the right ratio
MP4_EPOCH = datetime.datetime(1904, 1, 1, tzinfo=datetime.UTC)  # from which MP4 and MOV count seconds


def display_size(size: tuple[int, int], aspect: Fraction) -> tuple[int, int]:
    """Columns and rows of square pixels that show what `size` pixels of `aspect` show."""
    columns, rows = size
    ratio = columns * aspect / rows
    if (columns * aspect).denominator == 1:
        return int(columns * aspect), rows
    times = max(1, round(Fraction(rows, ratio.denominator)))
    if abs(times * ratio.denominator - rows) <= MAX_RESCALING * rows:
        return times * ratio.numerator, times * ratio.denominator
    return max(1, round(columns * aspect)), rows


def matroska_header(header: bytes, shown: tuple[int, int]) -> bytes | None:
    """The first bytes of a file, as many, with a display size in the track named `...PLACEHOLDER`.

    None if the list of tracks is incomplete.
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
            sizes = [_encode(n, side.to_bytes(4)) for n, side in zip((WIDTH, HEIGHT), shown, strict=True)]
            inner += _encode(VIDEO, b"".join(kept + sizes))
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


def patch_mp4(descriptor: int, *, covers: tuple[int, ...] = (), created: int | None = None) -> None:
    """Take out the empty tracks that stand for covers, by number, and set the time as from `mp4_seconds`.

    FFmpeg writes a track per cover into a file of fragments, and a second time if tags have full names.
    """
    with open(descriptor, "r+b", buffering=0, closefd=False) as file:
        for name, _, first, last in _boxes(file, 0, file.seek(0, os.SEEK_END)):
            boxes = _boxes(file, first, last) if name == b"moov" else []
            for kind, _, content, _ in boxes:
                if kind == b"mvhd" and created is not None:
                    # Creation and modification time; version 1 has 64 bits for each.
                    form = ">QQ" if _at(file, content).read(1) == b"\1" else ">II"
                    _at(file, content + 4).write(struct.pack(form, created, created))
            tracks = [start for kind, start, _, _ in boxes if kind == b"trak"]
            for start in (start for number, start in enumerate(tracks) if number in covers):
                _at(file, start + 4).write(b"free")


def _boxes(file: BinaryIO, start: int, end: int) -> list[tuple[bytes, int, int, int]]:
    """The kind of each box between two offsets, and where it and its content begin and it ends."""
    found: list[tuple[bytes, int, int, int]] = []
    while start + 8 <= end:
        (size, kind), header = struct.unpack(">I4s", _at(file, start).read(8)), 8
        if size == 1:
            size, header = struct.unpack(">Q", _at(file, start + 8).read(8))[0], 16
        size = size or end - start
        if size < header:
            break
        found.append((kind, start, start + header, min(start + size, end)))
        start += size
    return found


def _at(file: BinaryIO, offset: int) -> BinaryIO:
    file.seek(offset)
    return file
