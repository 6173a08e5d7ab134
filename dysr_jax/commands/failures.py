"""What a failed command prints and returns: one line and an exit code, unless the program is at fault."""

import contextlib
import errno
import os
import pathlib
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from dysr_jax.errors import InputError, LostProcessError, first_line


class Failure(NamedTuple):
    """The line that a failed command prints, and its exit code."""

    line: str
    code: int
    """2 for bad input, 1 for what the machine refuses."""


_NO_MEMORY: Final = re.compile(
    r"RESOURCE_EXHAUSTED|OUT_OF_MEMORY|out of memory|bad_alloc|failed to allocate", re.IGNORECASE
)
_DISK: Final = re.compile(
    r"No space left on device|Disk quota exceeded|File too large|Read-only file system|"
    r"Permission denied|Too many open files|Input/output error"
)
"""Errors of the system that tensorstore wraps in its own."""

_LESS: Final = {
    "search": "a smaller train.batch, search.population, search.patches or data.pool_share",
    "upscale": "a smaller image or member",
    "eval": "smaller images, or fewer members",
    "stream": "a smaller video, fewer members, or --budget-mb",
}


def describe(error: BaseException, command: str = "") -> Failure | None:
    """The failure that an error means to the user; None for a fault of the program.

    `command` is its first word, which decides what is suggested where memory is short.
    """
    text, of_runtime = str(error), isinstance(error, (RuntimeError, ValueError))
    if isinstance(error, (InputError, LostProcessError)):
        return Failure(text, 2 if isinstance(error, InputError) else 1)
    if of_runtime and (reason := _DISK.search(text)):
        name = re.search(r"[\"']([^\"'\n]*/[^\"'\n]*)[\"']", text)  # the first file that it quotes
        return Failure((f"{name[1]!r}: " if name else "") + reason[0], 1)
    if isinstance(error, MemoryError) or (of_runtime and _NO_MEMORY.search(text)):
        return Failure(f"not enough memory; try {_LESS.get(command, 'less work at once')}", 1)
    if isinstance(error, OSError):
        return Failure(_system(error), 1)
    if isinstance(error, (RuntimeError, AssertionError)) and (missing := _platform(error)):
        return missing
    if isinstance(error, RuntimeError) and "can't start new thread" in text:
        return Failure("the system starts no more threads (see ulimit -u)", 1)
    return None


def _system(error: OSError) -> str:
    names = [os.fsdecode(n) for n in (error.filename, error.filename2) if isinstance(n, (str, bytes))]
    reason = error.strerror or first_line(error)
    if not names and error.errno == errno.ENOENT:
        try:
            pathlib.Path.cwd()
        except OSError:
            return "the current folder is gone; start from another one"
    return f"{' to '.join(map(repr, names))}: {reason}" if names else reason


@contextlib.contextmanager
def quiet_threads() -> Iterator[None]:
    """Keep threads of libraries from printing a traceback of what `describe` puts in a line."""
    before = threading.excepthook, sys.excepthook

    def in_thread(told: Any) -> None:
        if told.exc_value and (failure := describe(told.exc_value)):
            print(f"dysr: error: {failure.line}", file=sys.stderr)
        else:
            before[0](told)

    def in_callback(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        # After a failed write of Orbax tensorstore reports its closed loop; NumPy's import replaces the rest.
        if str(error) != "Event loop is closed" and issubclass(kind, Exception):
            before[1](kind, error, trace)

    threading.excepthook, sys.excepthook = in_thread, in_callback
    try:
        yield
    finally:
        threading.excepthook, sys.excepthook = before


def _platform(error: BaseException) -> Failure | None:
    """The failure of a device that JAX does not find; None where it finds what it was told to use."""
    jax = sys.modules.get("jax")
    if jax is None:
        return None
    asked = jax.config.jax_platforms or "the default"
    try:
        jax.devices()
        return None
    except (RuntimeError, AssertionError):
        found = _platforms_found(jax)
    told = first_line(error).partition(" (set JAX_PLATFORMS")[0] if str(error) else ""
    reason = f" ({told.partition(': ')[2] or told})" if told else ""
    return Failure(f"JAX_PLATFORMS {asked!r}: JAX finds no such device{reason}; must be one of {found}", 2)


def _platforms_found(jax: Any) -> str:
    asked = jax.config.jax_platforms
    jax.config.update("jax_platforms", "")
    try:
        return ", ".join(sorted({device.platform for device in jax.devices()}))
    except (RuntimeError, AssertionError):
        return "none"
    finally:
        jax.config.update("jax_platforms", asked)
