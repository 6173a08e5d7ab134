"""Standard output and error that never end a command's work, whatever happens to them.

A reader that closes a pipe (`dysr upscale in out | head -n1`) wants no more lines: later ones are dropped.
Output refused for another reason, such as a full disk, is dropped too and reported when the work is done.
Letters that the terminal's encoding lacks are escaped.
"""

import contextlib
import io
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any, TextIO


class Output(io.TextIOBase):
    """A text stream that keeps its first failure instead of raising it; see `output`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: Exception | None = None

    @property
    def refused(self) -> OSError | None:
        """Why wanted output was lost; None where none was, or the reader has closed the pipe."""
        error = self.error
        gone = isinstance(error, (BrokenPipeError, ConnectionResetError))
        return error if isinstance(error, OSError) and not gone else None

    def write(self, text: str) -> int:
        """Print the text, or drop it after a failure."""
        with self._kept():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
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
        """Point the descriptor at the null device: buffered text would fail again when the stream closes."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def isatty(self) -> bool:
        """Whether a terminal is there to read it."""
        return self.error is None and self._stream.isatty()

    def fileno(self) -> int:
        """The stream's descriptor."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's encoding."""
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
    """Open standard descriptors that the caller closed: the next opened file would become one of them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


@contextlib.contextmanager
def _printable(stream: TextIO | None) -> Iterator[TextIO]:
    """The stream, escaping letters that its encoding lacks; None becomes the null device."""
    if stream is None:
        with pathlib.Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            yield nowhere
    elif isinstance(stream, io.TextIOWrapper):
        errors = stream.errors
        with contextlib.suppress(OSError, ValueError):  # closed: writing to it fails again
            stream.reconfigure(errors="backslashreplace")
        try:
            yield stream
        finally:
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors=errors)
    else:
        yield stream
