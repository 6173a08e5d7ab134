"""What FFmpeg writes wrongly into the head of an MP4 or MOV, set right when the file is whole."""

import datetime
import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

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
