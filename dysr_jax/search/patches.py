"""Quality of archs: the validation patches of the search, and PSNR-Y over whole images, which is reported."""

from collections.abc import Sequence

import chex
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from dysr_jax.compiling import jit
from dysr_jax.data import Pair, bicubic_upscale
from dysr_jax.errors import InputError
from dysr_jax.metrics import PSNR_CAP_DB, psnr_y
from dysr_jax.model import Arch, Params, Supernet, frame_program


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
    """`count` patches of `side` LR pixels on an even grid over the validation images, the same at each call.

    Every image gives as many as the others, one at least.

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
                f"search.patch must be at most {min(pair.lr.shape[:2])}, got {side}"
            )
        rows = int(np.ceil(np.sqrt(each)))
        for i in range(each):
            row = round(free[0] * (i // rows) / max(1, (each - 1) // rows))
            column = round(free[1] * (i % rows) / max(1, rows - 1))
            lr.append(pair.lr[row : row + side, column : column + side])
            top, left, size = row * scale, column * scale, side * scale
            hr.append(pair.hr[top : top + size, left : left + size])
            image.append(number)
    return Patches(jnp.asarray(np.stack(lr)), jnp.asarray(np.stack(hr)), jnp.asarray(image, jnp.int32))


def bicubic_psnr_y(pairs: Sequence[Pair], scale: int) -> float:
    """Mean PSNR-Y in dB of MATLAB's bicubic upscaling."""
    each = [psnr_y(bicubic_upscale(p.lr, scale), p.hr, scale) for p in pairs]
    return float(np.mean(np.minimum(each, PSNR_CAP_DB)))


def archs_psnr_y(net: Supernet, params: Params, archs: Sequence[Arch], pairs: Sequence[Pair]) -> list[float]:
    """Mean PSNR-Y in dB of each arch over whole images.

    By the search program, so an image shape compiles once and not once per arch.
    """
    program, scale = frame_program(net), net.space.scale

    @jit
    def quality(params: Params, arch: jax.Array, lr: jax.Array, hr: jax.Array) -> jax.Array:
        return jnp.minimum(psnr_y(program(params, lr[None], arch)[0], hr, scale), PSNR_CAP_DB)

    genes = [jnp.asarray(arch, jnp.int32) for arch in archs]
    images = [(jnp.asarray(pair.lr), jnp.asarray(pair.hr)) for pair in pairs]
    each = [[quality(params, arch, lr, hr) for lr, hr in images] for arch in genes]
    return [float(np.mean(jax.device_get(values))) for values in each]
