"""Paths of upscaled images: names that fit the file system, that an image can have, and that differ."""

import itertools
import os
import pathlib
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from dysr_jax.data import is_folder, path_exists
from dysr_jax.data.images import check_image_suffix, writable_suffixes
from dysr_jax.errors import InputError

_DEFAULT_NAME_BYTES: Final = 255  # at most, if the file system does not say


class Task(NamedTuple):
    """An image to read, and where its upscaled one is written."""

    read: pathlib.Path
    write: pathlib.Path


def image_task(source: pathlib.Path, target: pathlib.Path | None, scale: int) -> Task:
    """The task of one image: to `target`, into the folder `target`, or to `photo_x4.png` for `photo.jpg`.

    A target that is the source, that no image can be written to, or in no folder is an InputError.
    """
    if target is None:
        write = _shortened(source.parent, source.stem, f"_x{scale}.png")
    else:
        write = target / _own_name(source) if is_folder(target) else target
    check_image_suffix(write)
    if os.path.realpath(write) == os.path.realpath(source):
        raise InputError(f"output {str(write)!r} is the input; it must be another file")
    if not is_folder(write.parent):
        raise InputError(f"image {str(write)!r} cannot be written: {str(write.parent)!r} is no folder")
    if len(os.fsencode(write.name)) > (longest := _longest_name(write.parent)):
        why = f"its name must be at most {longest} bytes long"
        raise InputError(f"image {str(write)!r} cannot be written: {why}")
    return Task(source, write)


def folder_tasks(
    images: Sequence[pathlib.Path], source: pathlib.Path, target: pathlib.Path | None, scale: int
) -> tuple[pathlib.Path, list[Task]]:
    """The folder of the outputs (`photos_x4` for `photos` without a target) and the tasks of its images.

    An image keeps its name if its format can be written, else it becomes a PNG; if that name is taken, it is
    `a.gif.png` beside `a.png`. A target that is a file, or the source, is an InputError.
    """
    named = source if source.name not in ("", "..") else source.resolve()
    folder = target or _shortened(named.parent, named.name, f"_x{scale}")
    if path_exists(folder) and not is_folder(folder):
        raise InputError(f"output {str(folder)!r} is a file; for a folder of images it must be a folder")
    if os.path.realpath(folder) == os.path.realpath(source):
        raise InputError(f"output {str(folder)!r} is the input folder; it must be another one")
    wanted = Counter(_own_name(image) for image in images)
    taken = {image.name for image in images}
    tasks = []
    for image in images:
        name = _own_name(image)
        if name != image.name and (name in taken or wanted[name] > 1):
            name = _unused(image.name, folder, taken)
        taken.add(name)
        tasks.append(Task(image, folder / name))
    return folder, tasks


def _own_name(image: pathlib.Path) -> str:
    return image.name if image.suffix.lower() in writable_suffixes() else f"{image.stem}.png"


def _unused(name: str, folder: pathlib.Path, taken: set[str]) -> str:
    """`a.gif.png`, or `a.gif_2.png` and so on if that is taken."""
    endings = itertools.chain([".png"], (f"_{number}.png" for number in itertools.count(2)))
    names = (_shortened(folder, name, ending).name for ending in endings)
    return next(found for found in names if found not in taken)


def _shortened(folder: pathlib.Path, stem: str, ending: str) -> pathlib.Path:
    """The file of this name, its stem cut to what the file system takes."""
    longest = _longest_name(folder)
    while stem and len(os.fsencode(stem + ending)) > longest:
        stem = stem[:-1]
    return folder / f"{stem}{ending}"


def _longest_name(folder: pathlib.Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):  # it does not exist yet; Windows
        return _DEFAULT_NAME_BYTES
