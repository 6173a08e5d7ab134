"""Image files in folders, as the user gives them.

Which LR file belongs to which HR file, by the names that publishers give them.

A folder keeps to one convention: `0001.png` and `0001.png`, or `0001x4.png`, or `img_001_SRF_4_HR.png` and
`img_001_SRF_4_LR.png`. Under at most one of them do all names match, so nothing is guessed file by file.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Sequence

from dysr_jax import parallel
from dysr_jax.data.examples import Example, check_fit, fit, listed, unusable
from dysr_jax.data.files import Duplicates, distinct, image_shape, image_shapes, list_folder, no_images
from dysr_jax.data.images import read_image
from dysr_jax.errors import InputError

Convention = Callable[[str], str]
"""The stem of an HR file to the stem of its LR file; empty for a stem that the convention does not know."""


def conventions(scale: int) -> tuple[Convention, ...]:
    """All that are known; each gives different HR stems different LR stems."""
    return (
        lambda stem: stem,
        lambda stem: f"{stem}x{scale}",
        lambda stem: f"{stem}_x{scale}",
        lambda stem: f"{stem}_LR",
        lambda stem: f"{stem[:-2]}LR" if stem.endswith("HR") else "",
    )


def pair_files(
    hr: Sequence[pathlib.Path], lr: Sequence[pathlib.Path], scale: int
) -> list[tuple[pathlib.Path, pathlib.Path]]:
    """HR files and their LR files, in the order of `hr`.

    Raises:
        InputError: files that have no partner, or two files with one stem; the first are named.
    """
    low, high = _by_stem(lr), _by_stem(hr)
    found = [{s: to_lr(s) for s in high if to_lr(s) in low} for to_lr in conventions(scale)]
    partner = max(found, key=len)
    taken = set(partner.values())
    alone = [high[stem].name for stem in high if stem not in partner]
    left = [low[stem].name for stem in low if stem not in taken]
    if alone or left:
        said = _counted(alone, "HR", "LR"), _counted(left, "LR", "HR")
        raise InputError(
            f"HR in {str(hr[0].parent)!r} and LR in {str(lr[0].parent)!r} do not pair by name: "
            f"{'; '.join(part for part in said if part)} (an LR file is named as its HR file is, "
            f"or 0001x{scale} for 0001, or _LR for _HR)"
        )
    return [(high[stem], low[partner[stem]]) for stem in high]


def _by_stem(files: Sequence[pathlib.Path]) -> dict[str, pathlib.Path]:
    stems = {file.stem: file for file in files}
    if len(stems) < len(files):
        twice = [file.name for file in files if stems[file.stem] != file]
        raise InputError(
            f"folder {str(files[0].parent)!r}: {len(twice)} files have the name of another but for "
            f"the suffix: {listed(twice)}; allowed is one file a name"
        )
    return stems


def _counted(names: Sequence[str], kind: str, other: str) -> str:
    return f"{len(names)} {kind} without {other}: {listed(names)}" if names else ""


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
