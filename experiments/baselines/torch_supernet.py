"""The supernet in eager PyTorch: what a search without compiled programs costs on the same device.

The same branches over the same weights, written as one would write them in PyTorch: channels-last tensors,
`torch.inference_mode`, cuDNN's autotuner on, weights of every branch cut and laid out beforehand, candidates
one after the other. Needs PyTorch, which nothing else in this repository does.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from dysr_jax.metrics import MOST_DB
from dysr_jax.model.branches import (
    Bottleneck,
    Branch,
    Conv,
    Identity,
    ResidualPair,
    Separable,
)
from dysr_jax.model.kernels import cut_all
from dysr_jax.model.supernet import Params, slot_name
from dysr_jax.model.upsamplers import SubPixel
from dysr_jax.search.patches import Patches
from dysr_jax.space import Arch, SearchSpace

Weights = dict[str, torch.Tensor]
Layer = Callable[[torch.Tensor], torch.Tensor]
LUMA = (65.481, 128.553, 24.966)


class TorchSupernet:
    """All archs of a space on validation patches, in eager PyTorch."""

    def __init__(
        self, space: SearchSpace, params: Params, patches: Patches, *, device: str, dtype: str
    ) -> None:
        torch.backends.cudnn.benchmark = True
        self._space = space
        self._device = torch.device(device)
        self._dtype = getattr(torch, dtype)
        self._layers = [
            [self._layer(slot, branch, params) for branch in space.branches(slot)]
            for slot in range(len(space.slots))
        ]
        self._head = self._tensors({k: np.asarray(v) for k, v in params["head"].items()})
        self._head["kernel"] = self._conv_weight(
            np.asarray(params["head"]["kernel"]).reshape(3, 3, 3, -1)
        )
        self._lr = self._image(patches.lr) / 255.0
        self._truth = self._luma(self._image(patches.hr))
        self._image_of = torch.tensor(np.asarray(patches.image), device=self._device)

    def _image(self, pixels: np.ndarray) -> torch.Tensor:
        """`[P, H, W, 3]` uint8 to `[P, 3, H, W]` float32."""
        array = torch.tensor(np.asarray(pixels), device=self._device)
        return array.permute(0, 3, 1, 2).float()

    def _conv_weight(self, kernel: np.ndarray) -> torch.Tensor:
        """`[k, k, I, O]` to `[O, I, k, k]`, channels last in memory."""
        weight = torch.tensor(np.asarray(kernel), device=self._device).permute(3, 2, 0, 1)
        return weight.to(self._dtype).contiguous(memory_format=torch.channels_last)

    def _tensors(self, kernels: dict[str, np.ndarray]) -> Weights:
        weights = {}
        for name, kernel in kernels.items():
            if kernel.ndim == 4:
                weights[name] = self._conv_weight(kernel)
            elif kernel.ndim == 3:  # depthwise
                weights[name] = self._conv_weight(kernel[:, :, None])
            elif kernel.ndim == 2:  # pointwise
                weights[name] = self._conv_weight(kernel[None, None])
            else:
                weights[name] = torch.tensor(kernel, device=self._device).to(self._dtype)
        return weights

    def _layer(self, slot: int, branch: Branch, params: Params) -> Layer:
        specs = branch.reads(self._space.width, self._space.scale)
        stored = params[slot_name(self._space, slot)] if specs else {}
        kernels = {k: np.asarray(v) for k, v in cut_all(stored, specs).items()}
        if isinstance(branch, SubPixel):
            kernels = _channel_major(kernels, self._space.scale)
        return _layer(branch, self._tensors(kernels))

    def _luma(self, rgb: torch.Tensor) -> torch.Tensor:
        """BT.601 luma of `[P, 3, H, W]` levels, `scale` pixels cut off each side."""
        red, green, blue = (rgb[:, i] * weight for i, weight in enumerate(LUMA))
        border = self._space.scale
        luma = torch.round(16.0 + (red + green + blue) / 255.0)
        return luma[:, border:-border, border:-border]

    @torch.inference_mode()
    def _psnr_y(self, arch: Arch) -> torch.Tensor:
        x = (self._lr - 0.5).to(self._dtype).contiguous(memory_format=torch.channels_last)
        x = F.conv2d(x, self._head["kernel"], self._head["bias"], padding=1)
        for slot, index in enumerate(arch):
            x = self._layers[slot][index](x)
        scale = self._space.scale
        out = F.pixel_shuffle(x, scale).float()
        out += F.interpolate(self._lr, scale_factor=scale, mode="nearest")
        error = self._luma(torch.round(out.clamp(0.0, 1.0) * 255.0)) - self._truth
        each = error.square().mean((1, 2))
        count = int(self._image_of[-1]) + 1
        zeros = torch.zeros(count, device=self._device)
        total = zeros.index_add(0, self._image_of, each)
        number = zeros.index_add(0, self._image_of, torch.ones_like(each))
        return (10.0 * torch.log10(255.0**2 / (total / number))).clamp(max=MOST_DB).mean()

    def __call__(self, archs: Sequence[Arch]) -> np.ndarray:
        """PSNR-Y in dB of each arch, `[N]`."""
        return torch.stack([self._psnr_y(arch) for arch in archs]).cpu().numpy()


def _channel_major(kernels: dict[str, np.ndarray], scale: int) -> dict[str, np.ndarray]:
    """Reorder the sub-pixel outputs from (row, column, colour) to PyTorch's (colour, row, column)."""
    order = np.arange(3 * scale * scale).reshape(scale * scale, 3).T.ravel()
    names = ("subpixel", "subpixel_bias")
    return {k: v[..., order] if k in names else v for k, v in kernels.items()}


def _layer(branch: Branch, w: Weights) -> Layer:
    """The branch in eager PyTorch.

    Raises:
        TypeError: a branch that this baseline does not know.
    """
    if isinstance(branch, Identity):
        return lambda x: x
    if isinstance(branch, Separable):
        return lambda x: x + _separable(branch, w, x)
    if isinstance(branch, Conv):
        pad = branch.size // 2
        return lambda x: x + F.conv2d(x, w["conv"], w["conv_bias"], padding=pad).relu_()
    if isinstance(branch, Bottleneck):
        return lambda x: x + _bottleneck(w, x)
    if isinstance(branch, ResidualPair):
        return lambda x: x + _pair(branch, w, x)
    if isinstance(branch, SubPixel):
        return lambda x: _subpixel(branch, w, x)
    raise TypeError(f"the PyTorch baseline has no branch {type(branch).__name__}")


def _separable(branch: Separable, w: Weights, x: torch.Tensor) -> torch.Tensor:
    y = F.conv2d(x, w["depthwise"], padding=branch.size // 2, groups=x.shape[1])
    return F.conv2d(y, w["pointwise"], w["pointwise_bias"]).relu_()


def _bottleneck(w: Weights, x: torch.Tensor) -> torch.Tensor:
    y = F.conv2d(x, w["shrink"], w["shrink_bias"]).relu_()
    y = F.conv2d(y, w["map"], w["map_bias"], padding=1).relu_()
    return F.conv2d(y, w["expand"], w["expand_bias"])


def _pair(branch: ResidualPair, w: Weights, x: torch.Tensor) -> torch.Tensor:
    y = F.conv2d(x, w["pair_in"], w["pair_in_bias"], padding=1).relu_()
    y = F.conv2d(y, w["pair_out"], w["pair_out_bias"], padding=1)
    if not branch.attention:
        return y
    gate = F.conv2d(y.mean((2, 3), keepdim=True), w["gate_in"], w["gate_in_bias"]).relu_()
    return y.mul_(F.conv2d(gate, w["gate_out"], w["gate_out_bias"]).sigmoid_())


def _subpixel(branch: SubPixel, w: Weights, x: torch.Tensor) -> torch.Tensor:
    for i in range(branch.depth):
        x = F.conv2d(x, w[f"hidden{i}"], w[f"hidden{i}_bias"], padding=1).relu_()
    return F.conv2d(x, w["subpixel"], w["subpixel_bias"], padding=1)
