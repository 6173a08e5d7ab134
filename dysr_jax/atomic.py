"""Files that appear whole or not at all: written beside their place, then renamed.

An object store such as `gs://` has no rename: a file is copied there, and the copy appears whole. A directory
is copied file by file, so a kill in that moment leaves a part of it; the run writes it again.

One command per output: a second one that wants the same place is refused, and the first goes on.
"""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any, Final

from etils import epath

from dysr_jax.errors import InputError

_LONGEST: Final = 200
"""Bytes of a name that leave room for a suffix; file systems take 255."""


def is_remote(path: epath.PathLike) -> bool:
    """Whether a path is a place such as `gs://bucket/run` and not a file of this machine."""
    return "://" in os.fspath(path)


def beside(path: epath.PathLike, suffix: str) -> epath.Path:
    """A hidden name in the folder of `path`: its own with a suffix, or a digest where it is too long."""
    place = epath.Path(path)
    encoded = os.fsencode(place.name)
    name = place.name if len(encoded) <= _LONGEST else hashlib.sha256(encoded).hexdigest()
    return place.parent / f".{name}.{suffix}"


@contextlib.contextmanager
def naming(path: epath.PathLike) -> Iterator[None]:
    """A refusal of the system to write, such as a full disk, names the file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


@contextlib.contextmanager
def replacing(path: epath.PathLike) -> Iterator[epath.Path]:
    """Yield a path to write to; on success it becomes `path`, after an exception it is removed."""
    target = epath.Path(path)
    partial = beside(target, f"{os.getpid()}.partial")
    try:
        with naming(target):
            yield partial
            partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_directory(path: epath.PathLike) -> Iterator[epath.Path]:
    """Like `replacing`, for a directory and all that is written into it."""
    target = epath.Path(path)
    partial, old = beside(target, "partial"), beside(target, "old")
    _tidy(target, partial, old)  # what a kill left
    partial.mkdir()
    try:
        yield partial
        if target.exists():
            target.rename(old)
        partial.rename(target)
    finally:
        _tidy(target, partial, old)


def _tidy(target: epath.Path, partial: epath.Path, old: epath.Path) -> None:
    """Remove what is left beside `target`; the old directory comes back where no new one came."""
    if old.exists() and not target.exists():
        old.rename(target)
    for leftover in (partial, old):
        if leftover.exists():
            leftover.rmtree()


def write_json(path: epath.PathLike, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n")


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def exclusive(path: epath.PathLike) -> Iterator[None]:
    """Hold an output, a file or a folder, for the caller alone.

    The system lets go of it when the process ends, however it ends. The lock is a hidden file beside the
    output, which is removed at the end. Where there are no such locks (`gs://`, Windows, some network
    folders) or the folder cannot be written to, nothing is held.

    Args:
        path: of the output, which need not exist.

    Raises:
        InputError: another command holds it, in this process or in another one of this machine.
    """
    if fcntl is None or is_remote(path):
        yield
        return
    place = pathlib.Path(os.path.realpath(path))
    lock = pathlib.Path(beside(place, "lock"))
    descriptor = _locked(lock, os.fspath(path))
    if descriptor is None:
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink(missing_ok=True)  # before it is let go of: nobody waits for this file
        os.close(descriptor)


def _locked(lock: pathlib.Path, output: str) -> int | None:
    """The descriptor of the locked file; None where files cannot be made or locked."""
    while True:
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise InputError(
                f"output {output!r} is being written by another dysr command; wait for it, or name "
                f"another output"
            ) from None
        except OSError:
            os.close(descriptor)
            return None
        if _is_there(lock, descriptor):
            return descriptor
        os.close(descriptor)  # its holder removed it between opening and locking


def _is_there(lock: pathlib.Path, descriptor: int) -> bool:
    """Whether the path still leads to the opened file."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(descriptor))
    except OSError:
        return False
