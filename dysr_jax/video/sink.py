"""Where the bytes of a video go: a file that only grows, or standard output.

A muxer goes back at the end, to write sizes and an index into the head of the file. Such patches wait until
all else is written. So at any moment, after a kill and on a full disk too, a file is the whole beginning of
a stream, which plays.
"""

import os
from collections.abc import Callable

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
