"""Where the bytes of a video go: a file that only grows, or standard output.

A muxer goes back at the end, to write sizes and an index into the head of the file. Such patches wait until
all else is written. So at any moment, after a kill and on a full disk too, a file is the whole beginning of
a stream, which plays.

Where a video is written: beside its place until it is whole, or to standard output.
"""

import hashlib
import os
import pathlib
import sys
from collections.abc import Callable

from dysr_jax.errors import InputError
from dysr_jax.video.reader import Reader
from dysr_jax.video.source import STANDARD

HEAD = 1 << 20
"""Bytes within which a head ends."""


class Sink:
    """A file object for PyAV that keeps an error to itself, and swallows what comes after it.

    Args:
        descriptor: an open file; it is closed with the sink.
        seekable: whether it is a file that patches can be written to.
    """

    def __init__(self, descriptor: int, *, seekable: bool) -> None:
        self._descriptor, self._seekable = descriptor, seekable
        self.edit: Callable[[bytes], bytes | None] | None = None
        """Changes the head of the file, or a patch of it; gives None while it needs more of the head."""
        self.after: Callable[[int], None] | None = None
        """Called with the descriptor when all is written."""
        self._head: bytes | None = b""
        self._position = self._end = 0
        self._patches: list[tuple[int, bytes]] = []
        self.error: OSError | None = None
        """What went wrong first."""

    def seekable(self) -> bool:
        """Whether `seek` is allowed."""
        return self._seekable

    def write(self, data: bytes) -> int:
        """Append, or keep for later what lies before the end."""
        if self._position < self._end:
            edited = None if self.edit is None else self.edit(data)
            self._patches.append((self._position, edited or data))
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
        if self._head:
            self._try_to_write(self._head)
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

    def _append(self, data: bytes) -> None:
        """Write data; the head of the file waits until it is edited."""
        if self.edit is not None and self._head is not None:
            beginning = self._head + data
            edited = self.edit(beginning)
            self._head = beginning if edited is None and len(beginning) < HEAD else None
            data = (edited or beginning) if self._head is None else b""
        self._try_to_write(data)

    def _try_to_write(self, data: bytes) -> None:
        left = memoryview(data)
        while left and self.error is None:
            try:
                left = left[os.write(self._descriptor, left) :]
            except OSError as error:
                self.error = error


LONGEST = 255
"""Bytes of a name that file systems take."""


def partial_of(name: str) -> pathlib.Path:
    """`film.partial.mp4` for `film.mp4`: a name that is seen, and that players know.

    Where that is too long, a digest stands for the end of the name.
    """
    place = pathlib.Path(name)
    ending = f".partial{place.suffix}"
    if len(os.fsencode(place.stem + ending)) <= LONGEST:
        return place.with_name(place.stem + ending)
    digest = hashlib.sha256(os.fsencode(place.name)).hexdigest()[:16]
    room = LONGEST - len(os.fsencode(f"~{digest}{ending}"))
    kept = os.fsencode(place.stem)[:room].decode(errors="ignore")
    return place.with_name(f"{kept}~{digest}{ending}")


def check_target(name: str, like: Reader | None, *, overwrite: bool) -> None:
    """Whether an output may be written.

    Raises:
        InputError: standard output is a terminal, or the file, or what is left of one that was not finished,
            is there, or is the source, or has no folder.
    """
    if name == STANDARD:
        if sys.stdout is None:
            raise InputError("output '-' is closed; it must be a pipe or a file")
        if os.isatty(1):
            raise InputError("output '-' is a terminal; it must be a pipe or a file")
        return
    try:
        _check_file(name, like, overwrite=overwrite)
    except InputError:
        raise
    except (OSError, ValueError) as error:  # such as a name that is too long, or has a null in it
        raise InputError(f"video {name!r} cannot be written: {_reason(error)}") from None


def _check_file(name: str, like: Reader | None, *, overwrite: bool) -> None:
    place, partial = pathlib.Path(name), partial_of(name)
    if like is not None and any(_same(mine, like.path) for mine in (place, partial)):
        raise InputError(f"output {name!r} is the input, or written over it; it must be another file")
    if place.exists() and not place.is_file():
        raise InputError(f"output {name!r} is no file; it must be a file, or - for standard output")
    if place.exists() and not overwrite:
        raise InputError(f"output {name!r} exists; allowed with --overwrite")
    if not place.parent.is_dir():
        raise InputError(f"video {name!r} cannot be written: {str(place.parent)!r} is no folder")
    if partial.exists() and not overwrite:
        raise InputError(
            f"output {name!r}: {str(partial)!r} is there, which a stream left that did not finish; "
            f"rename it to keep it, or give --overwrite"
        )


def _reason(error: Exception) -> object:
    return getattr(error, "strerror", None) or error


def _same(place: pathlib.Path, source: str) -> bool:
    return source != STANDARD and place.exists() and place.samefile(source)


def open_target(name: str) -> int:
    """A descriptor of the output, to write from its beginning.

    Raises:
        InputError: the place cannot be written to.
    """
    if name == STANDARD:
        sys.stdout.flush()  # what was printed before does not come in between
        return os.dup(1)
    try:
        return os.open(
            partial_of(name), os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666
        )
    except OSError as error:
        raise InputError(f"video {name!r} cannot be written: {error.strerror}") from None
