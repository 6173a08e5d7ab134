"""What is done to a pair of patches on the device before a training step sees it."""

import chex
import jax
import jax.numpy as jnp


def to_pixels(image: chex.Array) -> chex.Array:
    """uint8 to float32 in [0, 1]."""
    return image.astype(jnp.float32) / 255.0


def symmetry(
    image: chex.Array, flip_rows: chex.Array, flip_columns: chex.Array, transpose: chex.Array
) -> chex.Array:
    """One of the eight symmetries of the square, of `[P, P, 3]`; the flags are traced booleans."""
    image = jnp.where(flip_rows, jnp.flip(image, 0), image)
    image = jnp.where(flip_columns, jnp.flip(image, 1), image)
    return jnp.where(transpose, image.swapaxes(0, 1), image)


def augment(key: chex.PRNGKey, lr: chex.Array, hr: chex.Array) -> tuple[chex.Array, chex.Array]:
    """A pair of patches, `[P, P, 3]` and `[s P, s P, 3]`, turned by one random symmetry of the square."""
    flags = jax.random.bernoulli(key, 0.5, (3,))
    return symmetry(lr, *flags), symmetry(hr, *flags)


def prepare(key: chex.PRNGKey, lr: chex.Array, hr: chex.Array) -> tuple[chex.Array, chex.Array]:
    """A batch of crops as a training step sees it, each augmented on its own. Traceable.

    Args:
        key: of the batch.
        lr: `[B, P, P, 3]` uint8.
        hr: `[B, s P, s P, 3]` uint8.

    Returns:
        LR and HR of the same shapes, float32 in [0, 1].
    """
    keys = jax.random.split(key, lr.shape[0])
    return jax.vmap(augment)(keys, to_pixels(lr), to_pixels(hr))
