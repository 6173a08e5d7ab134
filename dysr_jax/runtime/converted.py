"""Planes through a server that takes RGB images: converted before and after it, with 8 bits in between."""

from collections.abc import Callable

import chex
import jax
import numpy as np

from dysr_jax.compiling import jit
from dysr_jax.device import default_device
from dysr_jax.metrics import to_uint8
from dysr_jax.model import RGB, Frame, FrameFormat, frame_spec, read_frame, write_frame


def _read(arrays: tuple[chex.Array, ...], form: FrameFormat) -> chex.Array:
    return to_uint8(read_frame(tuple(array[None] for array in arrays), form)[0])


def _write(image: chex.Array, form: FrameFormat) -> chex.Array:
    return write_frame(image[None] / 255.0, form)[0]


_to_image, _from_image = (jit(function, static_argnums=1) for function in (_read, _write))


def dispatch_converted(frame: Frame, dispatch: Callable[[chex.Array], chex.Array]) -> chex.Array:
    """What leaves for a frame: `dispatch` upscales its image, `[H, W, 3]` uint8."""
    output = dispatch(_to_image(frame.arrays, frame.format))
    # A result in pinned host memory goes back to the device.
    return _from_image(jax.device_put(output, default_device()), frame.format)


def prepare_converted(shape: tuple[int, int], scale: int, form: FrameFormat) -> None:
    """Compile both conversions for upright frames of `shape`, unless there are none."""
    if form != RGB:
        arrays = tuple(np.zeros(spec.shape, spec.dtype) for spec in frame_spec(shape, None, form))
        large = np.zeros((scale * shape[0], scale * shape[1], 3), np.uint8)
        jax.block_until_ready(dispatch_converted(Frame(arrays, form), lambda image: large))
