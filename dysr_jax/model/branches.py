"""The candidate operations of a body slot, and the registry that names them.

A branch says which kernels it reads (`reads`), what it computes from them (`__call__`), and how another
runtime computes it (`build`). Branches of a slot that read a kernel of the same name share it: each gets the
spatial centre and the leading channels of the largest one (`dysr_jax.model.kernels`). Every branch maps
`[N, H, W, C]` to `[N, H, W, C]`, so any branch can follow any branch.

To add one: write a subclass of `Branch`, and register an instance under a short name.
"""

import abc
from typing import TYPE_CHECKING, Any, ClassVar, Final

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array
from jax import lax

from dysr_jax.errors import InputError
from dysr_jax.model.backend import Layer, LayerBackend
from dysr_jax.model.kernels import Kernels, KernelSpec

if TYPE_CHECKING:
    from dysr_jax.model.operations import Operations

Specs = dict[str, KernelSpec]
RESIDUAL_GAIN: Final = 0.1
"""Variance gain of a kernel that writes into the residual stream: deep stacks start near identity."""


class Branch(abc.ABC):
    """One candidate operation of a slot. Instances hold static options only."""

    nested: ClassVar[bool] = False
    """Whether a narrow instance is a wide one before whose layers channels are masked: all that a layer makes
    is read by another layer or has the trunk's channels, and instances that read kernels of the same names
    and spatial sides differ only in how many channels they read. Not inherited."""

    @abc.abstractmethod
    def reads(self, width: int, scale: int) -> Specs:
        """What the branch reads, by kernel name, for a trunk of `width` channels."""

    @abc.abstractmethod
    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """`[N, H, W, C]` to the same, by convolutions of `layers`; `kernels` are cut to what is read."""

    def build(self, kernels: Kernels, x: Any, ops: "Operations") -> Any:
        """What `__call__` computes, for another runtime: `[1, C, H, W]` to the same, by `ops`.

        Raises `InputError` where a branch does not define it: then it has no ONNX form.
        """
        name = type(self).__name__
        raise InputError(f"branch {name}: must have a method `build` beside `__call__` to run in ONNX")

    def radius(self, width: int, scale: int) -> int | None:
        """How many pixels away an input pixel still counts for an output pixel; None: all of them do.

        Big images are cut into tiles by it. Here it follows from `reads`: spatial kernels are applied one
        after the other, and a kernel that is applied once per image sees all. A branch that sees farther in
        another way (dilation, pooling, shifts) has to say so.
        """
        specs = self.reads(width, scale).values()
        if not all(spec.per_pixel for spec in specs):
            return None
        return sum(spec.shape[0] // 2 for spec in specs if len(spec.shape) > 2)


def layer_specs(name: str, shape: tuple[int, ...], gain: float, *, per_pixel: bool = True) -> Specs:
    """A kernel of this name, and its bias `{name}_bias`, which starts at 0."""
    return {name: KernelSpec(shape, gain, per_pixel), f"{name}_bias": KernelSpec(shape[-1:], 0.0)}


def layer_of(kernels: Kernels, name: str) -> Layer:
    """The kernel of this name and its bias."""
    return kernels[name], kernels[f"{name}_bias"]


def build_layer(ops: "Operations", x: Any, kernels: Kernels, name: str) -> Any:
    """The convolution by the kernel of this name, with its bias."""
    return ops.conv(x, *map(np.asarray, layer_of(kernels, name)))


def hidden_width(expand: float, width: int) -> int:
    """Channels inside a branch that has `expand` times the `width` channels of the trunk; at least 1."""
    return max(1, int(expand * width))


class Identity(Branch):
    """Passes its input on: with it, depth is searched too."""

    def reads(self, width: int, scale: int) -> Specs:
        """Nothing."""
        return {}

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """The input itself."""
        return x

    def build(self, kernels: Kernels, x: Any, ops: "Operations") -> Any:
        """See `Branch.build`."""
        return x


class Separable(Branch):
    """`x + relu(pointwise(depthwise(x)))` (Howard et al. 2017, MobileNets)."""

    nested = True

    def __init__(self, size: int) -> None:
        self.size = size

    def reads(self, width: int, scale: int) -> Specs:
        """A depthwise kernel, a pointwise kernel and its bias."""
        depthwise = {"depthwise": KernelSpec((self.size, self.size, width))}
        return depthwise | layer_specs("pointwise", (width, width), RESIDUAL_GAIN)

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        y = layers.depthwise_conv2d(x, kernels["depthwise"])
        return x + jax.nn.relu(layers.pointwise(y, kernels["pointwise"]) + kernels["pointwise_bias"])

    def build(self, kernels: Kernels, x: Any, ops: "Operations") -> Any:
        """See `Branch.build`."""
        y = ops.conv(x, np.asarray(kernels["depthwise"]))
        return ops.add(x, ops.relu(build_layer(ops, y, kernels, "pointwise")))


class Conv(Branch):
    """`x + relu(conv(x))`; the 3x3 kernel is the centre of the 5x5 one."""

    nested = True

    def __init__(self, size: int) -> None:
        self.size = size

    def reads(self, width: int, scale: int) -> Specs:
        """A dense kernel and its bias."""
        return layer_specs("conv", (self.size, self.size, width, width), RESIDUAL_GAIN)

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        return x + jax.nn.relu(layers.conv2d(x, kernels["conv"]) + kernels["conv_bias"])

    def build(self, kernels: Kernels, x: Any, ops: "Operations") -> Any:
        """See `Branch.build`."""
        return ops.add(x, ops.relu(build_layer(ops, x, kernels, "conv")))


class ResidualPair(Branch):
    """`x + conv(relu(conv(x)))` (Lim et al. 2017, EDSR) with `expand` times the trunk width inside.

    With `attention`, a squeeze-and-excitation gate (Zhang et al. 2018, RCAN) scales each channel of the
    second convolution's output.
    """

    nested = True

    def __init__(self, expand: float, *, attention: bool = False, reduction: int = 4) -> None:
        self.expand = expand
        self.attention = attention
        self.reduction = reduction

    def squeezed_width(self, width: int) -> int:
        """Channels inside the gate, for a trunk of `width`; 0 without a gate."""
        return max(1, width // self.reduction) if self.attention else 0

    def reads(self, width: int, scale: int) -> Specs:
        """Two dense kernels with biases, and the gate's two matrices with biases."""
        hidden, squeezed = hidden_width(self.expand, width), self.squeezed_width(width)
        specs = layer_specs("pair_in", (3, 3, width, hidden), 2.0)
        specs |= layer_specs("pair_out", (3, 3, hidden, width), RESIDUAL_GAIN)
        if self.attention:
            specs |= layer_specs("gate_in", (width, squeezed), 2.0, per_pixel=False)
            specs |= layer_specs("gate_out", (squeezed, width), 1.0, per_pixel=False)
        return specs

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        first, last = layer_of(kernels, "pair_in"), layer_of(kernels, "pair_out")
        if not self.attention:
            return layers.residual_pair(x, first, last)
        y = jax.nn.relu(layers.conv2d(x, first[0]) + first[1])
        y = layers.conv2d(y, last[0]) + last[1]
        return x + y * _gate(kernels, y, layers)

    def build(self, kernels: Kernels, x: Any, ops: "Operations") -> Any:
        """See `Branch.build`."""
        y = ops.relu(build_layer(ops, x, kernels, "pair_in"))
        y = build_layer(ops, y, kernels, "pair_out")
        if self.attention:
            hidden = ops.relu(build_layer(ops, ops.mean(y), kernels, "gate_in"))
            y = ops.multiply(y, ops.sigmoid(build_layer(ops, hidden, kernels, "gate_out")))
        return ops.add(x, y)


class Bottleneck(Branch):
    """`x + pointwise(relu(conv(relu(pointwise(x)))))` with a share of the trunk's width inside.

    The cheapest branch with a 3x3: the bottleneck of He et al. 2016 (ResNet), whose shrinking, mapping and
    expanding FSRCNN (Dong et al. 2016) does once.
    """

    nested = True

    def __init__(self, expand: float) -> None:
        self.expand = expand

    def reads(self, width: int, scale: int) -> Specs:
        """A pointwise kernel, a dense one, a pointwise one, with biases."""
        hidden = hidden_width(self.expand, width)
        specs = layer_specs("shrink", (width, hidden), 2.0)
        specs |= layer_specs("map", (3, 3, hidden, hidden), 2.0)
        return specs | layer_specs("expand", (hidden, width), RESIDUAL_GAIN)

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        return layers.bottleneck(x, *(layer_of(kernels, name) for name in ("shrink", "map", "expand")))

    def build(self, kernels: Kernels, x: Any, ops: "Operations") -> Any:
        """See `Branch.build`."""
        y = ops.relu(build_layer(ops, x, kernels, "shrink"))
        y = ops.relu(build_layer(ops, y, kernels, "map"))
        return ops.add(x, build_layer(ops, y, kernels, "expand"))


class Plain(Branch):
    """`relu(x + conv(x))`: nothing passes beside the activation, so a GPU's one kernel computes all of it.

    What efficient networks are folded to (Ding et al. 2021, RepVGG), but that the identity stays a sum:
    inside the kernel, in half precision, it would round the diagonal.
    """

    nested = True

    def __init__(self, size: int) -> None:
        self.size = size

    def reads(self, width: int, scale: int) -> Specs:
        """A dense kernel and its bias."""
        return layer_specs("plain", (self.size, self.size, width, width), RESIDUAL_GAIN)

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        y = x + (layers.conv2d(x, kernels["plain"]) + kernels["plain_bias"])
        return lax.platform_dependent(y, cpu=_kept_relu, default=jax.nn.relu)

    def build(self, kernels: Kernels, x: Any, ops: "Operations") -> Any:
        """See `Branch.build`."""
        return ops.relu(ops.add(x, build_layer(ops, x, kernels, "plain")))


def _kept_relu(x: Array) -> Array:
    """ReLU that is computed once: XLA's CPU backend would compute it again in all that reads it, branch after
    branch back to the head.
    """
    return lax.optimization_barrier(jax.nn.relu(x))


class Stack(Branch):
    """`x + y`, where `y` is three 3x3 convolutions of `x` with ReLU between them.

    `guided`, it is `(x + y) * (1 + pointwise(y))`, after the attention of SPANV2 (NTIRE 2026 challenge on
    efficient super-resolution); with zeros in the pointwise kernel it is `x + y`.
    """

    nested = True

    def __init__(self, *, guided: bool = False) -> None:
        self.guided = guided

    def reads(self, width: int, scale: int) -> Specs:
        """Three dense kernels, and the guide's pointwise one, with biases."""
        specs: Specs = {}
        for name, gain in (("stack0", 2.0), ("stack1", 2.0), ("stack2", RESIDUAL_GAIN)):
            specs |= layer_specs(name, (3, 3, width, width), gain)
        return specs | (layer_specs("guide", (width, width), 1.0) if self.guided else {})

    def __call__(self, kernels: Kernels, x: Array, layers: LayerBackend) -> Array:
        """See the class."""
        y = jax.nn.relu(layers.conv2d(x, kernels["stack0"]) + kernels["stack0_bias"])
        y = jax.nn.relu(layers.conv2d(y, kernels["stack1"]) + kernels["stack1_bias"])
        y = layers.conv2d(y, kernels["stack2"]) + kernels["stack2_bias"]
        if not self.guided:
            return x + y
        return (x + y) * (1.0 + (layers.pointwise(y, kernels["guide"]) + kernels["guide_bias"]))

    def build(self, kernels: Kernels, x: Any, ops: "Operations") -> Any:
        """See `Branch.build`."""
        y = ops.relu(build_layer(ops, x, kernels, "stack0"))
        y = ops.relu(build_layer(ops, y, kernels, "stack1"))
        y = build_layer(ops, y, kernels, "stack2")
        total = ops.add(x, y)
        if not self.guided:
            return total
        return ops.add(total, ops.multiply(total, build_layer(ops, y, kernels, "guide")))


def _gate(kernels: Kernels, y: Array, layers: LayerBackend) -> Array:
    """Channel attention `[N, 1, 1, C]` of `[N, H, W, C]`."""
    mean = jnp.mean(y, (1, 2), keepdims=True)
    hidden = jax.nn.relu(layers.pointwise(mean, kernels["gate_in"]) + kernels["gate_in_bias"])
    return jax.nn.sigmoid(layers.pointwise(hidden, kernels["gate_out"]) + kernels["gate_out_bias"])


BODY: dict[str, Branch] = {
    "id": Identity(),
    "s3": Separable(3),
    "s5": Separable(5),
    "c3": Conv(3),
    "c5": Conv(5),
    "bq": Bottleneck(1 / 4),
    "bh": Bottleneck(1 / 2),
    "rq": ResidualPair(1 / 4),
    "rh": ResidualPair(1 / 2),
    "r1": ResidualPair(1),
    "r2": ResidualPair(2),
    "a1": ResidualPair(1, attention=True),
    "a2": ResidualPair(2, attention=True),
    "v3": Plain(3),
    "k3": Stack(),
    "sg": Stack(guided=True),
}
"""Body branches by the short name that stands in arch names."""


def register_branch(registry: dict[str, Branch], name: str, branch: Branch) -> None:
    """Name a branch. Arch names are made of these, so a name is a lower-case letter, then letters or digits.

    Raises InputError: the name is taken or cannot stand in an arch name, or `branch` is no instance of
    `Branch`.
    """
    if not isinstance(branch, Branch):
        raise InputError(f"branch {branch!r}: must be an instance of a subclass of Branch")
    if not isinstance(name, str):
        raise InputError(f"branch name {name!r}: must be text")
    if not (name.isascii() and name.isalnum() and name.islower() and name[0].isalpha()):
        raise InputError(f"branch name {name!r}: must be lower-case letters and digits, a letter first")
    if name in registry:
        raise InputError(f"branch name {name!r} is taken; registered are {', '.join(registry)}")
    registry[name] = branch
