"""A sub-graph as a PyTorch module, uint8 frame in and out, and how PyTorch would serve it."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from baselines.torch_layers import Layer, TorchTarget, Weights, head, layer

from dysr_jax.model import Arch, Params, SearchSpace

EAGER = "eager"


class LayerModule(torch.nn.Module):
    """A layer with its weights as buffers: CUDA graphs read these in place and copy all other inputs."""

    def __init__(self, run: Layer, weights: Weights) -> None:
        super().__init__()
        self._run = run
        self._names = tuple(weights)
        for name, weight in weights.items():
            self.register_buffer(name, weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[N, C, H, W]` to what the layer makes of it."""
        return self._run({name: getattr(self, name) for name in self._names}, x)


class FrameModule(torch.nn.Module):
    """The static program of an arch: `[H, W, 3]` uint8 to `[s H, s W, 3]` uint8, on its device.

    Args:
        space: of the arch.
        params: of the whole supernet, or all that was kept for this arch.
        arch: the sub-graph.
        device: `cuda` or `cpu`.
        dtype: `float32` or `bfloat16`.

    Raises:
        TypeError: a branch that has no PyTorch here.
    """

    def __init__(self, space: SearchSpace, params: Params, arch: Arch, *, device: str, dtype: str) -> None:
        super().__init__()
        self._target, self._scale = TorchTarget(device, dtype), space.scale
        layers = [LayerModule(head, self._target.head(params))]
        for slot, index in enumerate(arch):
            branch = space.branches(slot)[index]
            layers.append(LayerModule(layer(branch), self._target.branch(space, params, slot, branch)))
        self._layers = torch.nn.Sequential(*layers)

    def forward(self, frame: torch.Tensor) -> torch.Tensor:
        """See the class."""
        lr = frame[None].permute(0, 3, 1, 2).float() / 255.0
        x = (lr - 0.5).to(self._target.dtype).contiguous(memory_format=torch.channels_last)
        out = F.pixel_shuffle(self._layers(x), self._scale).float()
        out = out + F.interpolate(lr, scale_factor=self._scale, mode="nearest")
        levels = torch.round(out.clamp(0.0, 1.0) * 255.0).to(torch.uint8)
        return levels.permute(0, 2, 3, 1)[0].contiguous()


class TorchFrames:
    """A module over frames that are on its device already; its output stays there.

    Args:
        module: eager or compiled.
        frame: `[H, W, 3]` uint8 on the host.
        device: `cuda` or `cpu`.
    """

    def __init__(
        self, module: Callable[[torch.Tensor], torch.Tensor], frame: np.ndarray, device: str
    ) -> None:
        self._module = module
        self._frame = torch.tensor(frame, device=device)

    @torch.inference_mode()
    def start(self) -> torch.Tensor:
        """Start a frame. A CUDA graph may write the next frame's output where this one's is."""
        if self._frame.is_cuda:
            torch.compiler.cudagraph_mark_step_begin()
        return self._module(self._frame)

    def finish(self, output: torch.Tensor) -> None:
        """Wait for a frame that was started, and for all before it."""
        if output.is_cuda:
            torch.cuda.synchronize()

    def pixels(self) -> np.ndarray:
        """What it makes of the frame, `[s H, s W, 3]` uint8 on the host."""
        return self.start().cpu().numpy()


class Served(NamedTuple):
    """A module that is ready for frames of one shape."""

    frames: TorchFrames
    how: str
    """The mode of `torch.compile`, or `eager`, with the reason where it was not asked for."""


def serve(module: FrameModule, frame: np.ndarray, mode: str, device: str) -> Served:
    """The module compiled by `torch.compile` and warm, or eager where that fails.

    Args:
        module: of one arch.
        frame: `[H, W, 3]` uint8 on the host.
        mode: `eager`, or a mode of `torch.compile`; `max-autotune` and `reduce-overhead` use CUDA graphs.
        device: `cuda` or `cpu`.
    """
    torch.backends.cudnn.benchmark = True
    how = EAGER
    if mode != EAGER:
        try:
            return Served(_compiled(module, frame, mode, device), mode)
        except Exception as error:  # whatever a compiler may run into
            lines = str(error).strip().splitlines() or [type(error).__name__]
            how = f"{EAGER}: torch.compile failed ({lines[0]})"
    return Served(_warm(TorchFrames(module, frame, device)), how)


def _compiled(module: FrameModule, frame: np.ndarray, mode: str, device: str) -> TorchFrames:
    with warnings.catch_warnings():  # of tensor cores and of what is not autotuned
        warnings.simplefilter("ignore")
        torch.compiler.reset()
        return _warm(TorchFrames(torch.compile(module, mode=mode, dynamic=False), frame, device))


def _warm(frames: TorchFrames) -> TorchFrames:
    """Compiled, its CUDA graph recorded, and replayed once."""
    for _ in range(3):
        frames.finish(frames.start())
    return frames
