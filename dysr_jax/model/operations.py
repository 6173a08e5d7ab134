"""A network for other runtimes, written once in terms of `Operations`: an ONNX graph, a module of PyTorch.

A branch says what it is made of in `Branch.build`, beside `Branch.__call__`.
"""

from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from dysr_jax.model.sharing import compact_params
from dysr_jax.model.space import Arch, SearchSpace
from dysr_jax.model.supernet import Params, arch_params, slot_name


class Operations(Protocol):
    """What a network is made of. Tensors are `[1, C, H, W]`; weights are float32."""

    def enter(self, part: str) -> None:
        """What follows belongs to `head`, a slot or the upsampler."""

    def conv(self, x: Any, kernel: np.ndarray, bias: np.ndarray | None = None) -> Any:
        """Zero padded; `[k, k, I, O]` dense, `[k, k, C]` depthwise or `[I, O]` pointwise."""

    def relu(self, x: Any) -> Any:
        """The larger of `x` and 0."""

    def sigmoid(self, x: Any) -> Any:
        """`1 / (1 + exp(-x))`."""

    def mean(self, x: Any) -> Any:
        """Of each channel over all pixels: `[1, C, 1, 1]`."""

    def add(self, x: Any, y: Any) -> Any:
        """The sum."""

    def multiply(self, x: Any, y: Any) -> Any:
        """The product; one of the two may be `[1, C, 1, 1]`."""


class ConvLayout(NamedTuple):
    """A convolution as other runtimes take it."""

    kernel: np.ndarray
    """`[O, I, k, k]`; I is 1 where it is depthwise."""
    padding: int
    """Zeros at each side."""
    groups: int


def conv_layout(kernel: np.ndarray) -> ConvLayout:
    """A kernel of `Operations.conv`, dense, depthwise or pointwise."""
    if kernel.ndim == 3:
        return ConvLayout(kernel[:, :, None].transpose(3, 2, 0, 1), kernel.shape[0] // 2, kernel.shape[2])
    dense = kernel if kernel.ndim == 4 else kernel[None, None]
    return ConvLayout(dense.transpose(3, 2, 0, 1), dense.shape[0] // 2, 1)


def build_subpixels(ops: Operations, space: SearchSpace, params: Params, arch: Arch, centred: Any) -> Any:
    """What the upsampler of an arch makes of LR pixels less a half: `[1, s s 3, H, W]`, sub-pixel rows first.

    Raises `InputError`: a branch that has no `build`, or weights that were not kept.
    """
    read = compact_params(arch_params(params, space, arch), space, [arch])
    read = jax.tree.map(np.asarray, read)
    ops.enter("head")
    x = ops.conv(centred, read["head"]["kernel"].reshape(3, 3, 3, -1), read["head"]["bias"])
    for slot, index in enumerate(arch[: len(space.slots)]):
        name = slot_name(space, slot)
        ops.enter(name)
        x = space.branches(slot)[index].build(read.get(name, {}), x, ops)
    return x
