"""What is done to a pair of patches on the device before a training step sees it. Pixels are in [0, 1]."""

import jax
import jax.numpy as jnp
from chex import Array, PRNGKey

from dysr_jax.metrics import to_pixels


def symmetry(image: Array, rows: Array, columns: Array, transpose: Array) -> Array:
    """One of the eight symmetries of the square, of `[P, P, 3]`; the flags are traced."""
    image = jnp.where(rows, jnp.flip(image, 0), image)
    image = jnp.where(columns, jnp.flip(image, 1), image)
    return jnp.where(transpose, image.swapaxes(0, 1), image)


def augment(key: PRNGKey, lr: Array, hr: Array) -> tuple[Array, Array]:
    """A pair of patches, `[P, P, 3]` and `[s P, s P, 3]`, turned by one random symmetry of the square."""
    flags = jax.random.bernoulli(key, 0.5, (3,))
    return symmetry(lr, *flags), symmetry(hr, *flags)


def prepare(key: PRNGKey, lr: Array, hr: Array) -> tuple[Array, Array]:
    """Crops, `[B, P, P, 3]` and `[B, s P, s P, 3]` uint8, as pixels, each pair augmented alone. Traceable."""
    keys = jax.random.split(key, lr.shape[0])
    return jax.vmap(augment)(keys, to_pixels(lr), to_pixels(hr))


def shuffle_channels(key: PRNGKey, *batches: Array) -> list[Array]:
    """The same random order of the channels for patch i of every batch `[B, H, W, 3]`."""
    order = jnp.argsort(jax.random.uniform(key, (len(batches[0]), 3)), 1)
    permutation = jax.nn.one_hot(order, 3, dtype=batches[0].dtype)
    return [jnp.einsum("nhwi,noi->nhwo", x, permutation, precision="highest") for x in batches]


def jitter_colors(key: PRNGKey, share: float, *batches: Array) -> list[Array]:
    """A share of the patches `[B, H, W, 3]` with other saturation, contrast, brightness and sign.

    Saturation falls to between all and nothing, contrast to between all and half, brightness is anything that
    then fits into [0, 1], half become negatives. All is affine: LR stays the degradation of HR, but for
    rounding; a network cannot tell photographs apart by their colours.
    """
    keys = jax.random.split(key, 5)
    size = (batches[0].shape[0], 1, 1, 1)
    which = jax.random.bernoulli(keys[0], share, size)
    saturation = jax.random.uniform(keys[1], size)
    contrast = jax.random.uniform(keys[2], size, minval=0.5)
    brightness = jax.random.uniform(keys[3], size) * (1.0 - contrast)
    negative = jax.random.bernoulli(keys[4], 0.5, size)

    def change(x: Array) -> Array:
        grey = jnp.mean(x, -1, keepdims=True)
        y = contrast * (grey + saturation * (x - grey)) + brightness
        return jnp.where(which, jnp.where(negative, 1.0 - y, y), x)

    return [change(x) for x in batches]


def vary_batch(
    key: PRNGKey, lr: Array, hr: Array, *, channel_shuffle: bool, color_jitter: float, noise: float
) -> tuple[Array, Array]:
    """A prepared batch: channels shuffled, the colours of a share of it changed, noise on the LR patches.

    `noise` is a standard deviation in levels of 255: under one it is no more than rounding, and hides the
    last bits by which patches can be recognised.
    """
    keys = jax.random.split(key, 4)  # the third was another augmentation's: trained weights keep their draws
    batch = [lr, hr]
    if channel_shuffle:
        batch = shuffle_channels(keys[0], *batch)
    if color_jitter:
        batch = jitter_colors(keys[1], color_jitter, *batch)
    if noise:
        batch[0] = batch[0] + noise / 255.0 * jax.random.normal(keys[3], lr.shape, lr.dtype)
    return batch[0], batch[1]
