"""Branches of efficient networks that may come into the package once they are measured; importing registers
them.

`branch_value.py` measures them. From the folder of the repository a search can try some already:

    dysr search --register experiments.branch_candidates --space.branches id s3 v3 sp r1 --out runs/tried

The commands that read such a run take the same `--register`. `Partial` cannot be trained with `--train.archs
patch` in a space of several widths.
"""

from typing import Final, Literal

import jax
import jax.numpy as jnp
from chex import Array
from jax import lax

from dysr_jax.model import BODY, UPSAMPLERS, Branch, Kernels, KernelSpec, LayerBackend, register_branch
from dysr_jax.model.branches import RESIDUAL_GAIN, Specs, hidden_width, layer_specs


class Plain(Branch):
    """`relu(x + conv(x))`: nothing passes beside the activation, so one kernel of a GPU can compute it all.

    A plain 3x3 convolution is what efficient networks are folded to (Ding et al. 2021, RepVGG). Here the
    identity stays a sum beside the kernel: inside, in half precision, it would round the kernel's diagonal.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def reads(self, width: int, scale: int) -> Specs:
        """A dense kernel and its bias."""
        return layer_specs("plain", (self.size, self.size, width, width), RESIDUAL_GAIN)

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        y = layers.conv2d(x, kernels["plain"]) + kernels["plain_bias"]
        return lax.platform_dependent(x + y, cpu=_kept_relu, default=jax.nn.relu)


def _kept_relu(x: Array) -> Array:
    """ReLU that is computed once: XLA's CPU backend would compute it again in all that reads it, branch after
    branch back to the head.
    """
    return lax.optimization_barrier(jax.nn.relu(x))


class Stack(Branch):
    """Three 3x3 convolutions, ReLU between them, whose output `y` meets the input by a gate.

    `none` is `x + y`; `swift` is `(x + y) * (sigmoid(y) - 1/2)`, the parameter-free attention of Wan et al.
    2024 (SPAN); `guided` is `(x + y) * (1 + pointwise(y))`, that of SPANV2 (NTIRE 2026 challenge on efficient
    super-resolution), which here begins as `x + y`.
    """

    def __init__(self, gate: Literal["none", "swift", "guided"]) -> None:
        self.gate = gate
        # Beside a gate that starts at 0 a small y would silence the trunk.
        self.last, self.gain = ("swift", 1.0) if gate == "swift" else ("stack2", RESIDUAL_GAIN)

    def reads(self, width: int, scale: int) -> Specs:
        """Three dense kernels with biases, and the guide's matrix with its bias."""
        specs = layer_specs("stack0", (3, 3, width, width), 2.0)
        specs |= layer_specs("stack1", (3, 3, width, width), 2.0)
        specs |= layer_specs(self.last, (3, 3, width, width), self.gain)
        return specs | (layer_specs("guide", (width, width), 1.0) if self.gate == "guided" else {})

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        y = jax.nn.relu(layers.conv2d(x, kernels["stack0"]) + kernels["stack0_bias"])
        y = jax.nn.relu(layers.conv2d(y, kernels["stack1"]) + kernels["stack1_bias"])
        y = layers.conv2d(y, kernels[self.last]) + kernels[f"{self.last}_bias"]
        if self.gate == "swift":
            return (x + y) * (jax.nn.sigmoid(y) - 0.5)
        if self.gate == "guided":
            return (x + y) * (1.0 + (layers.pointwise(y, kernels["guide"]) + kernels["guide_bias"]))
        return x + y


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
    "v3": Plain(3),
    "k3": Stack("none"),
    "sp": Stack("swift"),
    "sg": Stack("guided"),
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
