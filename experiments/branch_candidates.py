"""Branches of efficient networks that bring less per millisecond than those of the package.

`branch_value.py` measured them. Importing registers them. From the folder of the repository a
search takes them all the same:

    dysr search --register experiments.branch_candidates --space.branches id s3 sp n5 r1 --out runs/tried

The commands that read such a run take the same `--register`. `Partial` cannot be trained with `--train.archs
patch` in a space of several widths.
"""

from typing import Final

import jax
import jax.numpy as jnp
from chex import Array

from dysr_jax.model import BODY, UPSAMPLERS, Branch, Kernels, KernelSpec, LayerBackend, register_branch
from dysr_jax.model.branches import RESIDUAL_GAIN, Specs, hidden_width, layer_specs


class Swift(Branch):
    """`(x + y) * (sigmoid(y) - 1/2)`, where `y` is three 3x3 convolutions of `x` with ReLU between them: the
    parameter-free attention of Wan et al. 2024 (SPAN).
    """

    def reads(self, width: int, scale: int) -> Specs:
        """Three dense kernels with biases."""
        specs = layer_specs("swift0", (3, 3, width, width), 2.0)
        specs |= layer_specs("swift1", (3, 3, width, width), 2.0)
        return specs | layer_specs("swift2", (3, 3, width, width), 1.0)  # a small `y` would silence the trunk

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        y = jax.nn.relu(layers.conv2d(x, kernels["swift0"]) + kernels["swift0_bias"])
        y = jax.nn.relu(layers.conv2d(y, kernels["swift1"]) + kernels["swift1_bias"])
        y = layers.conv2d(y, kernels["swift2"]) + kernels["swift2_bias"]
        return (x + y) * (jax.nn.sigmoid(y) - 0.5)


class Fused(Branch):
    """`x + pointwise(relu(conv(x)))`: the fused block of EfficientNetV2 (Tan & Le 2021), not widened."""

    def reads(self, width: int, scale: int) -> Specs:
        """A dense kernel and a pointwise one, with biases."""
        specs = layer_specs("fused", (3, 3, width, width), 2.0)
        return specs | layer_specs("fused_out", (width, width), RESIDUAL_GAIN)

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        y = jax.nn.relu(layers.conv2d(x, kernels["fused"]) + kernels["fused_bias"])
        return x + (layers.pointwise(y, kernels["fused_out"]) + kernels["fused_out_bias"])


class Partial(Branch):
    """`x + relu(pointwise(x) + conv(lead))`: the convolution is of a leading `share` of the channels.

    After the partial convolution of Chen et al. 2023 (FasterNet). It is a dense convolution whose kernel is
    zero beside its centre for all other channels.
    """

    def __init__(self, size: int, share: float) -> None:
        self.size = size
        self.share = share

    def reads(self, width: int, scale: int) -> Specs:
        """A dense kernel of the leading channels, a pointwise one of all and its bias."""
        lead = hidden_width(self.share, width)
        specs = {"lead": KernelSpec((self.size, self.size, lead, lead), RESIDUAL_GAIN)}
        return specs | layer_specs("all", (width, width), RESIDUAL_GAIN)

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        lead = kernels["lead"].shape[-1]
        y = layers.conv2d(x[..., :lead], kernels["lead"])
        y = jnp.pad(y, [(0, 0)] * 3 + [(0, x.shape[-1] - lead)])
        return x + jax.nn.relu(layers.pointwise(x, kernels["all"]) + y + kernels["all_bias"])


class Inverted(Branch):
    """`x + pointwise(relu(depthwise(relu(pointwise(x)))))` (Sandler et al. 2018, MobileNetV2)."""

    def reads(self, width: int, scale: int) -> Specs:
        """A pointwise kernel, a depthwise 3x3, a pointwise one, with biases."""
        specs = layer_specs("mixed", (width, width), 2.0)
        specs |= layer_specs("spread", (3, 3, width), 2.0)
        return specs | layer_specs("merged", (width, width), RESIDUAL_GAIN)

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        y = jax.nn.relu(layers.pointwise(x, kernels["mixed"]) + kernels["mixed_bias"])
        y = jax.nn.relu(layers.depthwise_conv2d(y, kernels["spread"]) + kernels["spread_bias"])
        return x + (layers.pointwise(y, kernels["merged"]) + kernels["merged_bias"])


class Broad(Branch):
    """`x + pointwise(relu(pointwise(depthwise(x))))`: ConvNeXt (Liu et al. 2022), not widened."""

    def __init__(self, size: int) -> None:
        self.size = size

    def reads(self, width: int, scale: int) -> Specs:
        """A depthwise kernel and two pointwise ones with biases."""
        specs = {"broad": KernelSpec((self.size, self.size, width))}
        specs |= layer_specs("broad_in", (width, width), 2.0)
        return specs | layer_specs("broad_out", (width, width), RESIDUAL_GAIN)

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        y = layers.depthwise_conv2d(x, kernels["broad"])
        y = jax.nn.relu(layers.pointwise(y, kernels["broad_in"]) + kernels["broad_in_bias"])
        return x + (layers.pointwise(y, kernels["broad_out"]) + kernels["broad_out_bias"])


class Direct(Branch):
    """A pointwise to the sub-pixels, with `depthwise` behind a depthwise 3x3."""

    def __init__(self, *, depthwise: bool = False) -> None:
        self.depthwise = depthwise

    def reads(self, width: int, scale: int) -> Specs:
        """A pointwise kernel C -> 3 s s with its bias, and the depthwise one."""
        specs = layer_specs("direct", (width, 3 * scale * scale), 1e-4)
        return specs | ({"around": KernelSpec((3, 3, width))} if self.depthwise else {})

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        if self.depthwise:
            x = layers.depthwise_conv2d(x, kernels["around"])
        return layers.pointwise(x, kernels["direct"]) + kernels["direct_bias"]


CANDIDATES: Final[dict[str, Branch]] = {
    "sp": Swift(),
    "f1": Fused(),
    "p3": Partial(3, 1 / 2),
    "i1": Inverted(),
    "n5": Broad(5),
    "n7": Broad(7),
}
"""Of the body, by the name that stands in arch names."""

UPSAMPLER_CANDIDATES: Final[dict[str, Branch]] = {"u0": Direct(), "ud": Direct(depthwise=True)}
"""Of the upsampler's slot."""


def register_candidates() -> None:
    """Register those whose name is not registered yet."""
    for registry, candidates in ((BODY, CANDIDATES), (UPSAMPLERS, UPSAMPLER_CANDIDATES)):
        for name, branch in candidates.items():
            if name not in registry:
                register_branch(registry, name, branch)


register_candidates()
