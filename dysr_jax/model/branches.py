"""The candidate operations of a body slot, and the registry that names them.

A branch says which kernels it reads (`reads`) and what it computes from them (`__call__`). Branches of a
slot that read a kernel of the same name share it: each gets the spatial centre and the leading channels
of the largest one (`dysr_jax.model.kernels`). Every branch maps `[N, H, W, C]` to `[N, H, W, C]`, so any
branch can follow any branch.

To add one: write a subclass of `Branch`, and register an instance under a short name.
"""

import abc
import functools
import math
from collections.abc import Callable, Sequence
from typing import Final, Self

import chex
import jax
import jax.numpy as jnp
import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model.conv import conv2d, depthwise_conv2d, pointwise
from dysr_jax.model.kernels import Kernels, KernelSpec, cut_all

RESIDUAL_GAIN: Final = 0.1
"""Variance gain of a kernel that writes into the residual stream: deep stacks start near identity."""


class Branch(abc.ABC):
    """One candidate operation of a slot. Instances hold static options only."""

    @abc.abstractmethod
    def reads(self, width: int, scale: int) -> dict[str, KernelSpec]:
        """What the branch reads, by kernel name, for a trunk of `width` channels."""

    @abc.abstractmethod
    def __call__(self, kernels: Kernels, x: chex.Array) -> chex.Array:
        """`[N, H, W, C]` to `[N, H, W, C]`, with `kernels` cut to the shapes that `reads` names."""

    @classmethod
    def blend(
        cls, branches: Sequence[Self], stored: Kernels, x: chex.Array, chosen: chex.Array, scale: int
    ) -> chex.Array:
        """Branches of this class, of which each image of a batch takes its own or none.

        Computes them all and adds up. A class whose branches are parts of one another overrides this, so that
        the largest is computed once and masked. A subclass that computes something else does not inherit
        such an override.

        Args:
            branches: of this class.
            stored: the kernels that the slot stores.
            x: `[N, H, W, C]`.
            chosen: `[N, branches]` of the dtype of `x`, 1 for the branch that an image takes, else 0.
            scale: of the space.

        Returns:
            `[N, H, W, C]`; zeros for an image that takes none of them.
        """
        outputs = (branch(cut_all(stored, branch.reads(x.shape[-1], scale)), x) for branch in branches)
        columns = jnp.moveaxis(chosen, 1, 0)[..., None, None, None]
        return sum(column * out for column, out in zip(columns, outputs, strict=True))

    def radius(self, width: int, scale: int) -> int | None:
        """How many pixels away an input pixel still counts for an output pixel; None: all of them do.

        Big images are cut into tiles by it. Here it follows from `reads`: spatial kernels that are applied
        one after the other, and None where a kernel is applied once an image. A branch that sees farther
        in another way (dilation, pooling, shifts) has to say so.
        """
        specs = self.reads(width, scale).values()
        if not all(spec.per_pixel for spec in specs):
            return None
        return sum(spec.shape[0] // 2 for spec in specs if len(spec.shape) > 2)


def parameter_count(specs: dict[str, KernelSpec]) -> int:
    """Number of weights that a branch with these `reads` uses."""
    return sum(math.prod(spec.shape) for spec in specs.values())


def mult_adds_per_pixel(specs: dict[str, KernelSpec]) -> int:
    """Multiply-adds of a branch for each LR pixel; biases and per-image kernels count nothing."""
    kernels = (s for s in specs.values() if s.per_pixel and len(s.shape) > 1)
    return sum(math.prod(spec.shape) for spec in kernels)


def hidden_width(expand: float, width: int) -> int:
    """Channels inside a branch that has `expand` times the `width` channels of the trunk; at least 1."""
    return max(1, int(expand * width))


class Identity(Branch):
    """Passes its input on: with it, depth is searched too."""

    def reads(self, width: int, scale: int) -> dict[str, KernelSpec]:
        """Nothing."""
        del width, scale
        return {}

    def __call__(self, kernels: Kernels, x: chex.Array) -> chex.Array:
        """The input itself."""
        del kernels
        return x


class Separable(Branch):
    """`x + relu(pointwise(depthwise(x)))` (Howard et al. 2017, MobileNets)."""

    def __init__(self, size: int) -> None:
        self.size = size

    def reads(self, width: int, scale: int) -> dict[str, KernelSpec]:
        """A depthwise kernel, a pointwise kernel and its bias."""
        del scale
        return {
            "depthwise": KernelSpec((self.size, self.size, width)),
            "pointwise": KernelSpec((width, width), RESIDUAL_GAIN),
            "pointwise_bias": KernelSpec((width,), 0.0),
        }

    def __call__(self, kernels: Kernels, x: chex.Array) -> chex.Array:
        """See the class."""
        y = depthwise_conv2d(x, kernels["depthwise"])
        return x + jax.nn.relu(pointwise(y, kernels["pointwise"]) + kernels["pointwise_bias"])


class Conv(Branch):
    """`x + relu(conv(x))`; the 3x3 kernel is the centre of the 5x5 one."""

    def __init__(self, size: int) -> None:
        self.size = size

    def reads(self, width: int, scale: int) -> dict[str, KernelSpec]:
        """A dense kernel and its bias."""
        del scale
        return {
            "conv": KernelSpec((self.size, self.size, width, width), RESIDUAL_GAIN),
            "conv_bias": KernelSpec((width,), 0.0),
        }

    def __call__(self, kernels: Kernels, x: chex.Array) -> chex.Array:
        """See the class."""
        return x + jax.nn.relu(conv2d(x, kernels["conv"]) + kernels["conv_bias"])


class ResidualPair(Branch):
    """`x + conv(relu(conv(x)))` (Lim et al. 2017, EDSR) with `expand` times the trunk width inside.

    With `attention`, the second convolution's output is scaled a channel by a squeeze-and-excitation
    gate (Zhang et al. 2018, RCAN).
    """

    def __init__(self, expand: float, *, attention: bool = False, reduction: int = 4) -> None:
        self.expand = expand
        self.attention = attention
        self.reduction = reduction

    def squeezed(self, width: int) -> int:
        """Channels inside the gate, for a trunk of `width`; 0 without one."""
        return max(1, width // self.reduction) if self.attention else 0

    def reads(self, width: int, scale: int) -> dict[str, KernelSpec]:
        """Two dense kernels with biases, and the gate's two matrices with biases."""
        del scale
        hidden = hidden_width(self.expand, width)
        specs = {
            "pair_in": KernelSpec((3, 3, width, hidden), 2.0),
            "pair_in_bias": KernelSpec((hidden,), 0.0),
            "pair_out": KernelSpec((3, 3, hidden, width), RESIDUAL_GAIN),
            "pair_out_bias": KernelSpec((width,), 0.0),
        }
        if self.attention:
            squeezed = self.squeezed(width)
            specs["gate_in"] = KernelSpec((width, squeezed), 2.0, per_pixel=False)
            specs["gate_in_bias"] = KernelSpec((squeezed,), 0.0)
            specs["gate_out"] = KernelSpec((squeezed, width), 1.0, per_pixel=False)
            specs["gate_out_bias"] = KernelSpec((width,), 0.0)
        return specs

    def __call__(self, kernels: Kernels, x: chex.Array) -> chex.Array:
        """See the class."""
        y = jax.nn.relu(conv2d(x, kernels["pair_in"]) + kernels["pair_in_bias"])
        y = conv2d(y, kernels["pair_out"]) + kernels["pair_out_bias"]
        return x + (y * _gate(kernels, y) if self.attention else y)

    @classmethod
    def blend(
        cls, branches: Sequence[Self], stored: Kernels, x: chex.Array, chosen: chex.Array, scale: int
    ) -> chex.Array:
        """The widest pair, with hidden channels masked a image: a narrow one is its leading channels."""
        del scale
        mask = _hidden_mask([hidden_width(branch.expand, x.shape[-1]) for branch in branches], chosen)
        y = jax.nn.relu(conv2d(x, stored["pair_in"]) + stored["pair_in_bias"]) * mask
        taken = jnp.sum(chosen, 1)[:, None, None, None]
        # Where the family is not taken, all that is inside is masked: only the bias is left to mask.
        y = conv2d(y, stored["pair_out"]) + taken * stored["pair_out_bias"]
        if any(branch.attention for branch in branches):
            gated = chosen @ np.array([[branch.attention] for branch in branches], x.dtype)
            mask = _hidden_mask([branch.squeezed(x.shape[-1]) for branch in branches], chosen)
            y = y * (1 + gated[:, :, None, None] * (_gate(stored, y, mask) - 1))
        return taken * x + y


class Bottleneck(Branch):
    """`x + pointwise(relu(conv(relu(pointwise(x)))))` with a share of the trunk's width inside.

    The cheapest branch with a 3x3: the bottleneck of He et al. 2016 (ResNet), whose shrinking, mapping and
    expanding FSRCNN (Dong et al. 2016) does once.
    """

    def __init__(self, expand: float) -> None:
        self.expand = expand

    def reads(self, width: int, scale: int) -> dict[str, KernelSpec]:
        """A pointwise kernel, a dense one, a pointwise one, with biases."""
        del scale
        hidden = hidden_width(self.expand, width)
        return {
            "shrink": KernelSpec((width, hidden), 2.0),
            "shrink_bias": KernelSpec((hidden,), 0.0),
            "map": KernelSpec((3, 3, hidden, hidden), 2.0),
            "map_bias": KernelSpec((hidden,), 0.0),
            "expand": KernelSpec((hidden, width), RESIDUAL_GAIN),
            "expand_bias": KernelSpec((width,), 0.0),
        }

    def __call__(self, kernels: Kernels, x: chex.Array) -> chex.Array:
        """See the class."""
        y = jax.nn.relu(pointwise(x, kernels["shrink"]) + kernels["shrink_bias"])
        y = jax.nn.relu(conv2d(y, kernels["map"]) + kernels["map_bias"])
        return x + pointwise(y, kernels["expand"]) + kernels["expand_bias"]

    @classmethod
    def blend(
        cls, branches: Sequence[Self], stored: Kernels, x: chex.Array, chosen: chex.Array, scale: int
    ) -> chex.Array:
        """The widest, with hidden channels masked an image: a narrow one is its leading channels."""
        del scale
        mask = _hidden_mask([hidden_width(branch.expand, x.shape[-1]) for branch in branches], chosen)
        y = jax.nn.relu(pointwise(x, stored["shrink"]) + stored["shrink_bias"]) * mask
        y = jax.nn.relu(conv2d(y, stored["map"]) + stored["map_bias"]) * mask
        taken = jnp.sum(chosen, 1)[:, None, None, None]
        return taken * x + pointwise(y, stored["expand"]) + taken * stored["expand_bias"]


def _hidden_mask(widths: Sequence[int], chosen: chex.Array) -> chex.Array:
    """`[N, 1, 1, widest]`: 1 for the leading channels that the chosen branch `[N, branches]` has."""
    inside = np.arange(max(widths)) < np.array(widths)[:, None]
    return (chosen @ inside.astype(chosen.dtype))[:, None, None, :]


def _gate(kernels: Kernels, y: chex.Array, mask: float | chex.Array = 1.0) -> chex.Array:
    """Channel attention `[N, 1, 1, C]`: the mean of each channel, twice through a matrix, a sigmoid.

    `mask` is of the channels inside, `[N, 1, 1, squeezed]`.
    """
    mean = jnp.mean(y, (1, 2), keepdims=True)
    hidden = jax.nn.relu(pointwise(mean, kernels["gate_in"]) + kernels["gate_in_bias"])
    return jax.nn.sigmoid(pointwise(mask * hidden, kernels["gate_out"]) + kernels["gate_out_bias"])


def blend(
    branches: Sequence[Branch], stored: Kernels, x: chex.Array, index: chex.Array, scale: int
) -> chex.Array:
    """Each image of a batch through the branch of its index.

    Args:
        branches: of the slot.
        stored: the kernels that the slot stores.
        x: `[N, H, W, C]`.
        index: int `[N]`.
        scale: of the space.

    Returns:
        `[N, H, W, C]`.
    """
    chosen = jax.nn.one_hot(index, len(branches), dtype=x.dtype)
    out = 0
    for kind in dict.fromkeys(type(branch) for branch in branches):
        own = [i for i, branch in enumerate(branches) if type(branch) is kind]
        alike = [branches[i] for i in own]
        out = out + _blend_of(kind)(alike, stored, x, chosen[:, np.array(own)], scale)
    return out


def _blend_of(kind: type[Branch]) -> Callable[..., chex.Array]:
    """The `blend` of a class, unless it inherits one that says nothing of its own `__call__` or `reads`."""
    for base in kind.__mro__:
        if "blend" in vars(base):
            break
        if {"__call__", "reads"} & vars(base).keys():
            return functools.partial(Branch.blend.__func__, kind)  # type: ignore[attr-defined]
    return kind.blend


BODY: dict[str, Branch] = {}
"""Body branches by the short name that stands in arch names."""


def register(registry: dict[str, Branch], name: str, branch: Branch) -> None:
    """Name a branch. Arch names are made of these, so a name is a letter, then letters or digits.

    Raises:
        InputError: the name is taken or cannot stand in an arch name, or `branch` is no instance of `Branch`.
    """
    if not isinstance(branch, Branch):
        raise InputError(f"branch {branch!r}: must be an instance of a subclass of Branch")
    if not isinstance(name, str):
        raise InputError(f"branch name {name!r}: must be text")
    if not (name.isascii() and name.isalnum() and name.islower() and name[0].isalpha()):
        raise InputError(f"branch name {name!r}: allowed are lower-case letters and digits, a letter first")
    if name in registry:
        raise InputError(f"branch name {name!r} is taken; registered are {', '.join(registry)}")
    registry[name] = branch


register(BODY, "id", Identity())
register(BODY, "s3", Separable(3))
register(BODY, "s5", Separable(5))
register(BODY, "c3", Conv(3))
register(BODY, "c5", Conv(5))
register(BODY, "bq", Bottleneck(1 / 4))
register(BODY, "bh", Bottleneck(1 / 2))
register(BODY, "rq", ResidualPair(1 / 4))
register(BODY, "rh", ResidualPair(1 / 2))
register(BODY, "r1", ResidualPair(1))
register(BODY, "r2", ResidualPair(2))
register(BODY, "a1", ResidualPair(1, attention=True))
register(BODY, "a2", ResidualPair(2, attention=True))
