"""Standard output and error that end no work: closed, full, or of a locale that lacks a name's letters.

Who closes a pipe (`dysr upscale in out | head -n1`) wants to read no more: what is printed from then on goes
nowhere, and the command goes on to its end. Output that is refused in another way, as by a full disk, goes
nowhere too, and is told when the work is done.
"""

import contextlib
import io
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class Output(io.TextIOBase):
    """A text stream whose failures are kept instead of raised; see `output`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: Exception | None = None
        """The first failure."""

    @property
    def refused(self) -> OSError | None:
        """Why output was lost that somebody still wants; None where it was not, or the reader has left."""
        error = self.error
        gone = isinstance(error, (BrokenPipeError, ConnectionResetError))
        return error if isinstance(error, OSError) and not gone else None

    def write(self, text: str) -> int:
        """Print, or lose, the text."""
        with self._kept():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand on what is buffered."""
        with self._kept():
            self._stream.flush()

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # ValueError: somebody closed the stream
            if self.error is None:
                self.error = error
                self._divert()

    def _divert(self) -> None:
        """Lead the descriptor nowhere: what the stream holds back would fail again at its end."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def isatty(self) -> bool:
        """Whether it is a terminal's; one that is gone is none."""
        return self.error is None and self._stream.isatty()

    def fileno(self) -> int:
        """The stream's."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's."""
        return self._stream.encoding

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def output() -> Iterator[Output]:
    """Replace `sys.stdout` and `sys.stderr`; yields the former."""
    _occupy()
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as opened:
        out, err = (Output(opened.enter_context(_printable(stream))) for stream in before)
        sys.stdout, sys.stderr = out, err
        try:
            yield out
        finally:
            out.flush()
            err.flush()
            sys.stdout, sys.stderr = before


def _occupy() -> None:
    """Open the standard descriptors that the caller closed: the next file would become one of them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


@contextlib.contextmanager
def _printable(stream: TextIO | None) -> Iterator[TextIO]:
    """The stream, in which letters that its encoding lacks are escaped; Python's None leads nowhere."""
    if stream is None:
        with pathlib.Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            yield nowhere
    elif isinstance(stream, io.TextIOWrapper):
        errors = stream.errors
        with contextlib.suppress(OSError, ValueError):  # it is closed: writing to it says so again
            stream.reconfigure(errors="backslashreplace")
        try:
            yield stream
        finally:
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors=errors)
    else:
        yield stream
