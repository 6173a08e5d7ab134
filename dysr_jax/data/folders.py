"""Image files in folders, as the user gives them."""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence

from dysr_jax import parallel
from dysr_jax.data.examples import Example, check_fit, fit, unusable
from dysr_jax.data.files import Duplicates, distinct, image_shape, image_shapes
from dysr_jax.data.images import read_image
from dysr_jax.data.listing import list_folder, no_images
from dysr_jax.data.pairing import pair_files
from dysr_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class FolderImages:
    """HR images of a folder, sorted by name."""

    files: tuple[pathlib.Path, ...]

    @property
    def names(self) -> Sequence[str]:
        """File names."""
        return [file.name for file in self.files]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Example:
        file = self.files[index]
        return Example(file.name, read_image(file), None)

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of an image, from its file's header."""
        return image_shape(self.files[index])


@dataclasses.dataclass(frozen=True)
class PairedImages:
    """HR images of one folder and their LR images of another, sorted by the name of HR."""

    pairs: tuple[tuple[pathlib.Path, pathlib.Path], ...]
    scale: int

    @property
    def names(self) -> Sequence[str]:
        """File names of HR."""
        return [hr.name for hr, _ in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Example:
        hr, lr = self.pairs[index]
        example = fit(str(lr), read_image(hr), read_image(lr), self.scale)
        return example._replace(name=hr.name)

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of an HR image, from the header of the LR file."""
        rows, columns = image_shape(self.pairs[index][1])
        return rows * self.scale, columns * self.scale


def _images(folder: str) -> list[pathlib.Path]:
    """The images of a folder; what else it holds is told on stderr, once for all processes."""
    listing = list_folder(folder)
    if not listing.images:
        raise no_images(folder, listing)
    if listing.note and parallel.is_main():
        print(f"dysr: note: {folder!r}: {listing.note}", file=sys.stderr)
    return list(listing.images)


def open_folder(path: str, duplicates: Duplicates) -> FolderImages:
    """The images of a folder, after a look at all of them.

    Raises:
        InputError: no such folder, none in it, files that cannot be read, files that are the same.
    """
    files = _images(path)
    image_shapes(files)
    return FolderImages(tuple(distinct(files, duplicates)))


def open_paired(path: str, scale: int, duplicates: Duplicates) -> PairedImages:
    """The images of two folders, `HR,LR`, after a look at all of them.

    Raises:
        InputError: as for a folder; or files that do not pair by name or by size.
    """
    hr, _, lr = path.partition(",")
    if not hr or not lr:
        raise InputError(f"data source 'paired:{path}': allowed is paired:HR,LR with two folders")
    pairs = pair_files(_images(hr), _images(lr), scale)
    high, low = (image_shapes([pair[side] for pair in pairs]) for side in (0, 1))
    errors: list[tuple[str, InputError]] = []
    for (_, file), hr_shape, lr_shape in zip(pairs, high, low, strict=True):
        try:
            check_fit(str(file), hr_shape, lr_shape, scale)
        except InputError as error:
            errors.append((file.name, error))
    if errors:
        raise unusable(errors, len(pairs))
    kept = set(distinct([pair[0] for pair in pairs], duplicates))
    return PairedImages(tuple(pair for pair in pairs if pair[0] in kept), scale)
