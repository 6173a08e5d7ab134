"""What lies in a publisher's folders: the images of each split with their LR images, paired by name."""

import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from dysr_jax.data.builders.datasets import Group, Place
from dysr_jax.data.examples import listed
from dysr_jax.data.listing import list_images
from dysr_jax.data.pairing import pair_files
from dysr_jax.errors import InputError


class Item(NamedTuple):
    """An image of a data set, not yet read."""

    name: str
    """File name, after the clip's name and a slash where it is a frame."""
    hr: pathlib.Path
    lr: pathlib.Path | None
    size: tuple[int, int] = (0, 0)
    """Rows and columns of HR, once it was read."""


Tree = dict[str, list[Item]]
"""The images of each split, in their order."""


def find_images(groups: Sequence[Group], scale: int) -> Tree:
    """All images, those of a split one after the other.

    Raises:
        InputError: missing folders, or images that do not pair; the first few are named, all are counted.
    """
    places = [place for group in groups for place in (group.hr, group.lr) if place]
    missing = [str(place.folder) for place in places if not place.folder.is_dir()]
    if missing:
        raise InputError(f"{len(missing)} of {len(places)} folders are missing: {listed(missing)}")
    tree: Tree = {}
    odd: list[str] = []
    for group in groups:
        items = _items(group, scale)
        tree.setdefault(group.split, []).extend(items)
        if group.frames and len(items) != group.frames:
            odd.append(f"{group.clip} of {len(items)}")
    if odd:
        raise InputError(f"{len(odd)} clips have not {groups[0].frames} frames: {listed(odd)}")
    return tree


def _items(group: Group, scale: int) -> list[Item]:
    prefix = f"{group.clip}/" if group.clip else ""
    hr = _files(group.hr)
    if group.lr is None:
        return [Item(prefix + file.name, file, None) for file in hr]
    pairs = pair_files(hr, _files(group.lr), scale)
    return [Item(prefix + high.name, high, low) for high, low in pairs]


def _files(place: Place) -> list[pathlib.Path]:
    files = [file for file in list_images(place.folder) if file.stem.endswith(place.ending)]
    if not files:
        raise InputError(f"folder {str(place.folder)!r} holds no image named *{place.ending}")
    return sorted(files, key=lambda file: natural_key(file.name))


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sorts by the numbers in a name and not by their digits: `im2` before `im10`."""
    parts: Iterable[str] = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
