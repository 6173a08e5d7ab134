"""More variety than a small set of images has: rescaled copies, permuted colours, mixed patches."""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
import numpy as np

from dysr_jax.data.degradation import Boundary, resize


def rescaled(
    images: Sequence[tuple[str, np.ndarray]], factors: Sequence[float], boundary: Boundary
) -> list[tuple[str, np.ndarray]]:
    """The images, then each of them shrunk by MATLAB's bicubic to each factor of its sides.

    Shrunk photographs have more detail a pixel; VDSR and its successors train on such copies.

    Args:
        images: names and `[H, W, 3]` uint8.
        factors: in (0, 1).
        boundary: padding of the bicubic.
    """
    copies = list(images)
    for factor in factors:
        for name, image in images:
            shape = [max(1, round(side * factor)) for side in image.shape[:2]]
            copies.append((f"{name}*{factor:g}", resize(image, (shape[0], shape[1]), boundary)))
    return copies


def permute_colours(key: chex.PRNGKey, *batches: chex.Array) -> list[chex.Array]:
    """The same random order of the channels for patch i of every batch `[B, H, W, 3]`."""
    count = batches[0].shape[0]
    order = jnp.argsort(jax.random.uniform(key, (count, 3)), 1)
    permutation = jax.nn.one_hot(order, 3, dtype=batches[0].dtype)
    return [jnp.einsum("nhwi,noi->nhwo", x, permutation, precision="highest") for x in batches]


def mix_patches(key: chex.PRNGKey, share: float, *batches: chex.Array) -> list[chex.Array]:
    """A share of the patches `[B, H, W, C]` blended with their neighbour in the batch (mixup, Zhang et al. 2018).

    Bicubic degradation is linear, so the blend of two LR patches is that of the blended HR ones, but for
    rounding (Yoo et al. 2020 use it for super-resolution as "Blend").
    """
    key_which, key_weight = jax.random.split(key)
    count = batches[0].shape[0]
    which = jax.random.bernoulli(key_which, share, (count, 1, 1, 1))
    weight = jnp.where(which, jax.random.uniform(key_weight, (count, 1, 1, 1)), 0.0)
    return [x + weight.astype(x.dtype) * (jnp.roll(x, 1, 0) - x) for x in batches]
