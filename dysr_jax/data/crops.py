"""Random crops on the host, from images that are decoded as they are needed.

All crops of all images are numbered one after the other, and these numbers are cut into strata of one
length, about one per image. A stratum draws a number, which names an image, and cuts some crops from it. So
an image comes as often as it has crop positions, as in the device's pool, and an epoch, which is every
stratum once, spreads over all images. Where sizes are not known without decoding, images count alike.
"""

import dataclasses
from typing import Final

import numpy as np

from dysr_jax.data.degradation import bicubic_downscale, bicubic_downscale_crop, crop_to_scale
from dysr_jax.data.examples import Example
from dysr_jax.data.training import TrainingImages, find_large_enough
from dysr_jax.errors import InputError

_TRIES: Final = 1000
"""Images that are decoded in search of one that a patch fits into."""

_REACH: Final = 2
"""LR pixels that the degradation reads beyond a crop."""

Crops = dict[str, np.ndarray]
"""`lr` and `hr` of some crops, uint8."""


@dataclasses.dataclass(frozen=True, eq=False)
class CropDrawer:
    """Draws the crops of a stratum: a transformation for Grain's `random_map`."""

    images: TrainingImages
    last: np.ndarray
    """int64 `[N]`: number of crops in this image and all before it; images count 1 without sizes."""
    strata: int

    def __call__(self, stratum: int, rng: np.random.Generator) -> Crops:
        """`data.crops_per_image` crops of one image: LR `[K, P, P, 3]` and HR `[K, s P, s P, 3]` uint8.

        Raises:
            InputError: a damaged file, or an image smaller than a patch (where `data.small` is `error`).
        """
        return self._cut(self._large_example(self.draw_image(stratum, rng), rng), rng)

    def draw_image(self, stratum: int, rng: np.random.Generator) -> int:
        """The number of an image that this stratum overlaps, with probability by how much it does."""
        place = (stratum + rng.random()) / self.strata * self.last[-1]
        return min(int(np.searchsorted(self.last, place, side="right")), len(self.last) - 1)

    def _large_example(self, image: int, rng: np.random.Generator) -> Example:
        images, config = self.images, self.images.config
        for _ in range(_TRIES):
            example = images.source[image]
            size = np.array([example.hr.shape[:2]]) // images.scale
            if size.min() >= config.patch:
                return example
            if config.small == "error":
                find_large_enough(config, images.scale, [example.name], size)  # raises
            image = int(rng.integers(len(images)))
        raise InputError(f"data.patch {config.patch}: no image of {config.source!r} is large enough")

    def _cut(self, example: Example, rng: np.random.Generator) -> Crops:
        scale, config = self.images.scale, self.images.config
        hr, count, patch = crop_to_scale(example.hr, scale), config.crops_per_image, config.patch
        rows, columns = (side // scale for side in hr.shape[:2])
        lr = example.lr
        if lr is None and count * (patch + 2 * _REACH) ** 2 >= rows * columns:
            lr = bicubic_downscale(hr, scale, config.boundary)  # less work than crop by crop
        tops = rng.integers(0, rows - patch + 1, count).tolist()
        lefts = rng.integers(0, columns - patch + 1, count).tolist()
        lrs, hrs, side = [], [], patch * scale
        for row, column in zip(tops, lefts, strict=True):
            if lr is None:
                lrs.append(bicubic_downscale_crop(hr, scale, row, column, patch, config.boundary))
            else:
                lrs.append(lr[row : row + patch, column : column + patch])
            top, left = row * scale, column * scale
            hrs.append(hr[top : top + side, left : left + side])
        return {"lr": np.stack(lrs), "hr": np.stack(hrs)}


def make_drawer(images: TrainingImages, shards: int) -> CropDrawer:
    """The drawer of some images; as many strata as images or a few more, a multiple of `shards`."""
    if images.sizes is None:
        positions = np.ones(len(images), np.int64)
    else:
        positions = (images.sizes - images.config.patch + 1).astype(np.int64).prod(1)
    return CropDrawer(images, np.cumsum(positions), -(-len(images) // shards) * shards)
