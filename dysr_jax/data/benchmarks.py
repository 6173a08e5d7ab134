"""Sets of HR images to measure on, with the LR images that ship with them or without.

Three layouts are known: a folder of HR images; one with a folder `HR` and, for scale s, `LR_bicubic_xS` or
`LR_bicubic/XS`; HR and LR images in two folders of any name. Files are paired by name (`data.pairing`).
"""

import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from dysr_jax.data.examples import unusable
from dysr_jax.data.files import Failed, image_shape, is_folder, list_folder, list_images, no_images
from dysr_jax.data.folders import pair_files
from dysr_jax.errors import InputError

HR: Final = "HR"
LR_LAYOUTS: Final = ("LR_bicubic_x{}", "LR_bicubic/X{}")
"""Folders beside `HR` with the LR images of a scale."""

SSIM_WINDOW: Final = 11


class Images(NamedTuple):
    """Files of one scene."""

    hr: pathlib.Path
    lr: pathlib.Path | None
    """None: it is generated from the HR image."""
    lr_shape: tuple[int, int]
    """Rows and columns."""


class BenchmarkSet(NamedTuple):
    """A set, looked through: every LR image has its HR image, of the right size."""

    name: str
    images: tuple[Images, ...]
    failed: tuple[Failed, ...] = ()
    """Images that cannot be read."""
    note: str = ""
    """What the folder of HR images holds that is no image; empty where there is nothing."""

    @property
    def lr(self) -> Literal["given", "generated"]:
        """Where the LR images come from."""
        return "generated" if self.images[0].lr is None else "given"


def find_set(
    folder: str | os.PathLike[str], scale: int, lr: str | os.PathLike[str] | None = None
) -> BenchmarkSet:
    """Find the images of a set, and read their sizes.

    Args:
        folder: HR images, or a folder as benchmark sets ship.
        scale: of the LR images.
        lr: folder of LR images, if it is not beside the HR ones.

    Raises:
        InputError: a missing or empty folder, no image that can be read, images that are too small, LR and
            HR files that do not pair by name or size.
    """
    place = pathlib.Path(folder)
    inside = is_folder(place / HR)
    listing = list_folder(place / HR if inside else place)
    if not listing.images:
        raise no_images(place / HR if inside else place, listing)
    hr = list(listing.images)
    known = [place / layout.format(scale) for layout in LR_LAYOUTS] if inside else []
    small = pathlib.Path(lr) if lr else next((path for path in known if is_folder(path)), None)
    files: Iterable[tuple[pathlib.Path, pathlib.Path | None]] = ((path, None) for path in hr)
    if small:
        files = pair_files(hr, list_images(small), scale)
    whole = place.resolve()
    name = (whole.parent if whole.name == "HR" else whole).name or str(place)
    images, failed = _readable(files, scale)
    return BenchmarkSet(name, images, failed, listing.note)


def _readable(
    files: Iterable[tuple[pathlib.Path, pathlib.Path | None]], scale: int
) -> tuple[tuple[Images, ...], tuple[Failed, ...]]:
    """The scenes whose files can be read, and the files that cannot."""
    images: list[Images] = []
    errors: list[tuple[pathlib.Path, InputError]] = []
    for hr, lr in files:
        shapes = []
        for path in (hr, lr) if lr else (hr,):
            try:
                shapes.append(image_shape(path))
            except InputError as error:
                errors.append((path, error))
                break
        else:
            images.append(_sized(hr, lr, shapes, scale))
    if not images:
        raise unusable([(path.name, error) for path, error in errors], len(errors))
    return tuple(images), tuple(Failed(path, str(error)) for path, error in errors)


def find_sets(
    folders: Sequence[str | os.PathLike[str]], scale: int, lr: str | os.PathLike[str] | None = None
) -> list[BenchmarkSet]:
    """`find_set` of each folder; sets that are called alike are told apart by their paths.

    Raises:
        InputError: see `find_set`; or LR images for more than one set.
    """
    if lr is not None and len(folders) != 1:
        raise InputError(f"lr {os.fspath(lr)!r} for {len(folders)} folders: allowed with one")
    paths = list(dict.fromkeys(folders))
    sets = [find_set(folder, scale, lr) for folder in paths]
    names = [one.name for one in sets]
    return [
        one._replace(name=os.fspath(path)) if names.count(one.name) > 1 else one
        for path, one in zip(paths, sets, strict=True)
    ]


def _sized(
    hr: pathlib.Path, lr: pathlib.Path | None, shapes: Sequence[tuple[int, int]], scale: int
) -> Images:
    """With the LR image's size, which is that of the HR image over the scale, rounded down."""
    rows, columns = shapes[0]
    least = SSIM_WINDOW + 3 * scale  # less than a scale is cropped, a scale a side is shaved
    if min(rows, columns) < least:
        raise InputError(f"image {str(hr)!r} of {(rows, columns)}: allowed is {least} or more a side")
    wanted = rows // scale, columns // scale
    found = shapes[-1] if lr else wanted
    if found != wanted:
        raise InputError(
            f"images {str(hr)!r} of {rows}x{columns} and {str(lr)!r} of {found[0]}x{found[1]} do not pair: "
            f"at scale {scale} the LR image is {wanted[0]}x{wanted[1]}"
        )
    return Images(hr, lr, wanted)
