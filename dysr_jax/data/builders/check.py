"""A look at every image before a data set is built: all are read, once.

What lies in a publisher's folders: the images of each split with their LR images, paired by name.
"""

import hashlib
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.pool import ThreadPool
from typing import NamedTuple

from tqdm import tqdm

from dysr_jax.data.builders.datasets import Group, Place
from dysr_jax.data.examples import check_fit, listed
from dysr_jax.data.files import Duplicates, copies_error, later_copies, list_images
from dysr_jax.data.folders import pair_files
from dysr_jax.data.images import read_image
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


class _Found(NamedTuple):
    """What was seen of an image."""

    split: str
    item: Item
    digest: str
    error: str


def check_images(tree: Tree, scale: int, duplicates: Duplicates = "error") -> Tree:
    """The tree without duplicates and with sizes, after every image was read.

    Two images are duplicates if their pixels are the same. The first of them is kept, and what is for
    evaluation comes first. Frames of clips may be the same.

    Args:
        tree: all images.
        scale: side of HR over side of LR, 0 without LR.
        duplicates: whether they are errors.

    Raises:
        InputError: images that cannot be read, LR images that do not fit, clips of several sizes, or
            duplicates: the first few are named, all are counted, in one line.
    """
    found = list(_look_at(tree, scale))
    problems = [part for part in (_failed(found), _uneven(found)) if part]
    if problems:
        raise InputError("; ".join(problems))
    stills = [one for one in found if "/" not in one.item.name]
    stills.sort(key=lambda one: one.split == "train")  # stable
    copies = later_copies((f"{one.split}/{one.item.name}", one.digest) for one in stills)
    if copies and duplicates == "error":
        raise copies_error(copies, "it", "--duplicates")
    kept: Tree = {split: [] for split in tree}
    for one in found:
        if f"{one.split}/{one.item.name}" not in copies:
            kept[one.split].append(one.item)
    return kept


def _look_at(tree: Tree, scale: int) -> Iterator[_Found]:
    tasks = [(split, item, scale) for split, items in tree.items() for item in items]
    with ThreadPool(os.cpu_count()) as pool:
        done = pool.imap(_see, tasks, chunksize=4)
        yield from tqdm(done, desc="check", total=len(tasks), unit="image")


def _see(task: tuple[str, Item, int]) -> _Found:
    split, item, scale = task
    try:
        hr = read_image(item.hr)
        if item.lr:
            lr = read_image(item.lr)
            check_fit(str(item.lr), (hr.shape[0], hr.shape[1]), (lr.shape[0], lr.shape[1]), scale)
    except InputError as error:
        return _Found(split, item, "", str(error))
    digest = hashlib.sha256(hr.tobytes()).hexdigest() if "/" not in item.name else ""
    read = item._replace(size=(hr.shape[0], hr.shape[1]))
    return _Found(split, read, f"{hr.shape}{digest}", "")


def _failed(found: list[_Found]) -> str:
    failed = [one for one in found if one.error]
    if not failed:
        return ""
    names = listed([one.item.name for one in failed])
    return f"{len(failed)} of {len(found)} images cannot be used: {names}; the first: {failed[0].error}"


def _uneven(found: list[_Found]) -> str:
    """Clips whose frames are not all of one size."""
    sizes: dict[str, set[tuple[int, int]]] = {}
    for one in found:
        clip, slash, _ = one.item.name.rpartition("/")
        if slash and not one.error:
            sizes.setdefault(f"{one.split} {clip}", set()).add(one.item.size)
    uneven = [clip for clip, seen in sizes.items() if len(seen) > 1]
    return f"{len(uneven)} clips have frames of several sizes: {listed(uneven)}" if uneven else ""
