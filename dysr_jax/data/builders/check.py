"""The images in a publisher's folders, paired by name; each is read once before a data set is built."""

import hashlib
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from dysr_jax.data.builders.datasets import Group, Place
from dysr_jax.data.examples import check_lr_size, map_images, quote_first
from dysr_jax.data.folders import pair_files
from dysr_jax.data.images import read_image
from dysr_jax.data.listing import Duplicates, find_duplicates, list_images
from dysr_jax.errors import InputError


class Item(NamedTuple):
    """An image of a data set."""

    name: str  # file name; of a frame, after the clip's name and a slash
    hr: pathlib.Path
    lr: pathlib.Path | None
    size: tuple[int, int] = (0, 0)  # rows and columns of HR, once it was read


Tree = dict[str, list[Item]]  # the images per split, in their order


def find_images(groups: Sequence[Group], scale: int) -> Tree:
    """All images, unread, those of a split one after the other; an `InputError` says what is missing."""
    places = [place for group in groups for place in (group.hr, group.lr) if place]
    missing = [str(place.folder) for place in places if not place.folder.is_dir()]
    if missing:
        raise InputError(f"{len(missing)} of {len(places)} folders are missing: {quote_first(missing)}")
    tree: Tree = {}
    odd: list[str] = []
    for group in groups:
        hr, prefix = _files(group.hr), f"{group.clip}/" if group.clip else ""
        pairs = pair_files(hr, _files(group.lr), scale) if group.lr else [(file, None) for file in hr]
        items = [Item(prefix + high.name, high, low) for high, low in pairs]
        tree.setdefault(group.split, []).extend(items)
        if group.frames and len(items) != group.frames:
            odd.append(f"{group.clip} of {len(items)}")
    if odd:
        raise InputError(f"{len(odd)} clips have not {groups[0].frames} frames: {quote_first(odd)}")
    return tree


def _files(place: Place) -> list[pathlib.Path]:
    files = [file for file in list_images(place.folder).images if file.stem.endswith(place.ending)]
    if not files:
        raise InputError(f"folder {str(place.folder)!r} holds no image named *{place.ending}")
    return sorted(files, key=lambda file: natural_key(file.name))


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sorts by the numbers in a name and not by their digits: `im2` before `im10`."""
    parts: list[str] = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def check_images(tree: Tree, scale: int, duplicates: Duplicates = "error") -> Tree:
    """The tree without duplicates and with sizes, after every image was read; scale 0 is without LR.

    Two images are duplicates if their pixels are the same, but frames of clips may be. The first is kept, and
    what is for evaluation comes first. An `InputError` names images that cannot be read, do not fit or are
    duplicates, and clips of several sizes.
    """

    def read(task: tuple[str, Item]) -> tuple[str, Item, str]:
        split, item = task
        hr = read_image(item.hr)
        if item.lr:
            check_lr_size(str(item.lr), hr.shape, read_image(item.lr).shape, scale)
        digest = "" if "/" in item.name else f"{hr.shape}{hashlib.sha256(hr.tobytes()).hexdigest()}"
        return split, item._replace(size=hr.shape[:2]), digest

    tasks = [(split, item) for split, items in tree.items() for item in items]
    found = map_images(read, [item.name for _, item in tasks], tasks, progress="check")
    sizes: dict[str, set[tuple[int, int]]] = {}
    for split, item, digest in found:
        if not digest:
            sizes.setdefault(f"{split} {item.name.rpartition('/')[0]}", set()).add(item.size)
    if uneven := [clip for clip, seen in sizes.items() if len(seen) > 1]:
        raise InputError(f"{len(uneven)} clips have frames of several sizes: {quote_first(uneven)}")
    ordered = sorted(found, key=lambda each: each[0] == "train")  # stable
    stills = ((f"{split}/{item.name}", digest) for split, item, digest in ordered if digest)
    copies = find_duplicates(stills, duplicates, "it", "--duplicates")
    kept: Tree = {split: [] for split in tree}
    for split, item, _ in found:
        if f"{split}/{item.name}" not in copies:
            kept[split].append(item)
    return kept
