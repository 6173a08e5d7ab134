"""The supernet in eager PyTorch: what a search without compiled programs costs on the same device.

The branches of `torch_layers` over the same weights: `torch.inference_mode`, cuDNN's autotuner on, weights of
every branch cut and laid out beforehand, candidates one after the other.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from baselines.torch_layers import TorchTarget, head, layer

from dysr_jax.metrics import PSNR_CAP_DB
from dysr_jax.model import Arch, Branch, Params, SearchSpace, arch_width, at_width, cut_params
from dysr_jax.search import Patches

Layer = Callable[[torch.Tensor], torch.Tensor]
LUMA = (65.481, 128.553, 24.966)


class TorchSupernet:
    """All archs of a space on validation patches, in eager PyTorch."""

    def __init__(
        self, space: SearchSpace, params: Params, patches: Patches, *, device: str, dtype: str
    ) -> None:
        torch.backends.cudnn.benchmark = True
        self._space = space
        self._target = TorchTarget(device, dtype)
        self._nets = {width: self._net(at_width(space, width), params) for width in space.widths}
        self._lr = self._image(patches.lr) / 255.0
        self._truth = self._luma(self._image(patches.hr))
        self._image_of = torch.tensor(np.asarray(patches.image), device=self._target.device)

    def _image(self, pixels: np.ndarray) -> torch.Tensor:
        """`[P, H, W, 3]` uint8 to `[P, 3, H, W]` float32."""
        array = torch.tensor(np.asarray(pixels), device=self._target.device)
        return array.permute(0, 3, 1, 2).float()

    def _net(self, space: SearchSpace, params: Params) -> tuple[dict[str, torch.Tensor], list[list[Layer]]]:
        """The head, and the layers of each slot, of all archs of one width."""
        params = cut_params(params, space)

        def made(slot: int, branch: Branch) -> Layer:
            return functools.partial(layer(branch), self._target.branch(space, params, slot, branch))

        slots = range(len(space.slots))
        return self._target.head(params), [[made(i, branch) for branch in space.branches(i)] for i in slots]

    def _luma(self, rgb: torch.Tensor) -> torch.Tensor:
        """BT.601 luma of `[P, 3, H, W]` levels, `scale` pixels cut off each side."""
        red, green, blue = (rgb[:, i] * weight for i, weight in enumerate(LUMA))
        border = self._space.scale
        luma = torch.round(16.0 + (red + green + blue) / 255.0)
        return luma[:, border:-border, border:-border]

    @torch.inference_mode()
    def _psnr_y(self, arch: Arch) -> torch.Tensor:
        x = (self._lr - 0.5).to(self._target.dtype).contiguous(memory_format=torch.channels_last)
        first, slots = self._nets[arch_width(self._space, arch)]
        x = head(first, x)
        for layers, index in zip(slots, arch, strict=False):
            x = layers[index](x)
        scale = self._space.scale
        out = F.pixel_shuffle(x, scale).float()
        out += F.interpolate(self._lr, scale_factor=scale, mode="nearest")
        error = self._luma(torch.round(out.clamp(0.0, 1.0) * 255.0)) - self._truth
        each = error.square().mean((1, 2))
        count = int(self._image_of[-1]) + 1
        zeros = torch.zeros(count, device=self._target.device)
        total = zeros.index_add(0, self._image_of, each)
        number = zeros.index_add(0, self._image_of, torch.ones_like(each))
        return (10.0 * torch.log10(255.0**2 / (total / number))).clamp(max=PSNR_CAP_DB).mean()

    def __call__(self, archs: Sequence[Arch]) -> np.ndarray:
        """PSNR-Y in dB of each arch, `[N]`."""
        return torch.stack([self._psnr_y(arch) for arch in archs]).cpu().numpy()
