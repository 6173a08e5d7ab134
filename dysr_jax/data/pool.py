"""The training set on the device: crops and augmentation are drawn there, no host work in the loop."""

from collections.abc import Sequence

import chex
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dysr_jax.data.sources import Pair
from dysr_jax.errors import InputError

MAX_CROPS = 2**31 - 1


@flax.struct.dataclass
class Pool:
    """LR/HR images padded to one shape; all crops of all images are equally likely."""

    lr: chex.Array
    """`[N, H, W, 3]` uint8, each image in the upper left corner."""
    hr: chex.Array
    """`[N, s H, s W, 3]` uint8."""
    columns: chex.Array
    """int32 `[N]`: crop positions in a row of each image."""
    last: chex.Array
    """int32 `[N]`: number of crops in this image and all before it."""
    patch: int = flax.struct.field(pytree_node=False)
    """Side of a crop, in LR pixels."""

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


def build_pool(pairs: Sequence[Pair], patch: int) -> Pool:
    """Put pairs on the default device.

    Args:
        pairs: each at least `patch` LR pixels high and wide.
        patch: side of a crop, in LR pixels.

    Raises:
        InputError: an image smaller than a patch, or more than 2^31 - 1 crops.
    """
    for pair in pairs:
        if min(pair.lr.shape[:2]) < patch:
            raise InputError(f"image {pair.name!r}: LR {pair.lr.shape[:2]} is under patch {patch}")
    positions = np.array([[side - patch + 1 for side in pair.lr.shape[:2]] for pair in pairs])
    last = np.cumsum(positions.prod(1))
    if last[-1] > MAX_CROPS:
        raise InputError(f"the images have {last[-1]} crops; the device pool holds {MAX_CROPS}")
    return Pool(
        lr=jnp.asarray(_stack([pair.lr for pair in pairs])),
        hr=jnp.asarray(_stack([pair.hr for pair in pairs])),
        columns=jnp.asarray(positions[:, 1], jnp.int32),
        last=jnp.asarray(last, jnp.int32),
        patch=patch,
    )


def to_pixels(image: chex.Array) -> chex.Array:
    """uint8 to float32 in [0, 1]."""
    return image.astype(jnp.float32) / 255.0


def augment(
    image: chex.Array, flip_rows: chex.Array, flip_columns: chex.Array, transpose: chex.Array
) -> chex.Array:
    """One of the eight symmetries of the square, of `[P, P, 3]`; the flags are traced booleans."""
    image = jnp.where(flip_rows, jnp.flip(image, 0), image)
    image = jnp.where(flip_columns, jnp.flip(image, 1), image)
    return jnp.where(transpose, image.swapaxes(0, 1), image)


def _draw_one(key: chex.PRNGKey, pool: Pool) -> tuple[chex.Array, chex.Array]:
    key_crop, key_flags = jax.random.split(key)
    crop = jax.random.randint(key_crop, (), 0, pool.last[-1], jnp.int32)
    image = jnp.searchsorted(pool.last, crop, side="right").astype(jnp.int32)
    offset = crop - jnp.where(image > 0, pool.last[image - 1], 0)
    row, column = offset // pool.columns[image], offset % pool.columns[image]
    flags = jax.random.bernoulli(key_flags, 0.5, (3,))

    def cut(images: chex.Array, scale: int) -> chex.Array:
        side = pool.patch * scale
        start = (image, row * scale, column * scale, jnp.zeros((), jnp.int32))
        return augment(lax.dynamic_slice(images, start, (1, side, side, 3))[0], *flags)

    return cut(pool.lr, 1), cut(pool.hr, pool.scale)


def draw(key: chex.PRNGKey, pool: Pool, batch: int) -> tuple[chex.Array, chex.Array]:
    """A batch of random crops, each flipped and transposed at random. Traceable.

    Returns:
        LR `[B, P, P, 3]` and HR `[B, s P, s P, 3]`, float32 in [0, 1].
    """
    lr, hr = jax.vmap(_draw_one, (0, None))(jax.random.split(key, batch), pool)
    return to_pixels(lr), to_pixels(hr)
