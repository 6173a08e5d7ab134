"""Training patches from Grain, for sets that do not fit on the device: chunks for the training loop.

Each group of a training step has a shard of its own, shuffled anew each epoch, so patches depend on the seed
and the number of groups alone. A process decodes for its own devices only.

All crops of all images are numbered, and the numbers are cut into strata of one length, about one per image.
A stratum draws a number, which names an image, and cuts some crops from it. So an image comes as often as it
has crop positions, as in the device's pool. Where sizes are unknown without decoding, images count alike.
"""

import dataclasses
import functools
import multiprocessing
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from absl import flags
from jax.sharding import Mesh

from dysr_jax import parallel
from dysr_jax.data.degradation import bicubic_downscale, bicubic_downscale_crop, crop_to_scale
from dysr_jax.data.examples import Example
from dysr_jax.data.training import TrainingImages, find_large_enough
from dysr_jax.errors import InputError

if TYPE_CHECKING:
    import grain


_MAX_THREADS: Final = 16  # threads that decode in this process
_TRIES: Final = 1000  # images that are decoded in search of one that a patch fits into
_REACH: Final = 2  # LR pixels that the degradation reads beyond a crop
Crops = dict[str, np.ndarray]  # `lr` and `hr` of some crops, uint8


@dataclasses.dataclass(frozen=True, eq=False)
class CropDrawer:
    """Draws the crops of a stratum: a transformation for Grain's `random_map`."""

    images: TrainingImages
    # int64 `[N]`: number of crops in this image and all before it; images count 1 without sizes
    last: np.ndarray
    strata: int

    def __call__(self, stratum: int, rng: np.random.Generator) -> Crops:
        """K = `data.crops_per_image` crops of one image: LR `[K, P, P, 3]` and HR `[K, s P, s P, 3]`.

        Raises `InputError`: a damaged file, or an image smaller than a patch (where `data.small` is `error`).
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
        tops, lefts = (rng.integers(0, side - patch + 1, count).tolist() for side in (rows, columns))
        places = list(zip(tops, lefts, strict=True))
        if lr is None:
            crop = functools.partial(bicubic_downscale_crop, hr, scale, patch=patch, boundary=config.boundary)
            lrs = [crop(row, column) for row, column in places]
        else:
            lrs = [lr[row : row + patch, column : column + patch] for row, column in places]
        side = patch * scale
        hrs = [hr[row * scale :, column * scale :][:side, :side] for row, column in places]
        return {"lr": np.stack(lrs), "hr": np.stack(hrs)}


def make_drawer(images: TrainingImages, shards: int) -> CropDrawer:
    """The drawer of some images; as many strata as images or a few more, a multiple of `shards`."""
    positions = np.ones(len(images), np.int64)
    if images.sizes is not None:
        positions = (images.sizes - images.config.patch + 1).astype(np.int64).prod(1)
    return CropDrawer(images, np.cumsum(positions), -(-len(images) // shards) * shards)


def require_grain() -> Any:
    """The package `grain`, or an `InputError` that it is not installed."""
    try:
        import grain
    except ImportError:
        needed = "the package grain (pip install grain); without it data.pipeline must be pool"
        raise InputError(f"data.pipeline grain needs {needed}") from None
    return grain


@dataclasses.dataclass(frozen=True)
class GrainStream:
    """Training images that are decoded while the device trains."""

    images: TrainingImages

    def chunks(
        self, seed: int, mesh: Mesh, *, chunk: int, groups: int, batch: int
    ) -> "grain.DatasetIterator":
        """Endless patches of one dispatch each, on the devices; the next one is made meanwhile.

        An element is LR `[devices, chunk, G, B, P, P, 3]` and HR `[devices, chunk, G, B, s P, s P, 3]`,
        uint8: `chunk` steps of G groups per device (`groups` over all devices) of B = `batch` patches, which
        `seed`, under 2**32, and `groups` determine. The iterator's state is a position, for a checkpoint.
        Raises `InputError`: `grain` is not installed; when an element is asked for, see `CropDrawer`.
        """
        grain = require_grain()
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # Grain's workers read flags, this program has none
        config = self.images.config
        each = groups // mesh.devices.size
        drawer = make_drawer(self.images, groups)
        local = [place * each + i for place in parallel.local_places(mesh) for i in range(each)]
        shards = [make_shard(drawer, drawer.strata, group, groups, seed) for group in local]
        count = -(-chunk * batch // config.crops_per_image)
        drawn = grain.experimental.ZipMapDataset(shards).map(_stack)
        # A worker with threads of its own does not end before Grain's 25 s are over.
        threads = 0 if config.workers else min(_MAX_THREADS, os.cpu_count() or 1)
        ahead = max(threads, min(count, 4 * threads))  # at most the images of a chunk
        read = drawn.to_iter_dataset(grain.ReadOptions(threads, ahead))
        options = grain.MultiprocessingOptions(config.workers, per_worker_buffer_size=4)
        arrange = functools.partial(arrange_chunk, chunk=chunk, batch=batch, each=each)
        host = read.mp_prefetch(options, _end_with_parent).batch(count).map(arrange)
        placed = host.map(functools.partial(parallel.from_local, mesh=mesh))
        return iter(grain.experimental.ThreadPrefetchIterDataset(placed, prefetch_buffer_size=1))


def _end_with_parent(worker: int, workers: int) -> None:
    """In a worker: end when the process that started it is killed, which Grain's workers do not notice."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def make_shard(
    draw: Callable[[int, np.random.Generator], Any], strata: int, group: int, groups: int, seed: int
) -> "grain.MapDataset":
    """What `draw` makes of one group's strata, endless: in another order each epoch, drawn anew."""
    grain = require_grain()
    own = int(np.random.SeedSequence([seed, group]).generate_state(1)[0])
    numbers = grain.MapDataset.range(strata)[group::groups]
    return numbers.seed(own).shuffle().repeat().random_map(draw)


def _stack(groups: tuple[Crops, ...]) -> Crops:
    return {name: np.stack([crops[name] for crops in groups]) for name in groups[0]}


def arrange_chunk(images: Crops, *, chunk: int, batch: int, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Crops `[images, groups, K, ...]` as LR and HR `[devices, chunk, each, B, ...]`.

    Crops of one image come as many places apart as there are images: in other steps, unless a chunk has
    fewer steps than an image gives crops.
    """

    def arrange(crops: np.ndarray) -> np.ndarray:
        devices, pixels = crops.shape[1] // each, crops.shape[3:]
        flat = crops.transpose(1, 2, 0, *range(3, crops.ndim)).reshape(devices, each, -1, *pixels)
        steps = flat[:, :, : chunk * batch].reshape(devices, each, chunk, batch, *pixels)
        return np.ascontiguousarray(steps.swapaxes(1, 2))

    return arrange(images["lr"]), arrange(images["hr"])
