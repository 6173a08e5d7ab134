"""A folder of files that nobody else can have written, because unpickling a foreign file runs its code.

Folder and file must belong to this user, be writable by nobody else, and be no symbolic links. What was
checked is what is read: files are opened first, beside the opened folder, and then looked at.
"""

import contextlib
import os
import pathlib
import stat
import threading
import time
from collections.abc import Iterator
from typing import Final

from dysr_jax.atomic import replacing

_STALE_SECONDS: Final = 3600  # A partial file of this age was left by a process that was killed

_writing = threading.Lock()
"""A process writes one file at a time: partial files have its number in their names, not the thread's."""


class ForeignFileError(OSError):
    """A file or folder that others may have written."""


@contextlib.contextmanager
def _folder(path: pathlib.Path) -> Iterator[int]:
    """A descriptor of the opened folder, which may be reached through a link but must not be one."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _check_owner(descriptor, path)
        yield descriptor
    finally:
        os.close(descriptor)


def _check_owner(descriptor: int, path: pathlib.Path) -> None:
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ForeignFileError(f"{str(path)!r} belongs to others, or others may write to it")


def _check_system() -> None:
    if not hasattr(os, "geteuid"):
        raise ForeignFileError("this system does not record who wrote a file")


def read_private(path: pathlib.Path) -> bytes:
    """The content of a file, used now; an OSError where it, or its folder, may be foreign, or is a link."""
    _check_system()
    with _folder(path.parent) as folder:
        # Opening a pipe without NONBLOCK would wait for its other end.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(path.name, flags, dir_fd=folder), "rb") as file:
            _check_owner(file.fileno(), path)
            with contextlib.suppress(OSError):  # a disk that is read only
                os.utime(file.fileno())
            return file.read()


def write_private(path: pathlib.Path, content: bytes) -> None:
    """Write a file, whole or not at all, and its folder; an OSError where that fails, or it is foreign."""
    _check_system()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _writing, _folder(path.parent), replacing(path) as partial:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
            file.write(content)


def trim(folder: pathlib.Path, suffix: str, limit: int) -> None:
    """Remove the files with `suffix` that were unused for longest, until the rest has `limit` bytes.

    Partial files that a kill left go too. Raises `OSError` where one cannot be removed.
    """
    with _folder(folder):
        files = {path: path.lstat() for path in folder.iterdir() if not path.is_dir()}
    total = 0
    for path in sorted(files, key=lambda path: files[path].st_mtime_ns, reverse=True):
        if path.suffix == suffix:
            total += files[path].st_size
        old = files[path].st_mtime < time.time() - _STALE_SECONDS
        if (path.suffix == suffix and total > limit) or (path.suffix == ".partial" and old):
            path.unlink(missing_ok=True)
