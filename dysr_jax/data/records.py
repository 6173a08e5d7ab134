"""Prepared data sets: records of encoded images, read at random by TFDS, without TensorFlow; and clips."""

import dataclasses
import functools
import io
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from dysr_jax.data.examples import Example, ImageSource, fit_example
from dysr_jax.data.images import read_image
from dysr_jax.errors import InputError

PathLike = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True, eq=False)
class RecordImages:
    """The images of a split, in the order in which they were stored; sets of our own are sorted by name."""

    path: pathlib.Path  # of the prepared data set: its folder of one version
    split: str
    scale: int
    names: Sequence[str]
    hr: str  # the feature that holds the HR image
    lr: str | None  # the feature that holds the LR image
    # int64 `[N, 2]`: rows and columns of the HR images, where they are stored beside the records
    sizes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Example:
        record, name = self._records[range(len(self))[index]], self.names[index]
        if "name" in record and record["name"].decode() != name:
            raise InputError(f"{str(self.path)!r}: record {index} is not {name!r}; prepare it again")
        hr = _decoded(record[self.hr], name)
        if self.lr is None:
            return Example(name, hr, None)
        return fit_example(name, hr, _decoded(record[self.lr], name), self.scale)

    @functools.cached_property
    def _records(self) -> Any:
        import tensorflow_datasets as tfds

        encoded = {key: tfds.decode.SkipDecoding() for key in (self.hr, self.lr) if key}
        builder = tfds.builder_from_directory(self.path)
        return builder.as_data_source(split=self.split, decoders=encoded)

    def __getstate__(self) -> dict[str, Any]:
        """Without the open files, which every process opens for itself."""
        return {key: value for key, value in self.__dict__.items() if key != "_records"}


def _decoded(encoded: bytes, name: str) -> np.ndarray:
    try:
        return read_image(io.BytesIO(encoded))
    except InputError as error:
        raise InputError(f"image {name!r} cannot be read from its record: {error}") from None


def open_records(spec: str, scale: int, directory: PathLike | None = None) -> RecordImages:
    """The images of a prepared data set, `NAME[/CONFIG][:SPLIT]`.

    A split is what TFDS takes, such as `train[:10%]` or `train+validation`; without one it is `train`, or the
    only one that there is. Images are the features `hr` and `lr`, or else the only image that a record has.
    Raises `InputError`: no such data set or split, one that is not prepared, or LR images of another scale.
    """
    from dysr_jax.data.builders import find_prepared

    name, _, split = spec.partition(":")
    builder = find_prepared(name, directory)  # says what is missing, before the slow import
    import tensorflow_datasets as tfds

    stored = (builder.info.metadata or {}).get("scale")
    if stored and stored != scale:
        what = f"its LR images are of scale {stored}, the space's is {scale}"
        such = f"{name.partition('/')[0]}/bicubic_x{scale}"
        raise InputError(f"data source 'tfds:{name}': {what}; must be a config such as {such}")
    splits = list(builder.info.splits)
    if not split:
        if "train" not in splits and len(splits) != 1:
            raise InputError(f"data source 'tfds:{name}': must be tfds:{name}:SPLIT with {splits}")
        split = "train" if "train" in splits else splits[0]
    features = builder.info.features
    images = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
    if "hr" not in images and len(images) != 1:
        needed = "a data set with an image hr (and lr), or with one image"
        raise InputError(f"data source 'tfds:{name}' has the features {sorted(features)}; must be {needed}")
    hr, lr = ("hr", "lr" if "lr" in images else None) if "hr" in images else (images[0], None)
    names, sizes = _names_and_sizes(builder, split, name)
    return RecordImages(pathlib.Path(builder.data_dir), split, scale, names, hr, lr, sizes)


def _names_and_sizes(builder: Any, split: str, name: str) -> tuple[Sequence[str], np.ndarray | None]:
    """As they are stored beside the records; other data sets have numbers for names, and no sizes."""
    import tensorflow_datasets as tfds

    splits, metadata = builder.info.splits, builder.info.metadata or {}
    try:
        parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(splits)
    except (ValueError, AssertionError, KeyError):
        part = f"a slice of them as TFDS writes it, such as {next(iter(splits))}[:10%]"
        must = f"must be one of the splits {list(splits)} or {part}"
        raise InputError(f"data source 'tfds:{name}:{split}': {must}") from None
    names: list[str] = []
    sizes: list[Sequence[int]] = []
    for part in parts:
        taken, numbers = slice(part.from_, part.to), range(splits[part.splitname].num_examples)
        numbered = [f"{part.splitname}[{number}]" for number in numbers[taken]]
        names += metadata.get("names", {}).get(part.splitname, [])[taken] or numbered
        sizes += metadata.get("sizes", {}).get(part.splitname, [])[taken]
    return tuple(names), np.array(sizes) if sizes else None


class Clips:
    """The clips of a source by index, in its order: `Clips(open_source("tfds:dysr_vid4", 4))[0].hr`.

    Frames of a clip are images whose names differ after the last slash. Picklable where the source is.
    """

    def __init__(self, source: ImageSource) -> None:
        frames: dict[str, list[int]] = {}
        for index, name in enumerate(source.names):
            clip, slash, _ = name.rpartition("/")
            if not slash:
                raise InputError(f"image {name!r} is no frame of a clip; the source must be a set of clips")
            frames.setdefault(clip, []).append(index)
        self._source, self._frames = source, frames
        self.names: Sequence[str] = tuple(frames)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Example:
        """All frames of a clip, `[T, H, W, 3]`; an `InputError` if one cannot be read, or they differ in
        size.
        """
        name = self.names[index]
        examples = [self._source[frame] for frame in self._frames[name]]
        sizes = {example.hr.shape[:2] for example in examples}
        if len(sizes) > 1:
            raise InputError(f"clip {name!r} has frames of {sorted(sizes)}; all must be of one size")
        lr = [example.lr for example in examples if example.lr is not None]
        hr = np.stack([example.hr for example in examples])
        return Example(name, hr, np.stack(lr) if len(lr) == len(examples) else None)
