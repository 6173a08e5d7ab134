"""Sets of HR images to measure on, with the LR images that ship with them or without.

Three layouts are known: a folder of HR images; one with a folder `HR` and, for scale s, `LR_bicubic_xS` or
`LR_bicubic/XS`; HR and LR images in two folders of any name. Files are paired by name (`folders.pair_files`).
"""

import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from dysr_jax.data.examples import check_lr_size, unusable_images_error
from dysr_jax.data.folders import pair_files
from dysr_jax.data.listing import FailedImage, image_shape, is_folder, list_images
from dysr_jax.errors import InputError

_LR_LAYOUTS: Final = ("LR_bicubic_x{}", "LR_bicubic/X{}")  # folders beside `HR` with the LR images of a scale
_SSIM_WINDOW: Final = 11


PathLike = str | os.PathLike[str]
Files = Iterable[tuple[pathlib.Path, pathlib.Path | None]]


class BenchmarkImage(NamedTuple):
    """The files of one scene, and rows and columns of LR; `lr` is None where it is generated from HR."""

    hr: pathlib.Path
    lr: pathlib.Path | None
    lr_shape: tuple[int, int]


class BenchmarkSet(NamedTuple):
    """A set, looked through: every LR image has its HR image, of the right size.

    `failed` cannot be read; `note` says what the folder of HR images holds that is no image.
    """

    name: str
    images: tuple[BenchmarkImage, ...]
    failed: tuple[FailedImage, ...] = ()
    note: str = ""

    @property
    def lr(self) -> Literal["given", "generated"]:
        """Where the LR images come from."""
        return "generated" if self.images[0].lr is None else "given"


def find_benchmark_set(folder: PathLike, scale: int, lr: PathLike | None = None) -> BenchmarkSet:
    """Find the images of a set at a scale, and read their sizes.

    `folder` holds HR images, or is one as benchmark sets ship; `lr` is a folder of LR images elsewhere.
    Raises `InputError`: a folder missing or empty, no readable image, images too small or without a partner.
    """
    place = pathlib.Path(folder)
    inside = is_folder(place / "HR")
    listing = list_images(place / "HR" if inside else place)
    known = [place / layout.format(scale) for layout in _LR_LAYOUTS] if inside else []
    small = pathlib.Path(lr) if lr else next((path for path in known if is_folder(path)), None)
    files: Files = ((path, None) for path in listing.images)
    if small:
        files = pair_files(listing.images, list_images(small).images, scale)
    whole = place.resolve()
    name = (whole.parent if whole.name == "HR" else whole).name or str(place)
    return BenchmarkSet(name, *_readable(files, scale), listing.note)


def find_benchmark_sets(
    folders: Sequence[PathLike], scale: int, lr: PathLike | None = None
) -> list[BenchmarkSet]:
    """`find_benchmark_set` of each folder (one with `lr`); sets of one name are told apart by their paths."""
    if lr is not None and len(folders) != 1:
        raise InputError(f"lr {os.fspath(lr)!r} for {len(folders)} folders: there must be one folder")
    paths = list(dict.fromkeys(folders))
    sets = [find_benchmark_set(folder, scale, lr) for folder in paths]
    names, found = [one.name for one in sets], zip(paths, sets, strict=True)
    own = [os.fspath(path) if names.count(one.name) > 1 else one.name for path, one in found]
    return [one._replace(name=name) for one, name in zip(sets, own, strict=True)]


def _readable(files: Files, scale: int) -> tuple[tuple[BenchmarkImage, ...], tuple[FailedImage, ...]]:
    images: list[BenchmarkImage] = []
    errors: list[tuple[pathlib.Path, InputError]] = []
    for hr, lr in files:
        path = hr
        try:
            hr_shape = image_shape(hr)
            path = lr or hr
            lr_shape = image_shape(lr) if lr else None
        except InputError as error:
            errors.append((path, error))
        else:
            least = _SSIM_WINDOW + 3 * scale  # less than a scale is cropped, a scale is shaved off each side
            if min(hr_shape) < least:
                raise InputError(f"image {str(hr)!r} of {hr_shape}: each side must be at least {least}")
            if lr_shape:
                check_lr_size(str(lr), hr_shape, lr_shape, scale)
            images.append(BenchmarkImage(hr, lr, (hr_shape[0] // scale, hr_shape[1] // scale)))
    if not images:
        raise unusable_images_error([(path.name, error) for path, error in errors], len(errors))
    return tuple(images), tuple(FailedImage(path, str(error)) for path, error in errors)
