"""Sub-graphs as ONNX models, written from the arch with the package `onnx` (the extra of that name).

`picture_model` is for other programs: `[N, 3, H, W]` RGB in [0, 1] to `[N, 3, s H, s W]`. `frame_model` takes
and gives what an executable of a static program does: `[1, H, W, 3]` uint8 to `[1, s H, s W, 3]` uint8.
"""

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.fields import require
from dysr_jax.model import Arch, Params, SearchSpace, build_subpixels, conv_layout
from dysr_jax.version import package_version

OPSET: Final = 18
IR_VERSION: Final = 8  # the first with that opset: what reads it reads the file
PRECISIONS: Final = ("float32", "float16")

Precision = Literal["float32", "float16"]


def import_extra(needed: str = "onnx") -> Any:
    """A package of the extra `onnx`, imported; an InputError where it is not there."""
    try:
        return importlib.import_module(needed)
    except (ImportError, OSError):  # a shared library may be missing
        raise InputError(f"{needed}: must be installed (pip install onnx onnxruntime)") from None


def picture_model(
    space: SearchSpace,
    params: Params,
    arch: Arch,
    *,
    precision: Precision = "float32",
    clamp: bool = True,
    shape: tuple[int, int] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Any:
    """An `onnx.ModelProto` for other programs: `input` `[batch, 3, height, width]` to `output`, in float32.

    Pixels are RGB in [0, 1]; `clamp` keeps the output there. Without a `shape` height and width are free, and
    the batch always is. With `float16` the weights and what is computed inside are. Raises `InputError`: a
    branch without an ONNX form, weights that were not kept, no package `onnx`.
    """
    require(precision in PRECISIONS, "precision", precision, " or ".join(PRECISIONS))
    graph = _Graph(space.scale, np.dtype(precision))
    sides = graph.sides if shape is None else [space.scale * side for side in shape]
    lr = graph.given("input", "FLOAT", ["batch", 3, *(shape or ("height", "width"))])
    lr = lr if precision == "float32" else graph.cast(lr, "FLOAT16")
    image = graph.image(lr, build_subpixels(graph, space, params, arch, graph.centred(lr)))
    image = image if precision == "float32" else graph.cast(image, "FLOAT")
    image = graph.clip(image) if clamp else image
    return graph.finish(image, "FLOAT", ["batch", 3, *sides], metadata or {})


class FrameModel(NamedTuple):
    """A model of frames."""

    content: bytes
    """Serialised; its input is `frame`, its output `output`."""
    weights: dict[str, np.ndarray]
    """Those outside of it, by names that equal weights of all models have in common."""


def frame_model(space: SearchSpace, params: Params, arch: Arch, *, shared: bool = False) -> FrameModel:
    """The model of a frame, `[1, height, width, 3]` uint8 to uint8; raises as `picture_model`.

    With `shared` its weights stay outside of it, so that several models can have them in common.
    """
    graph = _Graph(space.scale, np.dtype(np.float32), shared=shared)
    lr = graph.pixels(graph.given("frame", "UINT8", [1, "height", "width", 3]))
    image = graph.image(lr, build_subpixels(graph, space, params, arch, graph.centred(lr)))
    model = graph.finish(graph.levels(image), "UINT8", [1, *graph.sides, 3], {})
    return FrameModel(model.SerializeToString(), graph.outside)


class _Graph:
    """`dysr_jax.model.Operations` as nodes of an ONNX graph; tensors are names.

    With `shared` the weights stay outside, named by what they hold.
    """

    def __init__(self, scale: int, dtype: np.dtype, *, shared: bool = False) -> None:
        self._onnx, self._scale, self._dtype, self._shared = import_extra(), scale, dtype, shared
        self.outside: dict[str, np.ndarray] = {}  # once finished: shared weights by digest
        self._weights: dict[str, np.ndarray] = {}
        self.sides: list[Any] = [f"{scale}*height", f"{scale}*width"]
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._part, self._count = "input", 0

    def given(self, name: str, kind: str, shape: Sequence[int | str]) -> str:
        """An input."""
        self._inputs.append(self._tensor(name, kind, shape))
        return name

    def enter(self, part: str) -> None:
        """Name what follows by it."""
        self._part, self._count = part, 0

    def conv(self, x: str, kernel: np.ndarray, bias: np.ndarray | None = None) -> str:
        """See `Operations`."""
        layout = conv_layout(kernel)
        weights = [self._weight("weight", layout.kernel)]
        weights += [] if bias is None else [self._weight("bias", bias)]
        pads, side = 4 * [layout.padding], layout.kernel.shape[-1]
        options = {"kernel_shape": [side, side], "pads": pads, "group": layout.groups}
        return self._node("Conv", x, *weights, **options)

    def relu(self, x: str) -> str:
        """See `Operations`."""
        return self._node("Relu", x)

    def sigmoid(self, x: str) -> str:
        """See `Operations`."""
        return self._node("Sigmoid", x)

    def mean(self, x: str) -> str:
        """See `Operations`."""
        return self._node("GlobalAveragePool", x)

    def add(self, x: str, y: str) -> str:
        """See `Operations`."""
        return self._node("Add", x, y)

    def multiply(self, x: str, y: str) -> str:
        """See `Operations`."""
        return self._node("Mul", x, y)

    def cast(self, x: str, kind: str) -> str:
        """To another element type."""
        return self._node("Cast", x, to=getattr(self._onnx.TensorProto, kind))

    def centred(self, lr: str) -> str:
        """Pixels less a half."""
        return self._node("Sub", lr, self._number("half", 0.5))

    def image(self, lr: str, subpixels: str) -> str:
        """LR pixels added to their sub-pixels, and all in their places.

        Channels come in the order of PyTorch's pixel shuffle, the only one that converters to ncnn know.
        """
        self.enter("output")
        subpixels = self._colours_first(subpixels)
        repeated = np.repeat(np.eye(3), self._scale**2, axis=1)  # as a convolution: all runtimes fuse it
        image = self.add(subpixels, self.conv(lr, repeated))
        return self._node("DepthToSpace", image, blocksize=self._scale, mode="CRD")

    def _colours_first(self, subpixels: str) -> str:
        """Channels `s s 3` as `3 s s`: by the weights of the last convolution, where that comes last."""
        order = np.arange(3 * self._scale**2).reshape(-1, 3).T.ravel()
        last = self._nodes[-1]
        if last.op_type != "Conv" or last.output[0] != subpixels:
            return self._node("Gather", subpixels, self._number("order", order, np.int64), axis=1)
        for name in last.input[1:]:
            self._weights[name] = self._weights[name][order]
        return subpixels

    def clip(self, x: str) -> str:
        """To [0, 1], of float32."""
        return self._node(
            "Clip", x, self._number("zero", 0.0, np.float32), self._number("one", 1.0, np.float32)
        )

    def pixels(self, frame: str) -> str:
        """`[1, H, W, 3]` uint8 to `[1, 3, H, W]` in [0, 1]."""
        values = self.cast(self._node("Transpose", frame, perm=[0, 3, 1, 2]), "FLOAT")
        return self.multiply(values, self._number("level", 1 / 255))

    def levels(self, x: str) -> str:
        """`[1, 3, H, W]` to `[1, H, W, 3]` uint8; halves are rounded to even."""
        rounded = self._node("Round", self.multiply(self.clip(x), self._number("levels", 255.0)))
        return self._node("Transpose", self.cast(rounded, "UINT8"), perm=[0, 2, 3, 1])

    def finish(self, output: str, kind: str, shape: Sequence[int | str], metadata: Mapping[str, str]) -> Any:
        """The model; its output is named `output`."""
        self._nodes[-1].output[0] = "output"
        self._store_weights()
        make, made = self._onnx.helper, self._tensor("output", kind, shape)
        graph = make.make_graph(self._nodes, "dysr", self._inputs, [made], list(self._constants.values()))
        opset = [make.make_opsetid("", OPSET)]
        producer = {"producer_name": "dysr_jax", "producer_version": package_version()}
        model = make.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, **producer)
        make.set_model_props(model, dict(metadata))
        return model

    def _tensor(self, name: str, kind: str, shape: Sequence[int | str]) -> Any:
        element = getattr(self._onnx.TensorProto, kind)
        return self._onnx.helper.make_tensor_value_info(name, element, shape)

    def _node(self, kind: str, *inputs: str, **options: Any) -> str:
        name = f"{self._part}.{kind.lower()}{self._count}"
        self._count += 1
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), [name], name=name, **options))
        return name

    def _number(self, name: str, value: Any, dtype: Any = None) -> str:
        array = np.array(value, dtype or self._dtype)
        self._constants[name] = self._onnx.numpy_helper.from_array(array, name)
        return name

    def _weight(self, what: str, value: np.ndarray) -> str:
        """A weight of the next node."""
        name = f"{self._part}.conv{self._count}.{what}"
        self._weights[name] = value
        return name

    def _store_weights(self) -> None:
        """In the model, or outside of it under what they hold."""
        digests: dict[str, str] = {}
        for name, value in self._weights.items():
            array = np.ascontiguousarray(value, self._dtype)
            if not self._shared:
                self._constants[name] = self._onnx.numpy_helper.from_array(array, name)
                continue
            told = hashlib.sha256(repr(array.shape).encode() + array.tobytes()).hexdigest()
            digests[name] = told
            self.outside[told] = array
            self._constants[told] = self._outside(told, array)
        for node in self._nodes:
            node.input[:] = [digests.get(name, name) for name in node.input]

    def _outside(self, name: str, array: np.ndarray) -> Any:
        """A weight that whoever loads the model gives it."""
        proto = self._onnx.TensorProto
        told = proto(name=name, data_type=proto.FLOAT, dims=array.shape, data_location=proto.EXTERNAL)
        told.external_data.add(key="location", value="weights")
        return told
