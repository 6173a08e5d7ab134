"""The branches of the last slot: from the trunk `[N, H, W, C]` to the HR pixels, still at LR resolution.

They return `[N, H, W, 3 s s]`. The supernet adds the LR pixel to each of its `s * s` HR pixels and then
shuffles (`pixel_shuffle`), so the global skip costs nothing.
"""

from typing import TYPE_CHECKING, Any

import jax
from chex import Array

from dysr_jax.model.backend import LayerBackend
from dysr_jax.model.branches import Branch, build_layer, layer_specs
from dysr_jax.model.kernels import Kernels, KernelSpec

if TYPE_CHECKING:
    from dysr_jax.model.operations import Operations


class SubPixel(Branch):
    """One 3x3 convolution to the sub-pixels (Shi et al. 2016, ESPCN), with `depth` more before it."""

    nested = True

    def __init__(self, depth: int) -> None:
        self.depth = depth

    def reads(self, width: int, scale: int) -> dict[str, KernelSpec]:
        """`depth` dense kernels C -> C, one C -> 3 s s, and biases."""
        specs: dict[str, KernelSpec] = {}
        for i in range(self.depth):
            specs |= layer_specs(f"hidden{i}", (3, 3, width, width), 2.0)
        return specs | layer_specs("subpixel", (3, 3, width, 3 * scale * scale), 1e-4)

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        for i in range(self.depth):
            x = jax.nn.relu(layers.conv2d(x, kernels[f"hidden{i}"]) + kernels[f"hidden{i}_bias"])
        return layers.conv2d(x, kernels["subpixel"]) + kernels["subpixel_bias"]

    def build(self, kernels: Kernels, x: Any, ops: "Operations") -> Any:
        """See `Branch.build`."""
        for i in range(self.depth):
            x = ops.relu(build_layer(ops, x, kernels, f"hidden{i}"))
        return build_layer(ops, x, kernels, "subpixel")


def pixel_shuffle(x: Array, scale: int) -> Array:
    """Depth to space: `[N, H, W, s s 3]` (sub-pixel rows first) to `[N, s H, s W, 3]`."""
    n, h, w, _ = x.shape
    x = x.reshape(n, h, w, scale, scale, 3).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h * scale, w * scale, 3)


UPSAMPLERS: dict[str, Branch] = {"u1": SubPixel(0), "u2": SubPixel(1)}
"""Upsampler branches by the short name that stands in arch names."""
