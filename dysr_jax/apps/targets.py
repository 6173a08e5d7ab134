"""Where upscaled images are written: names that fit, that are images' and that are each one's own."""

import os
import pathlib
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from dysr_jax.data import is_folder, path_exists
from dysr_jax.data.images import check_image_suffix, writable_suffixes
from dysr_jax.errors import InputError

_LONGEST_NAME: Final = 255
"""Bytes, where the file system does not say."""


class Task(NamedTuple):
    """An image, and where its upscaled one goes."""

    read: pathlib.Path
    write: pathlib.Path


def one_task(source: pathlib.Path, target: pathlib.Path | None, scale: int) -> Task:
    """For one image: `photo_x4.png` for `photo.jpg`, the target, or in the target under its own name.

    Raises:
        InputError: a target that is the source, that no image can be written to, or in no folder.
    """
    if target is None:
        write = _named(source.parent, source.stem, f"_x{scale}.png")
    else:
        write = target / _own_name(source) if is_folder(target) else target
    check_image_suffix(write)
    if os.path.realpath(write) == os.path.realpath(source):
        raise InputError(f"output {str(write)!r} is the input; allowed is another file")
    if not is_folder(write.parent):
        raise InputError(f"image {str(write)!r} cannot be written: {str(write.parent)!r} is no folder")
    longest = _longest_name(write.parent)
    if len(os.fsencode(write.name)) > longest:
        raise InputError(
            f"image {str(write)!r} cannot be written: its name must be at most {longest} bytes long"
        )
    return Task(source, write)


def tasks_of_folder(
    images: Sequence[pathlib.Path], source: pathlib.Path, target: pathlib.Path | None, scale: int
) -> tuple[pathlib.Path, list[Task]]:
    """The folder of the outputs (`photos_x4` for `photos` without a target) and what goes into it.

    An image keeps its name where its format can be written, else it becomes a PNG; of two that would have
    one name the converted one keeps its suffix too: `a.gif.png` beside `a.png`.

    Raises:
        InputError: a target that is a file, or the source.
    """
    named = source if source.name not in ("", "..") else source.resolve()
    place = target or _named(named.parent, named.name, f"_x{scale}")
    if path_exists(place) and not is_folder(place):
        raise InputError(f"output {str(place)!r} is a file; for a folder of images a folder is allowed")
    if os.path.realpath(place) == os.path.realpath(source):
        raise InputError(f"output {str(place)!r} is the input folder; allowed is another one")
    wanted = Counter(_own_name(image) for image in images)
    taken = {image.name for image in images}
    tasks = []
    for image in images:
        name = _own_name(image)
        if name != image.name and (name in taken or wanted[name] > 1):
            name = _unused(image.name, place, taken)
        taken.add(name)
        tasks.append(Task(image, place / name))
    return place, tasks


def _own_name(image: pathlib.Path) -> str:
    """The name of an image; as a PNG where its format is none that is written."""
    return image.name if image.suffix.lower() in writable_suffixes() else f"{image.stem}.png"


def _unused(name: str, place: pathlib.Path, taken: set[str]) -> str:
    """`a.gif.png`, or with a number where that is taken."""
    number = 1
    while True:
        found = _named(place, name, ".png" if number == 1 else f"_{number}.png").name
        if found not in taken:
            return found
        number += 1


def _named(folder: pathlib.Path, stem: str, ending: str) -> pathlib.Path:
    """A file of this name; the stem is cut where the file system takes no name as long."""
    longest = _longest_name(folder)
    while stem and len(os.fsencode(stem + ending)) > longest:
        stem = stem[:-1]
    return folder / f"{stem}{ending}"


def _longest_name(folder: pathlib.Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):  # it does not exist yet; Windows
        return _LONGEST_NAME
