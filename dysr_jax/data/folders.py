"""Image files in folders as the user gives them, alone or as pairs of HR and LR files.

A pair of folders keeps to one convention of names: `0001.png` and `0001.png`, or `0001x4.png`, or
`a_HR.png` and `a_LR.png`. Under at most one of them do all names match: nothing is guessed file by file.
"""

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dysr_jax import parallel
from dysr_jax.data.examples import Example, check_lr_size, fit_example, map_images, quote_first
from dysr_jax.data.images import read_image
from dysr_jax.data.listing import Duplicates, distinct_files, image_shapes, list_images
from dysr_jax.errors import InputError


def conventions(scale: int) -> tuple[Callable[[str], str], ...]:
    """From the stem of an HR file to that of its LR file, empty where it is not known; all are injective."""
    added = [lambda stem, end=end: f"{stem}{end}" for end in ("", f"x{scale}", f"_x{scale}", "_LR")]
    return (*added, lambda stem: f"{stem[:-2]}LR" if stem.endswith("HR") else "")


def pair_files(hr: Sequence[Path], lr: Sequence[Path], scale: int) -> list[tuple[Path, Path]]:
    """HR files with their LR files, in the order of `hr`; an `InputError` names files without a partner."""
    low, high = _by_stem(lr), _by_stem(hr)
    found = [{s: to_lr(s) for s in high if to_lr(s) in low} for to_lr in conventions(scale)]
    partner = max(found, key=len)
    said = ((high, partner, "HR without LR"), (low, set(partner.values()), "LR without HR"))
    lone = [([file.name for s, file in files.items() if s not in known], kind) for files, known, kind in said]
    if counted := "; ".join(f"{len(names)} {kind}: {quote_first(names)}" for names, kind in lone if names):
        where = f"HR in {str(hr[0].parent)!r} and LR in {str(lr[0].parent)!r}"
        how = f"an LR file is named as its HR file is, or 0001x{scale} for 0001, or _LR for _HR"
        raise InputError(f"{where} do not pair by name: {counted} ({how})")
    return [(file, low[partner[stem]]) for stem, file in high.items()]


def _by_stem(files: Sequence[Path]) -> dict[str, Path]:
    stems = {file.stem: file for file in files}
    if len(stems) < len(files):
        twice = [file.name for file in files if stems[file.stem] != file]
        many = f"{len(twice)} files have the name of another but for the suffix: {quote_first(twice)}"
        raise InputError(f"folder {str(files[0].parent)!r}: {many}; there must be one file per name")
    return stems


@dataclasses.dataclass(frozen=True, eq=False)
class FolderImages:
    """HR images of a folder, sorted by name, and their LR images of another folder."""

    hr: tuple[Path, ...]
    lr: tuple[Path, ...] | None
    # int64 `[N, 2]`: rows and columns of HR (cropped to LR where that is given), from the files' headers
    sizes: np.ndarray
    scale: int = 1  # side of HR over side of LR

    @property
    def names(self) -> Sequence[str]:
        """File names of HR."""
        return [file.name for file in self.hr]

    def __len__(self) -> int:
        return len(self.hr)

    def __getitem__(self, index: int) -> Example:
        file = self.hr[index]
        if self.lr is None:
            return Example(file.name, read_image(file), None)
        lr = self.lr[index]
        fitted = fit_example(str(lr), read_image(file), read_image(lr), self.scale)
        return fitted._replace(name=file.name)


def _images(folder: str) -> list[Path]:
    """The images of a folder; one process says on stderr what else it holds."""
    listing = list_images(folder)
    if listing.note and parallel.is_main():
        print(f"dysr: note: {folder!r}: {listing.note}", file=sys.stderr)
    return list(listing.images)


def open_folder(path: str, duplicates: Duplicates) -> FolderImages:
    """The images of a folder, after a look at the header of each; an `InputError` says what is wrong."""
    files = _images(path)
    shapes = dict(zip(files, image_shapes(files), strict=True))
    kept = distinct_files(files, duplicates)
    return FolderImages(tuple(kept), None, np.array([shapes[file] for file in kept]))


def open_paired(path: str, scale: int, duplicates: Duplicates) -> FolderImages:
    """The images of two folders, `HR,LR`, that must pair by name and by size; likewise."""
    hr, _, lr = path.partition(",")
    if not hr or not lr:
        raise InputError(f"data source 'paired:{path}': must be paired:HR,LR with two folders")
    pairs = pair_files(_images(hr), _images(lr), scale)
    high, low = (image_shapes([pair[side] for pair in pairs]) for side in (0, 1))
    checks = zip((str(file) for _, file in pairs), high, low, strict=True)
    map_images(lambda check: check_lr_size(*check, scale), [file.name for _, file in pairs], checks)
    partner, shapes = dict(pairs), {file: shape for (file, _), shape in zip(pairs, low, strict=True)}
    kept = distinct_files(list(partner), duplicates)
    sizes = np.array([shapes[file] for file in kept]) * scale
    return FolderImages(tuple(kept), tuple(partner[file] for file in kept), sizes, scale)
