"""The images of a folder, and what else lies there."""

import dataclasses
import os
import pathlib
from collections import Counter
from typing import Final

from dysr_jax.data.formats import HEIC, readable
from dysr_jax.errors import InputError

_SHOWN: Final = 6
"""Suffixes that are named."""


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a folder holds, folders below it not looked into."""

    images: tuple[pathlib.Path, ...]
    """Sorted by name."""
    left: Counter[str]
    """Files that are no images here, by suffix; hidden ones do not count."""

    @property
    def note(self) -> str:
        """A line on what is left out; empty where nothing is."""
        if not self.left:
            return ""
        kinds = [_counted(kind, count) for kind, count in self.left.most_common()]
        more = [f"{len(kinds) - _SHOWN} other kinds"] if len(kinds) > _SHOWN else []
        heic = any(suffix in HEIC for suffix in self.left)
        hint = " (HEIC needs pillow-heif: pip install 'dysr_jax[heic]')" if heic else ""
        return f"left out: {', '.join(kinds[:_SHOWN] + more)}{hint}"


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is there; `Path.is_dir` of Python 3.11 raises for names that are too long."""
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether there is anything, a broken link too; likewise."""
    return os.path.lexists(path)


def list_folder(folder: str | os.PathLike[str]) -> Listing:
    """Look through a folder. Names that begin with a dot are hidden, those of macOS's `._a.png` too.

    Raises:
        InputError: no such folder, or one that cannot be read.
    """
    place = pathlib.Path(folder)
    if not is_folder(place):
        raise InputError(f"folder {os.fspath(folder)!r} does not exist")
    try:
        entries = sorted(path for path in place.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"folder {os.fspath(folder)!r} cannot be read: {error.strerror}") from None
    images = [path for path in entries if _suffix(path) in readable() and path.is_file()]
    taken = set(images)
    left = Counter(_kind(path) for path in entries if path not in taken)
    return Listing(tuple(images), left)


def list_images(folder: str | os.PathLike[str]) -> list[pathlib.Path]:
    """The image files in a folder (not in folders below it), sorted by name; hidden ones are none.

    Raises:
        InputError: no such folder, or none of its files has a suffix of an image.
    """
    found = list_folder(folder)
    if not found.images:
        raise no_images(folder, found)
    return list(found.images)


def no_images(folder: str | os.PathLike[str], found: Listing) -> InputError:
    """That a folder holds none, and what it holds."""
    return InputError(
        f"folder {os.fspath(folder)!r} holds no .png, .jpg, .tif or other image file"
        f"{f' ({found.note})' if found.note else ''}"
    )


def _suffix(path: pathlib.Path) -> str:
    return path.suffix.lower()


def _kind(path: pathlib.Path) -> str:
    if path.is_dir():
        return "folder"
    if not path.is_file():
        return "special file"  # a pipe, a device, a link to nothing
    return _suffix(path) or "file"


def _counted(kind: str, count: int) -> str:
    plural = count > 1 and not kind.startswith(".")
    return f"{count} {kind}{'s' if plural else ''}"
