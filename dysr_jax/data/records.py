"""Prepared data sets: records of encoded images, read at random through TFDS, without TensorFlow.

Clips of a source whose images are frames: those whose names differ after the last slash.
"""

import dataclasses
import functools
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dysr_jax.data.examples import Example, ImageSource, fit
from dysr_jax.data.images import read_image
from dysr_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class RecordImages:
    """The images of a split, in the order in which they were stored; sets of our own are sorted by name."""

    path: pathlib.Path
    """Of the prepared data set: its folder of one version."""
    split: str
    scale: int
    names: Sequence[str]
    hr: str
    """The feature that holds the HR image."""
    lr: str
    """The feature that holds the LR image; empty where there is none."""
    sizes: Sequence[tuple[int, int]] = ()
    """Of the HR images, where they are stored beside the records."""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Example:
        record, name = self._records[range(len(self))[index]], self.names[index]
        if "name" in record and record["name"].decode() != name:
            raise InputError(f"{str(self.path)!r}: record {index} is not {name!r}; prepare it again")
        hr = _decoded(record[self.hr], name)
        return (
            fit(name, hr, _decoded(record[self.lr], name), self.scale) if self.lr else Example(name, hr, None)
        )

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of an HR image; of a data set that is not ours, it is decoded for that."""
        if self.sizes:
            rows, columns = self.sizes[index]
        else:
            rows, columns = self[index].hr.shape[:2]
        return rows, columns

    @functools.cached_property
    def _records(self) -> Any:
        import tensorflow_datasets as tfds

        encoded = {key: tfds.decode.SkipDecoding() for key in (self.hr, self.lr) if key}
        builder = tfds.builder_from_directory(self.path)
        return builder.as_data_source(split=self.split, decoders=encoded)

    def __getstate__(self) -> dict[str, Any]:
        """Without the open files, which every process opens for itself."""
        return {key: value for key, value in self.__dict__.items() if key != "_records"}


def _decoded(encoded: bytes, name: str) -> Any:
    try:
        return read_image(io.BytesIO(encoded))
    except InputError as error:
        raise InputError(f"image {name!r} cannot be read from its record: {error}") from None


def open_records(spec: str, scale: int, directory: str = "") -> RecordImages:
    """The images of a prepared data set, `NAME[/CONFIG][:SPLIT]`.

    A split is what TFDS takes, such as `train[:10%]` or `train+validation`; without one it is `train`, or the
    only one that there is. Images are the features `hr` and `lr`, or else the only image that a record has.

    Raises:
        InputError: no such data set or split, or one that is not prepared, or whose LR images are of another
            scale.
    """
    from dysr_jax.data.builders import find_prepared

    name, _, split = spec.partition(":")
    builder = find_prepared(name, directory)
    _check_scale(builder, name, scale)
    split = split or _default_split(builder, name)
    hr, lr = _image_features(builder.info.features, name)
    names, sizes = _stored(builder, split, name)
    path = pathlib.Path(builder.data_dir)
    return RecordImages(path, split, scale, names, hr, lr, sizes)


def _check_scale(builder: Any, name: str, scale: int) -> None:
    stored = (builder.info.metadata or {}).get("scale")
    if stored and stored != scale:
        raise InputError(
            f"data source 'tfds:{name}': its LR images are of scale {stored}, the space's is {scale}; "
            f"allowed is a config such as {name.partition('/')[0]}/bicubic_x{scale}"
        )


def _default_split(builder: Any, name: str) -> str:
    splits = list(builder.info.splits)
    if "train" in splits or len(splits) == 1:
        return "train" if "train" in splits else splits[0]
    raise InputError(f"data source 'tfds:{name}': allowed is tfds:{name}:SPLIT with {splits}")


def _image_features(features: Mapping[str, Any], name: str) -> tuple[str, str]:
    import tensorflow_datasets as tfds

    images = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
    if "hr" in images:
        return "hr", "lr" if "lr" in images else ""
    if len(images) == 1:
        return images[0], ""
    raise InputError(
        f"data source 'tfds:{name}' has the features {sorted(features)}; allowed is a data set with an "
        f"image hr (and lr), or with one image"
    )


def _stored(builder: Any, split: str, name: str) -> tuple[Sequence[str], Sequence[tuple[int, int]]]:
    """Names and sizes, as they are stored beside the records; other data sets have numbers for names."""
    import tensorflow_datasets as tfds

    splits, metadata = builder.info.splits, builder.info.metadata or {}
    try:
        parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(splits)
    except (ValueError, AssertionError, KeyError):
        raise InputError(
            f"data source 'tfds:{name}:{split}': allowed are the splits {list(splits)} and TFDS's "
            f"slices of them, such as {next(iter(splits))}[:10%]"
        ) from None
    names: list[str] = []
    sizes: list[tuple[int, int]] = []
    for part in parts:
        taken, numbers = slice(part.from_, part.to), range(splits[part.splitname].num_examples)
        numbered = [f"{part.splitname}[{number}]" for number in numbers[taken]]
        names += metadata.get("names", {}).get(part.splitname, [])[taken] or numbered
        sizes += [(h, w) for h, w in metadata.get("sizes", {}).get(part.splitname, [])[taken]]
    return tuple(names), tuple(sizes)


class Clip(NamedTuple):
    """Frames that follow each other."""

    name: str
    hr: np.ndarray
    """`[T, H, W, 3]` uint8."""
    lr: np.ndarray | None
    """`[T, h, w, 3]` uint8 as it was given, or None: it has to be made."""


class Clips:
    """The clips of a source by index, in its order: `Clips(open_source("tfds:dysr_vid4", 4))[0].hr`.

    Picklable where the source is.
    """

    def __init__(self, source: ImageSource) -> None:
        frames: dict[str, list[int]] = {}
        for index, name in enumerate(source.names):
            clip, slash, _ = name.rpartition("/")
            if not slash:
                raise InputError(f"image {name!r} is no frame of a clip: allowed is a set of clips")
            frames.setdefault(clip, []).append(index)
        self._source, self._frames = source, frames
        self.names: Sequence[str] = tuple(frames)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Clip:
        """Decode all frames of a clip.

        Raises:
            InputError: a frame cannot be read, or is of another size than the others.
        """
        name = self.names[index]
        examples = [self._source[frame] for frame in self._frames[name]]
        sizes = {example.hr.shape[:2] for example in examples}
        if len(sizes) > 1:
            raise InputError(f"clip {name!r} has frames of {sorted(sizes)}: allowed is one size")
        lr = [example.lr for example in examples if example.lr is not None]
        hr = np.stack([example.hr for example in examples])
        return Clip(name, hr, np.stack(lr) if len(lr) == len(examples) else None)
