"""Image files and folders of them through a bundle's members."""

import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dysr_jax.data.images import (
    OPAQUE,
    check_size,
    check_suffix,
    list_images,
    read_picture,
    write_image,
)
from dysr_jax.errors import InputError
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.bundle import Bundle
from dysr_jax.runtime.images import KEPT, upscale_image
from dysr_jax.runtime.tiles import cut_for


class Written(NamedTuple):
    """A file that was written."""

    path: pathlib.Path
    notes: tuple[str, ...]
    """What the source has and this file has not, a sentence each."""


def _beside(source: pathlib.Path, scale: int) -> pathlib.Path:
    """`photo_x4.png` for `photo.jpg`, and a folder `photos_x4` for `photos`."""
    place = source if source.name not in ("", "..") else source.resolve()
    return place.with_name(
        f"{place.stem}_x{scale}.png" if not place.is_dir() else f"{place.name}_x{scale}"
    )


def _one(source: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """Where the output of one image is written."""
    write = target / source.name if target.is_dir() else target
    check_suffix(write)
    if write.resolve() == source.resolve():
        raise InputError(f"output {str(write)!r} is the input; allowed is another file")
    if not write.parent.is_dir():
        raise InputError(
            f"image {str(write)!r} cannot be written: {str(write.parent)!r} is no folder"
        )
    return write


def _many(source: pathlib.Path, target: pathlib.Path) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """What is read and where it is written, for a folder."""
    if target.is_file():
        raise InputError(
            f"output {str(target)!r} is a file; for a folder of images a folder is allowed"
        )
    if target.resolve() == source.resolve():
        raise InputError(f"output {str(target)!r} is the input folder; allowed is another one")
    return [(file, target / file.name) for file in list_images(source)]


def _pairs(
    source: pathlib.Path, target: pathlib.Path, *, overwrite: bool, skip_existing: bool
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """What is read and where it is written; files that are there already are refused, or left out."""
    pairs = _many(source, target) if source.is_dir() else [(source, _one(source, target))]
    there = [write for _, write in pairs if write.exists()]
    if there and not (overwrite or skip_existing):
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise InputError(
            f"output {str(there[0])!r}{more} exists; allowed with --overwrite or --skip-existing"
        )
    return [(read, write) for read, write in pairs if not (skip_existing and write.exists())]


def upscale_files(
    bundle: Bundle,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    member: str | None = None,
    *,
    overwrite: bool = False,
    skip_existing: bool = False,
    progress: bool = False,
) -> Iterator[Written]:
    """Upscale an image file, or every image of a folder into a folder; yields each file written.

    Grey stays grey, transparency and ICC profiles are kept where the format of the output holds them.

    Args:
        bundle: the members.
        source: a file, or a folder.
        target: a file, or a folder; without it `NAME_x4.png`, or a folder `NAME_x4`, beside the source.
        member: a member's name, `fastest` or `best` (the default).
        overwrite: replace files that are there.
        skip_existing: leave files that are there as they are, so that an interrupted folder goes on.
        progress: draw a bar on stderr.

    Raises:
        InputError: no such member, a missing file or folder, a file that is no image, a target that
            exists or cannot be written. Of a folder, all files are looked at before the first is written.
    """
    bank, name = Bank(bundle, keep=KEPT), bundle.member(member).name
    source, scale = pathlib.Path(source), bundle.space.scale
    if not source.exists():
        raise InputError(f"image {str(source)!r} does not exist")
    place = _beside(source, scale) if target is None else pathlib.Path(target)
    pairs = _pairs(source, place, overwrite=overwrite, skip_existing=skip_existing)
    for read, write in pairs:
        rows, columns = read_picture(read).pixels.shape[:2]
        check_size(write, (rows * scale, columns * scale))
    if source.is_dir():
        _make_folder(place)
    for read, write in pairs:
        picture = read_picture(read)
        output = upscale_image(bank, picture.pixels, name, progress=progress)
        write_image(write, output, profile=picture.profile)
        notes = (*_lost(picture.pixels, write), *_approximated(bank, picture.pixels, name))
        yield Written(write, (*picture.notes, *notes))


def _make_folder(place: pathlib.Path) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output {str(place)!r} cannot be made: {error.strerror}") from None


def _lost(pixels: np.ndarray, write: pathlib.Path) -> tuple[str, ...]:
    """What of the pixels the format of the output cannot hold."""
    if pixels.shape[2] in (2, 4) and write.suffix.lower() in OPAQUE:
        return (f"its transparency is laid on white, because {write.suffix} holds none",)
    return ()


def _approximated(bank: Bank, pixels: np.ndarray, member: str) -> tuple[str, ...]:
    """What is not as in the whole image at once."""
    shape = pixels.shape[0], pixels.shape[1]
    cut = cut_for(bank, shape, member)
    if not cut.fade or cut.tile == shape:
        return ()
    rows, columns = cut.tile
    return (
        f"{member} weighs its channels by their means over the image; in one this large they are means "
        f"over tiles of {columns}x{rows}",
    )
