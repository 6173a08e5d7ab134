"""One command per output: a second one that wants the same place is refused, and the first goes on."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from etils import epath

from dysr_jax.atomic import beside, is_remote
from dysr_jax.errors import InputError

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
