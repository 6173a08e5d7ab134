"""Members in other inference runtimes, over the same weights: what the frames of a CPU are measured beside.

A network is written once, in terms of `Operations`: as an ONNX graph, for ONNX Runtime and OpenVINO, or for
PyTorch. The runtimes are no dependencies; each is imported when it is asked for.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import jax
import numpy as np

from dysr_jax.bundle import Bundle, Member
from dysr_jax.errors import InputError
from dysr_jax.fields import require
from dysr_jax.model import (
    Bottleneck,
    Branch,
    Conv,
    Identity,
    Kernels,
    ResidualPair,
    Separable,
    SubPixel,
    arch_width,
    cut_kernels,
    head_kernels,
    slot_name,
)

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
        require(name in {"all", *RIVALS}, "rivals", name, f"all, {', '.join(RIVALS)}")
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
    """A member in a runtime, for LR frames of `shape`. Raises `InputError`: a branch that has no rival."""
    if name == "torch":
        return _torch_call(bundle, member)
    graph = _OnnxGraph(shape, bundle.space.scale)
    model = graph.finish(_network(graph, bundle, member, graph.input))
    return _onnxruntime_call(model) if name == "onnxruntime" else _openvino_call(model)


class Operations(Protocol):
    """What a network is made of. Tensors are `[1, C, H, W]` float32."""

    def conv(self, x: Any, kernel: np.ndarray, bias: np.ndarray) -> Any:
        """`[k, k, I, O]` with zero padding; depthwise where `I` is 1 and `O` the channels of `x`."""

    def relu(self, x: Any) -> Any:
        """The larger of `x` and 0."""

    def add(self, x: Any, y: Any) -> Any:
        """The sum."""

    def pixels(self, frame: Any) -> Any:
        """`[1, H, W, 3]` uint8 to `[0, 1]`."""

    def centred(self, lr: Any) -> Any:
        """Pixels less a half."""

    def frame(self, x: Any, lr: Any) -> Any:
        """Sub-pixels `[1, s s 3, H, W]`, sub-pixel rows first, and LR pixels, to `[1, s H, s W, 3]` uint8."""


def _network(ops: Operations, bundle: Bundle, member: Member, frame: Any) -> Any:
    """The output of a member for a frame `[1, H, W, 3]`."""
    space, params = bundle.space, jax.tree.map(np.asarray, bundle.params)
    lr = ops.pixels(frame)
    width = arch_width(space, member.arch)
    head = cut_kernels(params["head"], head_kernels(width))
    x = ops.conv(ops.centred(lr), head["kernel"].reshape(3, 3, 3, -1), head["bias"])
    for slot in range(len(space.slots)):
        branch = space.branches(slot)[member.arch[slot]]
        stored = params.get(slot_name(space, slot), {})
        kernels = cut_kernels(stored, branch.reads(width, space.scale))
        x = _branch(ops, branch, jax.tree.map(np.asarray, kernels), x)
    return ops.frame(x, lr)


def _branch(ops: Operations, branch: Branch, kernels: Kernels, x: Any) -> Any:
    def layer(x: Any, name: str) -> Any:
        kernel = kernels[name]
        return ops.conv(x, kernel if kernel.ndim == 4 else kernel[None, None], kernels[f"{name}_bias"])

    kind = type(branch)
    if kind is Identity:
        return x
    if kind is Bottleneck:
        y = ops.relu(layer(ops.relu(layer(x, "shrink")), "map"))
        return ops.add(x, layer(y, "expand"))
    if kind is ResidualPair and not branch.attention:  # type: ignore[attr-defined]
        return ops.add(x, layer(ops.relu(layer(x, "pair_in")), "pair_out"))
    if kind is Conv:
        return ops.add(x, ops.relu(layer(x, "conv")))
    if kind is Separable:
        depthwise = kernels["depthwise"][:, :, None]
        y = ops.conv(x, depthwise, np.zeros(depthwise.shape[-1], np.float32))
        return ops.add(x, ops.relu(layer(y, "pointwise")))
    if kind is SubPixel:
        for depth in range(branch.depth):  # type: ignore[attr-defined]
            x = ops.relu(layer(x, f"hidden{depth}"))
        return layer(x, "subpixel")
    raise InputError(
        f"rivals: {kind.__name__} has none; members must be made of the package's other branches"
    )


class _OnnxGraph:
    """`Operations` as nodes of an ONNX graph; tensors are names."""

    input: Final = "frame"

    def __init__(self, shape: tuple[int, int], scale: int) -> None:
        import onnx

        self._onnx, self._scale, self._shape = onnx, scale, shape
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def _constant(self, value: Any) -> str:
        name = f"constant{len(self._constants)}"
        array = np.ascontiguousarray(value, np.float32)
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"tensor{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def conv(self, x: str, kernel: np.ndarray, bias: np.ndarray) -> str:
        groups = kernel.shape[3] if kernel.shape[2] == 1 else 1
        weights = self._constant(kernel.transpose(3, 2, 0, 1)), self._constant(bias)
        return self._node("Conv", x, *weights, pads=4 * [kernel.shape[0] // 2], group=groups)

    def relu(self, x: str) -> str:
        return self._node("Relu", x)

    def add(self, x: str, y: str) -> str:
        return self._node("Add", x, y)

    def pixels(self, frame: str) -> str:
        values = self._node("Cast", frame, to=self._onnx.TensorProto.FLOAT)
        return self._node("Mul", self._node("Transpose", values, perm=[0, 3, 1, 2]), self._constant(1 / 255))

    def centred(self, lr: str) -> str:
        return self._node("Sub", lr, self._constant(0.5))

    def frame(self, x: str, lr: str) -> str:
        x = self._node("DepthToSpace", x, blocksize=self._scale, mode="DCR")
        places = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
        sides = self._constant([1, 1, self._scale, self._scale])
        x = self._node("Add", x, self._node("Resize", lr, "", sides, mode="nearest", **places))
        x = self._node("Clip", x, self._constant(0.0), self._constant(1.0))
        x = self._node("Round", self._node("Mul", x, self._constant(255.0)))
        x = self._node("Transpose", x, perm=[0, 2, 3, 1])
        return self._node("Cast", x, to=self._onnx.TensorProto.UINT8)

    def finish(self, output: str) -> bytes:
        """The model, serialised."""
        make, kind, (rows, columns) = self._onnx.helper, self._onnx.TensorProto.UINT8, self._shape
        sizes = [1, rows, columns, 3], [1, rows * self._scale, columns * self._scale, 3]
        given, made = map(make.make_tensor_value_info, (self.input, output), (kind, kind), sizes)
        graph = make.make_graph(self._nodes, "member", [given], [made], self._constants)
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
        return model.SerializeToString()


def _onnxruntime_call(model: bytes) -> Call:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return lambda frame: session.run(None, {_OnnxGraph.input: frame[None]})[0][0]


def _openvino_call(model: bytes) -> Call:
    import openvino

    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(openvino.Core().read_model(model), "CPU", hints)
    return lambda frame: compiled(frame[None])[0][0]


class _TorchGraph:
    """`Operations` as nodes of a graph of PyTorch's; weights are channels last in memory."""

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

    def conv(self, x: Any, kernel: np.ndarray, bias: np.ndarray) -> Any:
        groups = kernel.shape[3] if kernel.shape[2] == 1 else 1
        weights = self._weight(kernel.transpose(3, 2, 0, 1)), self._weight(bias)
        padding = kernel.shape[0] // 2
        return self._node(self._torch.nn.functional.conv2d, x, *weights, padding=padding, groups=groups)

    def relu(self, x: Any) -> Any:
        return self._node(self._torch.relu, x)

    def add(self, x: Any, y: Any) -> Any:
        return self._node(self._torch.add, x, y)

    def pixels(self, frame: Any) -> Any:
        return self._node(lambda frame: frame.permute(0, 3, 1, 2).float() / 255, frame)

    def centred(self, lr: Any) -> Any:
        return self._node(self._torch.sub, lr, 0.5)

    def frame(self, x: Any, lr: Any) -> Any:
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
    module = graph.finish(_network(graph, bundle, member, graph.input))
    import torch

    compiled = torch.compile(module)

    def call(frame: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return compiled(torch.from_numpy(frame[None]))[0].numpy()

    return call
