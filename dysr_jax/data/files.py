"""Files of a folder, before they are decoded: sizes from their headers, and which are the same.

The images of a folder, and what else lies there.
"""

import dataclasses
import hashlib
import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from dysr_jax.data.examples import listed, unusable
from dysr_jax.data.images import HEIC, check_pixels, open_image, read_image, readable
from dysr_jax.errors import InputError

Duplicates = Literal["error", "skip"]

_ORIENTATION: Final = 0x0112
_LYING: Final = 5
"""EXIF orientations from this one on swap rows and columns."""


class Failed(NamedTuple):
    """An image of a folder that was left out of the work."""

    path: pathlib.Path
    error: str
    """Why, in one line that names the file."""


def image_shape(path: pathlib.Path) -> tuple[int, int]:
    """Rows and columns that `read_image` will give, from the file's header where that says them.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        columns, rows, lying = _header(path)
    except Exception:  # of damaged files Pillow's plugins raise anything
        rows, columns = read_image(path).shape[:2]  # it says what is wrong
        return rows, columns
    return (columns, rows) if lying else (rows, columns)


def _header(path: pathlib.Path) -> tuple[int, int, bool]:
    """Columns, rows, and whether the image has to be turned to lie as it is seen."""
    with path.open("rb") as file:
        image = open_image(file, path.suffix)
        check_pixels(image.size)
        # Of a PNG, `getexif` would decode all to look for EXIF data behind the pixels; the size of a TIFF
        # is turned already.
        said = image.info.keys() & {"exif", "xmp", "Raw profile type exif"}
        plain = image.format == "TIFF" or (image.format == "PNG" and not said)
        lying = not plain and image.getexif().get(_ORIENTATION, 1) >= _LYING
        return *image.size, lying


def image_shapes(paths: Sequence[pathlib.Path]) -> list[tuple[int, int]]:
    """`image_shape` of many files.

    Raises:
        InputError: some cannot be read; names the first three and says how many.
    """
    shapes: list[tuple[int, int]] = []
    errors: list[tuple[str, InputError]] = []
    for path in paths:
        try:
            shapes.append(image_shape(path))
        except InputError as error:
            errors.append((path.name, error))
    if errors:
        raise unusable(errors, len(paths))
    return shapes


def later_copies(digests: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of names with the digest of their content: each that repeats an earlier one, and that one."""
    first: dict[str, str] = {}
    copies: dict[str, str] = {}
    for name, digest in digests:
        if first.setdefault(digest, name) != name:
            copies[name] = first[digest]
    return copies


def copies_error(copies: dict[str, str], where: str, option: str) -> InputError:
    """The first of the copies are named, all are counted."""
    named = listed([f"{name} = {first}" for name, first in copies.items()])
    return InputError(
        f"{where} holds duplicates, {len(copies)} in all: {named}; the same image may come to lie in "
        f"training and in validation ({option} skip leaves later copies out)"
    )


def distinct(paths: Sequence[pathlib.Path], duplicates: Duplicates) -> list[pathlib.Path]:
    """The files without those that repeat an earlier one byte for byte.

    Raises:
        InputError: there are some, and `duplicates` is not `skip`.
    """
    sizes = [path.stat().st_size for path in paths]
    shared = {size for size, count in Counter(sizes).items() if count > 1}
    suspects = [path for path, size in zip(paths, sizes, strict=True) if size in shared]
    copies = later_copies((path.name, _digest(path)) for path in suspects)
    if copies and duplicates == "error":
        raise copies_error(copies, f"folder {str(paths[0].parent)!r}", "data.duplicates")
    return [path for path in paths if path.name not in copies]


def _digest(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
