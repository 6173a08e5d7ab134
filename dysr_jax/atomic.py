"""Files that appear whole or not at all, and outputs that one command holds alone.

A file is written beside its place, then renamed. An object store such as `gs://` has no rename: a file is
copied, and the copy appears whole. A directory is copied file by file there: a kill leaves a part of it,
which the run rewrites.
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

_LONGEST: Final = 200  # bytes of a file name that leave room for a suffix; file systems take 255


def is_remote(path: epath.PathLike) -> bool:
    """Whether a path is remote, such as `gs://bucket/run`."""
    return "://" in os.fspath(path)


def beside(path: epath.PathLike, suffix: str) -> epath.Path:
    """A hidden path in the folder of `path`: its name, or a digest of a long one, with a suffix."""
    place = epath.Path(path)
    encoded = os.fsencode(place.name)
    name = place.name if len(encoded) <= _LONGEST else hashlib.sha256(encoded).hexdigest()
    return place.parent / f".{name}.{suffix}"


@contextlib.contextmanager
def naming(path: epath.PathLike) -> Iterator[None]:
    """Put the file's name into an error of the system, such as a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


@contextlib.contextmanager
def replacing(path: epath.PathLike) -> Iterator[epath.Path]:
    """Yield a path to write to; it becomes `path` on success and is removed after an exception."""
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
    """Like `replacing`, for a directory and all files written into it."""
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
    """Remove leftovers beside `target`; the old directory comes back where no new one replaced it."""
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
    """Hold an output, a file or a folder that need not exist, for the caller alone.

    The lock is a hidden file beside the output; the system releases it when the process ends. Without such
    locks (`gs://`, Windows, some network folders), or where nothing can be written, nothing is held. An
    InputError is raised where another command of this machine holds the output.
    """
    lock = pathlib.Path(beside(path if is_remote(path) else os.path.realpath(path), "lock"))
    descriptor = _locked(lock, os.fspath(path))
    try:
        yield
    finally:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                lock.unlink(missing_ok=True)  # before it is released: nobody waits for this file
            os.close(descriptor)


def _locked(lock: pathlib.Path, output: str) -> int | None:
    """Descriptor of the locked file; None where files cannot be made or locked."""
    while fcntl is not None and not is_remote(output):
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            held = f"output {output!r} is being written by another dysr command"
            raise InputError(f"{held}; wait for it, or name another output") from None
        except OSError:
            os.close(descriptor)
            return None
        with contextlib.suppress(OSError):
            if os.path.samestat(lock.stat(), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)  # its holder removed it between opening and locking
    return None
