"""Validation patches: what a candidate's quality is computed on."""

from collections.abc import Sequence

import chex
import flax.struct
import jax.numpy as jnp
import numpy as np

from dysr_jax.data.sources import Pair
from dysr_jax.errors import InputError


@flax.struct.dataclass(eq=False)
class Patches:
    """Validation patches; `image` says which photograph each is from."""

    lr: chex.Array
    """`[P, p, p, 3]` uint8."""
    hr: chex.Array
    """`[P, s p, s p, 3]` uint8."""
    image: chex.Array
    """int32 `[P]`."""


def grid_patches(pairs: Sequence[Pair], count: int, side: int) -> Patches:
    """`count` patches on an even grid over the validation images, the same at each call.

    Args:
        pairs: validation images, each at least `side` LR pixels high and wide.
        count: number of patches; every image gives as many as the others, one at least.
        side: of a patch, in LR pixels.

    Raises:
        InputError: an image is smaller than a patch.
    """
    scale = pairs[0].hr.shape[0] // pairs[0].lr.shape[0]
    lr, hr, image = [], [], []
    each = max(1, count // len(pairs))
    for number, pair in enumerate(pairs):
        free = [length - side for length in pair.lr.shape[:2]]
        if min(free) < 0:
            raise InputError(
                f"validation image {pair.name!r}: LR {pair.lr.shape[:2]} is smaller than a patch; "
                f"allowed is search.patch up to {min(pair.lr.shape[:2])}, not {side}"
            )
        rows = int(np.ceil(np.sqrt(each)))
        for i in range(each):
            row = round(free[0] * (i // rows) / max(1, (each - 1) // rows))
            column = round(free[1] * (i % rows) / max(1, rows - 1))
            lr.append(pair.lr[row : row + side, column : column + side])
            top, left, size = row * scale, column * scale, side * scale
            hr.append(pair.hr[top : top + size, left : left + size])
            image.append(number)
    return Patches(
        lr=jnp.asarray(np.stack(lr)),
        hr=jnp.asarray(np.stack(hr)),
        image=jnp.asarray(image, jnp.int32),
    )
