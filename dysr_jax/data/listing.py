"""The image files of a folder before any is decoded: which they are, how large, and which repeat others."""

import dataclasses
import hashlib
import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from dysr_jax.data.examples import map_images, quote_first
from dysr_jax.data.images import HEIC_SUFFIXES, check_pixel_count, open_image, read_image, readable_suffixes
from dysr_jax.errors import InputError

Duplicates = Literal["error", "skip"]
"""What to do with an image that repeats an earlier one."""

_SHOWN: Final = 6  # suffixes that a note names
_ORIENTATION: Final = 0x0112
_LYING: Final = 5  # EXIF orientations from this one on swap rows and columns


class FailedImage(NamedTuple):
    """An image that was left out of the work, and why, in one line that names the file."""

    path: pathlib.Path
    error: str


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a folder holds; folders below it are not looked into, and hidden files do not count."""

    images: tuple[pathlib.Path, ...]  # sorted by name
    left: Counter[str]  # number of files that are no images here, by suffix

    @property
    def note(self) -> str:
        """A line on what is left out; empty where nothing is."""
        if not self.left:
            return ""
        counted = self.left.most_common()
        kinds = [f"{n} {kind}{'s' if n > 1 and not kind.startswith('.') else ''}" for kind, n in counted]
        more = [f"{len(kinds) - _SHOWN} other kinds"] if len(kinds) > _SHOWN else []
        heic = not self.left.keys().isdisjoint(HEIC_SUFFIXES)
        hint = " (HEIC needs pillow-heif: pip install 'dysr_jax[heic]')" if heic else ""
        return f"left out: {', '.join(kinds[:_SHOWN] + more)}{hint}"


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is there; `Path.is_dir` of Python 3.11 raises for names that are too long."""
    return os.path.isdir(path)  # noqa: PTH112


def path_exists(path: str | os.PathLike[str]) -> bool:
    """Whether anything is there, also a broken link; names that are too long do not raise."""
    return os.path.lexists(path)


def list_folder(folder: str | os.PathLike[str]) -> Listing:
    """What a folder holds. Names that begin with a dot are hidden, those of macOS's `._a.png` too."""
    place = pathlib.Path(folder)
    if not is_folder(place):
        raise InputError(f"folder {os.fspath(folder)!r} does not exist")
    try:
        entries = sorted(path for path in place.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"folder {os.fspath(folder)!r} cannot be read: {error.strerror}") from None
    images, left = [], Counter[str]()
    for path in entries:
        suffix = path.suffix.lower()
        if not path.is_file():
            left["folder" if path.is_dir() else "special file"] += 1  # a pipe, a device, a link to nothing
        elif suffix in readable_suffixes():
            images.append(path)
        else:
            left[suffix or "file"] += 1
    return Listing(tuple(images), left)


def list_images(folder: str | os.PathLike[str]) -> Listing:
    """What a folder holds; an `InputError` where it is missing, cannot be read, or holds no image."""
    found = list_folder(folder)
    if not found.images:
        what = "holds no .png, .jpg, .tif or other image file" + (f" ({found.note})" if found.note else "")
        raise InputError(f"folder {os.fspath(folder)!r} {what}")
    return found


def image_shape(path: pathlib.Path) -> tuple[int, int]:
    """Rows and columns that `read_image` will give, from the file's header where that says them."""
    try:
        with path.open("rb") as file:
            image = open_image(file, path.suffix)
            check_pixel_count(image.size)
            # Of a PNG, `getexif` would decode all to look for EXIF; the size of a TIFF is turned already.
            said = image.info.keys() & {"exif", "xmp", "Raw profile type exif"}
            plain = image.format == "TIFF" or (image.format == "PNG" and not said)
            columns, rows = image.size
            lying = not plain and image.getexif().get(_ORIENTATION, 1) >= _LYING
            return (columns, rows) if lying else (rows, columns)
    except Exception:  # of damaged files Pillow's plugins raise anything
        rows, columns = read_image(path).shape[:2]  # it says what is wrong
        return rows, columns


def image_shapes(paths: Sequence[pathlib.Path]) -> list[tuple[int, int]]:
    """`image_shape` of many files; one `InputError` names those that cannot be read."""
    return map_images(image_shape, [path.name for path in paths], paths)


def find_duplicates(
    digests: Iterable[tuple[str, str]], duplicates: Duplicates, where: str, option: str
) -> set[str]:
    """The names whose digest repeats that of an earlier one; an `InputError` unless they are skipped."""
    first: dict[str, str] = {}
    copies = {name: first[digest] for name, digest in digests if first.setdefault(digest, name) != name}
    if copies and duplicates == "error":
        named = quote_first([f"{name} = {original}" for name, original in copies.items()])
        why = "the same image may come to lie in training and in validation"
        hint = f"({option} skip leaves later copies out)"
        raise InputError(f"{where} holds duplicates, {len(copies)} in all: {named}; {why} {hint}")
    return set(copies)


def distinct_files(paths: Sequence[pathlib.Path], duplicates: Duplicates) -> list[pathlib.Path]:
    """The files without those that repeat an earlier one byte for byte, which may be an `InputError`."""
    sizes = [path.stat().st_size for path in paths]
    shared = {size for size, count in Counter(sizes).items() if count > 1}
    suspects = [path for path, size in zip(paths, sizes, strict=True) if size in shared]
    digests = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in suspects]
    copies = find_duplicates(digests, duplicates, f"folder {str(paths[0].parent)!r}", "data.duplicates")
    return [path for path in paths if path.name not in copies]
