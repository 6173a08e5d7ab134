"""Files of a folder, before they are decoded: sizes from their headers, and which are the same."""

import hashlib
import pathlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from dysr_jax.data.examples import listed, unusable
from dysr_jax.data.formats import check_pixels, open_image
from dysr_jax.data.images import read_image
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
