"""The quality that is reported: PSNR-Y over whole validation images."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from dysr_jax.compiling import jit
from dysr_jax.data.degradation import upscale
from dysr_jax.data.sources import Pair
from dysr_jax.metrics import MOST_DB, psnr_y
from dysr_jax.model.programs import frame_program
from dysr_jax.model.supernet import Params, Supernet
from dysr_jax.space import Arch


def bicubic_psnr_y(pairs: Sequence[Pair], scale: int) -> float:
    """Mean PSNR-Y in dB of MATLAB's bicubic upscaling."""
    each = [psnr_y(upscale(p.lr, scale), p.hr, scale) for p in pairs]
    return float(np.mean(np.minimum(each, MOST_DB)))


def archs_psnr_y(
    net: Supernet, params: Params, archs: Sequence[Arch], pairs: Sequence[Pair]
) -> list[float]:
    """Mean PSNR-Y in dB of each arch over whole images.

    By the search program, so an image shape compiles once and not once an arch.
    """
    program = frame_program(net)
    scale = net.space.scale

    @jit
    def quality(params: Params, arch: jax.Array, lr: jax.Array, hr: jax.Array) -> jax.Array:
        return jnp.minimum(psnr_y(program(params, lr[None], arch)[0], hr, scale), MOST_DB)

    genes = [jnp.asarray(arch, jnp.int32) for arch in archs]
    images = [(jnp.asarray(pair.lr), jnp.asarray(pair.hr)) for pair in pairs]
    each = [[quality(params, arch, lr, hr) for lr, hr in images] for arch in genes]
    return [float(np.mean(jax.device_get(values))) for values in each]
