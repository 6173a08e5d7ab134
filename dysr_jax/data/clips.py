"""Clips of a source whose images are frames: those whose names differ after the last slash."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dysr_jax.data.examples import ImageSource
from dysr_jax.errors import InputError


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
