"""The data sets that `dysr data prepare` knows, and how their publishers lay out the folders.

To add one to the package, write its layout and its entry in `DATASETS` here; to add one from elsewhere, call
`register_dataset` with a `Dataset`. Everything else (checks, records, `tfds:NAME`) follows from that.
"""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from dysr_jax.errors import InputError


class Place(NamedTuple):
    """Image files of a folder: all of them, or those whose stem has an ending."""

    folder: pathlib.Path
    ending: str = ""


class Group(NamedTuple):
    """The images of a split, or the frames of one of its clips: all, or as many as there must be."""

    split: str
    hr: Place
    lr: Place | None
    clip: str | None = None
    frames: int | None = None


# The groups below a folder at a scale; scale 0 is without LR images
Layout = Callable[[pathlib.Path, int], Iterator[Group]]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set as its publisher ships it.

    `expects` says what the user's folder must hold, `scales` which LR images are published, the usual ones
    first, and `plain` whether there is a config `hr` without them.
    """

    about: str
    expects: str
    homepage: str
    layout: Layout
    scales: tuple[int, ...]
    plain: bool = True

    @property
    def configs(self) -> dict[str, int]:
        """The scale by name of the config, the default first; 0 is without LR."""
        given = {f"bicubic_x{scale}": scale for scale in self.scales}
        return {**given, **({"hr": 0} if self.plain else {})}


def _below(root: pathlib.Path, *names: str) -> pathlib.Path:
    """The folder of the data set, where the user named the one above it."""
    return next((root / name for name in names if (root / name).is_dir()), root)


def _bicubic_layout(name: str, **parts: str) -> Layout:

    def layout(root: pathlib.Path, scale: int) -> Iterator[Group]:
        root = _below(root, name)
        for split, part in parts.items():
            lr = Place(root / f"{part}_LR_bicubic" / f"X{scale}")
            yield Group(split, Place(root / f"{part}_HR"), lr if scale else None)

    return layout


def _vimeo90k(root: pathlib.Path, scale: int) -> Iterator[Group]:
    root = _below(root, "vimeo_septuplet")
    for split in ("train", "test"):
        path = root / f"sep_{split}list.txt"
        try:
            clips = path.read_text().split()
        except (OSError, UnicodeDecodeError):
            raise InputError(f"list of clips {str(path)!r} cannot be read") from None
        odd = [clip for clip in clips if not re.fullmatch(r"\d+/\d+", clip)]
        if odd or not clips:
            raise InputError(f"list of clips {str(path)!r}: {odd[:1] or 'empty'}; must be such as 00001/0001")
        for clip in sorted(clips):
            yield Group(split, Place(root / "sequences" / clip), None, clip, frames=7)


def _vid4(root: pathlib.Path, scale: int) -> Iterator[Group]:
    root = _below(root, "Vid4")
    high = next((root / name for name in ("GT", "HR", "original") if (root / name).is_dir()), root / "GT")
    folders = [path for path in high.iterdir() if path.is_dir()] if high.is_dir() else []
    clips = sorted(path.name for path in folders if not path.name.startswith("."))
    for clip in clips or ("calendar", "city", "foliage", "walk"):
        yield Group("test", Place(high / clip), Place(root / f"BIx{scale}" / clip) if scale else None, clip)


def _benchmark_set(name: str, *others: str) -> Dataset:
    """Either `HR` with `LR_bicubic/X4`, or `image_SRF_4` with both."""

    def layout(root: pathlib.Path, scale: int) -> Iterator[Group]:
        root = _below(root, name, *others)
        mixed = root / f"image_SRF_{scale}"
        apart = Place(root / "HR"), Place(root / "LR_bicubic" / f"X{scale}")
        yield Group("test", *((Place(mixed, "_HR"), Place(mixed, "_LR")) if mixed.is_dir() else apart))

    expects = f"{name}/HR and {name}/LR_bicubic/X4, or {name}/image_SRF_4"
    homepage = "https://github.com/jbhuang0604/SelfExSR"
    return Dataset(f"{name}, a set for evaluation", expects, homepage, layout, (4, 2, 3), plain=False)


DATASETS: Final[dict[str, Dataset]] = {
    "dysr_div2k": Dataset(
        "DIV2K (Agustsson and Timofte 2017), 800 and 100 images of 2K",
        "DIV2K_train_HR, DIV2K_valid_HR, and DIV2K_train_LR_bicubic/X4, DIV2K_valid_LR_bicubic/X4",
        "https://data.vision.ee.ethz.ch/cvl/DIV2K/",
        _bicubic_layout("DIV2K", train="DIV2K_train", validation="DIV2K_valid"),
        (4, 2, 3),
    ),
    "dysr_flickr2k": Dataset(
        "Flickr2K (Lim et al. 2017), 2,650 images of 2K",
        "Flickr2K_HR, and Flickr2K_LR_bicubic/X4",
        "https://github.com/sanghyun-son/EDSR-PyTorch",
        _bicubic_layout("Flickr2K", train="Flickr2K"),
        (4, 2, 3),
    ),
    "dysr_set5": _benchmark_set("Set5"),
    "dysr_set14": _benchmark_set("Set14"),
    "dysr_b100": _benchmark_set("B100", "BSD100"),
    "dysr_urban100": _benchmark_set("Urban100"),
    "dysr_vimeo90k": Dataset(
        "Vimeo-90K septuplets (Xue et al. 2019), clips of 7 frames",
        "vimeo_septuplet with sequences, sep_trainlist.txt and sep_testlist.txt",
        "http://toflow.csail.mit.edu/",
        _vimeo90k,
        (),
    ),
    "dysr_vid4": Dataset(
        "Vid4 (Liu and Sun 2011), four clips",
        "Vid4/GT/calendar and so on, and Vid4/BIx4/calendar",
        "https://github.com/ckkelvinchan/BasicVSR-IconVSR",
        _vid4,
        (4,),
    ),
}


def register_dataset(name: str, dataset: Dataset) -> None:
    """Add a data set, for `prepare_dataset` and the source `tfds:NAME` in this process.

    Raises InputError: the name is taken, or is not lower-case words joined by underscores, as TFDS needs it.
    """
    if not re.fullmatch("[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*", name):
        raise InputError(f"data set {name!r}: must be lower-case words joined by underscores")
    if name in DATASETS:
        raise InputError(f"data set {name!r} is there already; there are {', '.join(DATASETS)}")
    DATASETS[name] = dataset
