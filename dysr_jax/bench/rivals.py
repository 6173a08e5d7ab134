"""Members in other inference runtimes, over the same weights: what the frames of a CPU are measured beside.

ONNX Runtime and OpenVINO take the ONNX model of a frame; PyTorch gets a module here. The runtimes are no
dependencies; each is imported when it is asked for.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import jax
import numpy as np

from dysr_jax.aot import frame_model
from dysr_jax.bundle import Bundle, Member
from dysr_jax.errors import InputError
from dysr_jax.fields import require
from dysr_jax.model import build_subpixels, conv_layout

RIVALS: Final = {
    "onnxruntime": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino"),
    "torch": ("torch",),
}
"""What is imported, by the name of a rival."""

Call = Callable[[np.ndarray], np.ndarray]
"""A frame `[H, W, 3]` uint8 to `[s H, s W, 3]` uint8."""


def choose_rivals(asked: Sequence[str]) -> tuple[str, ...]:
    """Names of `RIVALS`; `all` are those that can be imported. Raises `InputError`: another name, one that
    cannot be imported, or a device that is no CPU.
    """
    for name in asked:
        known = f"all, {', '.join(RIVALS)}, or a file MODEL.onnx"
        require(name in {"all", *RIVALS}, "rivals", name, known)
    wanted = RIVALS if "all" in asked else asked
    there = [name for name in RIVALS if name in wanted and can_import(name)]
    for name in asked:
        if name not in {"all", *there}:
            needs = " and ".join(RIVALS[name])
            raise InputError(
                f"rivals {name!r}: must be importable, which takes {needs} (pip install {needs})"
            )
    if asked and jax.default_backend() != "cpu":
        raise InputError(f"rivals {asked[0]!r}: must be measured on a CPU, this is {jax.default_backend()}")
    return tuple(there)


def can_import(name: str) -> bool:
    """Whether what a rival needs is there, and whole."""
    try:
        for needed in RIVALS[name]:
            importlib.import_module(needed)
    except (ImportError, OSError):  # a shared library may be missing
        return False
    return True


def rival_call(name: str, bundle: Bundle, member: Member, shape: tuple[int, int]) -> Call:
    """A member in a runtime, for LR frames of `shape`. Raises `InputError`: a branch without an ONNX form."""
    if name == "torch":
        return _torch_call(bundle, member)
    model = frame_model(bundle.space, bundle.params, member.arch).content
    return _onnxruntime_call(model) if name == "onnxruntime" else _openvino_call(model, shape)


def _onnxruntime_call(model: bytes) -> Call:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return lambda frame: session.run(None, {"frame": frame[None]})[0][0]


def _openvino_call(model: bytes, shape: tuple[int, int]) -> Call:
    import openvino

    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    network = openvino.Core().read_model(model)
    network.reshape([1, *shape, 3])
    compiled = openvino.compile_model(network, "CPU", hints)
    return lambda frame: compiled(frame[None])[0][0]


class _TorchGraph:
    """`dysr_jax.model.Operations` as nodes of a graph of PyTorch's; weights are channels last in memory."""

    def __init__(self, scale: int) -> None:
        import torch

        self._torch, self._scale = torch, scale
        self._graph, self._weights = torch.fx.Graph(), torch.nn.Module()
        self.input = self._graph.placeholder("frame")

    def _weight(self, value: np.ndarray) -> Any:
        name = f"weight{len(list(self._weights.buffers()))}"
        weight = self._torch.tensor(value)
        if weight.ndim == 4:
            weight = weight.contiguous(memory_format=self._torch.channels_last)
        self._weights.register_buffer(name, weight)
        return self._graph.get_attr(name)

    def _node(self, function: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        return self._graph.call_function(function, inputs, options)

    def enter(self, part: str) -> None:
        """Nothing: nodes have no names."""

    def conv(self, x: Any, kernel: np.ndarray, bias: np.ndarray | None = None) -> Any:
        """See `Operations`."""
        layout = conv_layout(kernel)
        weights = self._weight(layout.kernel), None if bias is None else self._weight(bias)
        conv2d = self._torch.nn.functional.conv2d
        return self._node(conv2d, x, *weights, padding=layout.padding, groups=layout.groups)

    def relu(self, x: Any) -> Any:
        """See `Operations`."""
        return self._node(self._torch.relu, x)

    def sigmoid(self, x: Any) -> Any:
        """See `Operations`."""
        return self._node(self._torch.sigmoid, x)

    def mean(self, x: Any) -> Any:
        """See `Operations`."""
        return self._node(self._torch.mean, x, (2, 3), True)

    def add(self, x: Any, y: Any) -> Any:
        """See `Operations`."""
        return self._node(self._torch.add, x, y)

    def multiply(self, x: Any, y: Any) -> Any:
        """See `Operations`."""
        return self._node(self._torch.mul, x, y)

    def pixels(self, frame: Any) -> Any:
        """`[1, H, W, 3]` uint8 to `[1, 3, H, W]` in [0, 1]."""
        return self._node(lambda frame: frame.permute(0, 3, 1, 2).float() / 255, frame)

    def centred(self, lr: Any) -> Any:
        """Pixels less a half."""
        return self._node(self._torch.sub, lr, 0.5)

    def frame(self, x: Any, lr: Any) -> Any:
        """Sub-pixels and LR pixels to `[1, s H, s W, 3]` uint8."""
        scale = self._scale

        def made(x: Any, lr: Any) -> Any:
            subpixels = x.permute(0, 2, 3, 1) + lr.permute(0, 2, 3, 1).tile(1, 1, 1, scale**2)
            rows, columns = subpixels.shape[1:3]
            values = subpixels.reshape(1, rows, columns, scale, scale, 3).transpose(2, 3)
            values = values.reshape(1, rows * scale, columns * scale, 3)
            return (values.clamp(0, 1) * 255).round().to(self._torch.uint8)

        return self._node(made, x, lr)

    def finish(self, output: Any) -> Any:
        """The module."""
        self._graph.output(output)
        return self._torch.fx.GraphModule(self._weights, self._graph)


def _torch_call(bundle: Bundle, member: Member) -> Call:
    graph = _TorchGraph(bundle.space.scale)
    lr = graph.pixels(graph.input)
    x = build_subpixels(graph, bundle.space, bundle.params, member.arch, graph.centred(lr))
    module = graph.finish(graph.frame(x, lr))
    import torch

    compiled = torch.compile(module)

    def call(frame: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return compiled(torch.from_numpy(frame[None]))[0].numpy()

    return call
