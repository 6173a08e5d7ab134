"""Where the bytes of a video go, and in which container.

A muxer goes back at the end to write sizes and an index into the header: such patches wait until all else is
written. So at any moment, even after a kill, the file is the start of a stream, which plays.
"""

import hashlib
import os
import pathlib
import sys
from collections.abc import Callable
from typing import NamedTuple

from dysr_jax.errors import InputError
from dysr_jax.video.reader import Reader
from dysr_jax.video.source import STANDARD, av, reason_of

MAX_HEADER = 1 << 20  # bytes within which a header ends
MAX_NAME = 255  # bytes of a name that file systems take


class Sink:
    """A file object for PyAV over a descriptor, which it closes; after its first error it drops all."""

    def __init__(self, descriptor: int, *, seekable: bool) -> None:
        self._descriptor, self._seekable = descriptor, seekable
        # Changes the header of the file, or a patch of it; gives None while it needs more of the header.
        self.edit: Callable[[bytes], bytes | None] | None = None
        self.after: Callable[[int], None] | None = None  # called with the descriptor when all is written
        self.error: OSError | None = None  # the first one
        self._header: bytes | None = b""
        self._position = self._end = 0
        self._patches: list[tuple[int, bytes]] = []

    def seekable(self) -> bool:
        """Whether `seek` is allowed."""
        return self._seekable

    def write(self, data: bytes | memoryview) -> int:
        """Append, or keep for later what lies before the end."""
        if self._position < self._end:
            patch = bytes(data)
            self._patches.append((self._position, (self.edit and self.edit(patch)) or patch))
        else:
            self._append(data)
            self._end += len(data)
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to where the next bytes belong."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}
        self._position = origin[whence] + offset
        return self._position

    def tell(self) -> int:
        """Where the next bytes belong."""
        return self._position

    def finish(self) -> None:
        """Write the patches, if all else was written, and close the file."""
        if self._header:
            self._try_to_write(self._header)
        for position, data in self._patches:
            if self.error is None:
                os.lseek(self._descriptor, position, os.SEEK_SET)
                self._try_to_write(data)
        try:
            if self.after is not None and self.error is None:
                self.after(self._descriptor)
        except OSError as error:
            self.error = error
        try:
            os.close(self._descriptor)
        except OSError as error:  # network file systems say it here that the disk is full
            self.error = self.error or error

    def _append(self, data: bytes | memoryview) -> None:
        """Write data; the header of the file waits until it is edited."""
        if self.edit is not None and self._header is not None:
            beginning = self._header + data
            edited = self.edit(beginning)
            self._header = beginning if edited is None and len(beginning) < MAX_HEADER else None
            data = (edited or beginning) if self._header is None else b""
        self._try_to_write(data)

    def _try_to_write(self, data: bytes | memoryview) -> None:
        left = memoryview(data)
        while left and self.error is None:
            try:
                left = left[os.write(self._descriptor, left) :]
            except OSError as error:
                self.error = error


def partial_path(name: str) -> pathlib.Path:
    """`film.partial.mp4` for `film.mp4`, which players know; a digest ends a name that is too long."""
    path = pathlib.Path(name)
    ending = f".partial{path.suffix}"
    if len(os.fsencode(path.stem + ending)) <= MAX_NAME:
        return path.with_name(path.stem + ending)
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    room = MAX_NAME - len(os.fsencode(f"~{digest}{ending}"))
    kept = os.fsencode(path.stem)[:room].decode(errors="ignore")
    return path.with_name(f"{kept}~{digest}{ending}")


def check_output(name: str, like: Reader | None, *, overwrite: bool) -> None:
    """Refuse a terminal, the source, a place in no folder, and without `overwrite` what is there already."""
    if name == STANDARD:
        if sys.stdout is None or os.isatty(1):
            state = "closed" if sys.stdout is None else "a terminal"
            raise InputError(f"output '-' is {state}; it must be a pipe or a file")
        return
    try:
        path, partial = pathlib.Path(name), partial_path(name)
        read = like is not None and like.path != STANDARD and os.path.lexists(like.path)
        source = like.path if like is not None and read else None  # no address
        if source and any(mine.exists() and mine.samefile(source) for mine in (path, partial)):
            raise InputError(f"output {name!r} is the input, or written over it; it must be another file")
        if path.exists() and not path.is_file():
            raise InputError(f"output {name!r} is no file; it must be a file, or - for standard output")
        if path.exists() and not overwrite:
            raise InputError(f"output {name!r} exists; allowed with --overwrite")
        if not path.parent.is_dir():
            raise InputError(f"video {name!r} cannot be written: {str(path.parent)!r} is no folder")
        if partial.exists() and not overwrite:
            what = f"{str(partial)!r} is there, left by a stream that did not finish"
            raise InputError(f"output {name!r}: {what}; rename it to keep it, or give --overwrite")
    except InputError:
        raise
    except (OSError, ValueError) as error:  # such as a name that is too long, or has a null in it
        raise InputError(f"video {name!r} cannot be written: {reason_of(error)}") from None


def open_output(name: str) -> int:
    """A descriptor of the output, to write from its beginning; an InputError if it cannot be opened."""
    if name == STANDARD:
        sys.stdout.flush()  # so that what was printed before does not come in between
        return os.dup(1)
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    try:
        return os.open(partial_path(name), flags, 0o666)
    except OSError as error:
        raise InputError(f"video {name!r} cannot be written: {error.strerror}") from None


class Format(NamedTuple):
    """A container of FFmpeg, its options, and the names of the encoders that are tried in turn."""

    muxer: str
    encoders: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()
    tagged: bool = True  # whether it says the matrix of its colours, and the time of each frame


# Fragments of a second, so that a part plays; at the end they become a file like any other.
FRAGMENTS = (("movflags", "hybrid_fragmented+delay_moov"), ("frag_duration", "1000000"))
# Before libavformat 62.12, that end was written wrongly.
ONLY_FRAGMENTS = (("movflags", "frag_keyframe+empty_moov+delay_moov"), FRAGMENTS[1])
CLUSTERS = (("cluster_time_limit", "1000"),)

MP4 = Format("mp4", ("libx264", "libx265", "mpeg4"), FRAGMENTS)
# More than 8 bits are beyond the standard of Y4M.
Y4M = Format("yuv4mpegpipe", ("rawvideo",), (("flush_packets", "1"), ("strict", "-1")), tagged=False)

# By suffix, in lower case.
FORMATS = {
    ".mp4": MP4,
    ".m4v": MP4,
    ".mov": MP4._replace(muxer="mov"),
    ".mkv": Format("matroska", ("libx264", "libx265", "mpeg4", "ffv1"), CLUSTERS),
    ".webm": Format("webm", ("libvpx-vp9", "libsvtav1"), CLUSTERS),
    ".y4m": Y4M,
}


def format_of(name: str) -> Format:
    """The format of an output, Y4M for standard output; an InputError for another suffix."""
    if name == STANDARD:
        return Y4M
    suffix = pathlib.Path(name).suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"video {name!r}: allowed suffixes are {', '.join(FORMATS)}")
    return FORMATS[suffix]


def muxer_options(form: Format, *, full_names: bool = False) -> dict[str, str]:
    """The options of a format's container for this FFmpeg; in MP4 and MOV, tags may keep their full names."""
    old = av.library_versions["libavformat"] < (62, 12)
    options = dict(ONLY_FRAGMENTS if form.options is FRAGMENTS and old else form.options)
    if full_names and "movflags" in options:
        options["movflags"] += "+use_metadata_tags"
    return options
