"""The branches in PyTorch, over the same weights: what experiments measure beside this package.

Written as one would write them in PyTorch: channels-last tensors, convolutions with their bias, in place
where that is safe.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from dysr_jax.model import (
    Bottleneck,
    Branch,
    Conv,
    Identity,
    Params,
    Plain,
    ResidualPair,
    SearchSpace,
    Separable,
    Stack,
    SubPixel,
    cut_kernels,
    slot_name,
)

Weights = Mapping[str, torch.Tensor]
Layer = Callable[[Weights, torch.Tensor], torch.Tensor]


class TorchTarget:
    """Where tensors go (`cuda` or `cpu`), and in which precision (`float32` or `bfloat16`)."""

    def __init__(self, device: str, dtype: str) -> None:
        self.device = torch.device(device)
        self.dtype = getattr(torch, dtype)

    def conv_weight(self, kernel: Any) -> torch.Tensor:
        """`[k, k, I, O]` to `[O, I, k, k]`, channels last in memory."""
        weight = torch.tensor(np.asarray(kernel), device=self.device).permute(3, 2, 0, 1)
        return weight.to(self.dtype).contiguous(memory_format=torch.channels_last)

    def weights(self, kernels: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
        """Dense `[k, k, I, O]`, depthwise `[k, k, C]` and pointwise `[I, O]` kernels, and biases `[O]`."""
        found = {}
        for name, kernel in kernels.items():
            if kernel.ndim == 1:
                found[name] = torch.tensor(kernel, device=self.device).to(self.dtype)
            else:
                found[name] = self.conv_weight(_dense(kernel))
        return found

    def head(self, params: Params) -> dict[str, torch.Tensor]:
        """The first convolution's, whose kernel this package stores as im2col takes it, `[27, C]`."""
        kernel, bias = (np.asarray(params["head"][name]) for name in ("kernel", "bias"))
        return self.weights({"kernel": kernel.reshape(3, 3, 3, -1), "bias": bias})

    def branch(self, space: SearchSpace, params: Params, slot: int, branch: Branch) -> Weights:
        """What a branch reads, cut out of what its slot stores."""
        specs = branch.reads(space.width, space.scale)
        stored = params[slot_name(space, slot)] if specs else {}
        kernels = {k: np.asarray(v) for k, v in cut_kernels(stored, specs).items()}
        if isinstance(branch, SubPixel):
            kernels = _channel_major(kernels, space.scale)
        return self.weights(kernels)


def _dense(kernel: np.ndarray) -> np.ndarray:
    """Depthwise and pointwise kernels as `[k, k, I, O]`."""
    if kernel.ndim == 4:
        return kernel
    return kernel[:, :, None] if kernel.ndim == 3 else kernel[None, None]


def _channel_major(kernels: dict[str, np.ndarray], scale: int) -> dict[str, np.ndarray]:
    """Reorder the sub-pixel outputs from (row, column, colour) to PyTorch's (colour, row, column)."""
    order = np.arange(3 * scale * scale).reshape(scale * scale, 3).T.ravel()
    names = ("subpixel", "subpixel_bias")
    return {k: v[..., order] if k in names else v for k, v in kernels.items()}


def layer(branch: Branch) -> Layer:
    """The branch as a function of its weights and of `[N, C, H, W]`.

    Raises:
        TypeError: a branch that has no PyTorch here.
    """
    for kind, run in _LAYERS.items():
        if isinstance(branch, kind):
            return functools.partial(run, branch)
    raise TypeError(f"the PyTorch baseline has no branch {type(branch).__name__}")


def head(w: Weights, x: torch.Tensor) -> torch.Tensor:
    """The first convolution: `[N, 3, H, W]` to `[N, C, H, W]`."""
    return F.conv2d(x, w["kernel"], w["bias"], padding=1)


def _identity(branch: Identity, w: Weights, x: torch.Tensor) -> torch.Tensor:
    del branch, w
    return x


def _separable(branch: Separable, w: Weights, x: torch.Tensor) -> torch.Tensor:
    y = F.conv2d(x, w["depthwise"], padding=branch.size // 2, groups=x.shape[1])
    return x + F.conv2d(y, w["pointwise"], w["pointwise_bias"]).relu_()


def _conv(branch: Conv, w: Weights, x: torch.Tensor) -> torch.Tensor:
    return x + F.conv2d(x, w["conv"], w["conv_bias"], padding=branch.size // 2).relu_()


def _bottleneck(branch: Bottleneck, w: Weights, x: torch.Tensor) -> torch.Tensor:
    del branch
    y = F.conv2d(x, w["shrink"], w["shrink_bias"]).relu_()
    y = F.conv2d(y, w["map"], w["map_bias"], padding=1).relu_()
    return x + F.conv2d(y, w["expand"], w["expand_bias"])


def _pair(branch: ResidualPair, w: Weights, x: torch.Tensor) -> torch.Tensor:
    y = F.conv2d(x, w["pair_in"], w["pair_in_bias"], padding=1).relu_()
    y = F.conv2d(y, w["pair_out"], w["pair_out_bias"], padding=1)
    if not branch.attention:
        return x + y
    gate = F.conv2d(y.mean((2, 3), keepdim=True), w["gate_in"], w["gate_in_bias"]).relu_()
    return x + y.mul_(F.conv2d(gate, w["gate_out"], w["gate_out_bias"]).sigmoid_())


def _plain(branch: Plain, w: Weights, x: torch.Tensor) -> torch.Tensor:
    return (x + F.conv2d(x, w["plain"], w["plain_bias"], padding=branch.size // 2)).relu_()


def _stack(branch: Stack, w: Weights, x: torch.Tensor) -> torch.Tensor:
    y = F.conv2d(x, w["stack0"], w["stack0_bias"], padding=1).relu_()
    y = F.conv2d(y, w["stack1"], w["stack1_bias"], padding=1).relu_()
    y = F.conv2d(y, w["stack2"], w["stack2_bias"], padding=1)
    return (x + y) * (1 + F.conv2d(y, w["guide"], w["guide_bias"])) if branch.guided else x + y


def _subpixel(branch: SubPixel, w: Weights, x: torch.Tensor) -> torch.Tensor:
    for i in range(branch.depth):
        x = F.conv2d(x, w[f"hidden{i}"], w[f"hidden{i}_bias"], padding=1).relu_()
    return F.conv2d(x, w["subpixel"], w["subpixel_bias"], padding=1)


_LAYERS: dict[type[Branch], Callable[..., torch.Tensor]] = {
    Identity: _identity,
    Separable: _separable,
    Conv: _conv,
    Bottleneck: _bottleneck,
    ResidualPair: _pair,
    Plain: _plain,
    Stack: _stack,
    SubPixel: _subpixel,
}
