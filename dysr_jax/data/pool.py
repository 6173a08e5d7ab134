"""The training set on the device: crops are drawn there, no host work in the loop."""

from collections.abc import Sequence
from typing import Final

import chex
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dysr_jax.data.augment import prepare
from dysr_jax.data.examples import Pair
from dysr_jax.errors import InputError

MAX_CROPS: Final = 2**31 - 1


@flax.struct.dataclass(eq=False)
class CropPool:
    """LR `[N, H, W, 3]` and HR `[N, s H, s W, 3]` uint8, padded; all crops of all images are equally likely.

    Images lie in the upper left corners. int32 `[N]`: `columns` counts crop positions in a row of each image,
    `last` those in the image and all before it. `patch` is the side of a crop in LR pixels.
    """

    lr: chex.Array
    hr: chex.Array
    columns: chex.Array
    last: chex.Array
    patch: int = flax.struct.field(pytree_node=False)

    @property
    def scale(self) -> int:
        """Side of HR over side of LR."""
        return self.hr.shape[1] // self.lr.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels on each device."""
        return self.lr.nbytes + self.hr.nbytes


def _stack(images: Sequence[np.ndarray]) -> np.ndarray:
    rows, columns = (max(image.shape[axis] for image in images) for axis in (0, 1))
    stacked = np.zeros((len(images), rows, columns, 3), np.uint8)
    for place, image in zip(stacked, images, strict=True):
        place[: image.shape[0], : image.shape[1]] = image
    return stacked


def build_pool(pairs: Sequence[Pair], patch: int) -> CropPool:
    """Put pairs on the default device; an `InputError` if one is under `patch` or crops are too many."""
    for pair in pairs:
        if min(pair.lr.shape[:2]) < patch:
            raise InputError(f"image {pair.name!r}: LR {pair.lr.shape[:2]} is under patch {patch}")
    positions = np.array([[side - patch + 1 for side in pair.lr.shape[:2]] for pair in pairs])
    last = np.cumsum(positions.prod(1))
    if last[-1] > MAX_CROPS:
        raise InputError(f"the images have {last[-1]} crops; the device pool holds {MAX_CROPS}")
    lr, hr = (jnp.asarray(_stack([getattr(pair, name) for pair in pairs])) for name in ("lr", "hr"))
    columns, ends = (jnp.asarray(numbers, jnp.int32) for numbers in (positions[:, 1], last))
    return CropPool(lr, hr, columns, ends, patch)


def _crop_one(key: chex.PRNGKey, pool: CropPool) -> tuple[chex.Array, chex.Array]:
    crop = jax.random.randint(key, (), 0, pool.last[-1], jnp.int32)
    image = jnp.searchsorted(pool.last, crop, side="right").astype(jnp.int32)
    offset = crop - jnp.where(image > 0, pool.last[image - 1], 0)
    row, column = offset // pool.columns[image], offset % pool.columns[image]

    def cut(images: chex.Array, scale: int) -> chex.Array:
        side = pool.patch * scale
        start = (image, row * scale, column * scale, jnp.zeros((), jnp.int32))
        return lax.dynamic_slice(images, start, (1, side, side, 3))[0]

    return cut(pool.lr, 1), cut(pool.hr, pool.scale)


def draw_batch(key: chex.PRNGKey, pool: CropPool, batch: int) -> tuple[chex.Array, chex.Array]:
    """Random crops, augmented: LR `[B, P, P, 3]`, HR `[B, s P, s P, 3]`, float32 in [0, 1]. Traceable."""
    key_crops, key_augment = jax.random.split(key)
    lr, hr = jax.vmap(_crop_one, (0, None))(jax.random.split(key_crops, batch), pool)
    return prepare(key_augment, lr, hr)
