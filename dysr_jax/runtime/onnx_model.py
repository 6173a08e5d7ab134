"""Super-resolution models of others, as ONNX files, beside the members of a bundle."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any, Final

import jax
import numpy as np

from dysr_jax.aot import CPU_PROVIDER, FrameModel, Session, WeightPool, find_provider, import_extra
from dysr_jax.errors import InputError
from dysr_jax.fields import as_path

MIN_OPSET: Final = 11  # of `Round`, and of `Clip` with its bounds as inputs
MAX_SCALE: Final = 8
TRIAL: Final = (24, 32)  # LR rows and columns of the frame that a model is tried with
COLOUR: Final = [200, 128, 56]  # of that frame
MOST_LEVELS: Final = 36  # that a model may change it by: other orders and ranges change it by more


class OnnxModel:
    """A model `[1, 3, H, W]` RGB in [0, 1] to `[1, 3, s H, s W]`, float32 or float16, in ONNX Runtime.

    Casting, transposing and rounding run in its graph, as in those of members. Raises `InputError`: what the
    file lacks of this, or no ONNX Runtime.
    """

    def __init__(self, path: str | os.PathLike[str], *, provider: str = CPU_PROVIDER) -> None:
        self.path = pathlib.Path(as_path(path, "rival"))
        self.name = self.path.name
        """How tables call it: the file's name."""
        self._onnx = import_extra("onnx")
        model = self._read()
        self.weights = sum(map(_weights, _constants(model)))
        """Number of weights in its file."""
        self.size = self._wrap(model)
        """LR rows and columns where they are fixed, else None."""
        try:
            self._session = Session(FrameModel(model.SerializeToString(), {}), provider, WeightPool())
            trial = np.full((*(self.size or TRIAL), 3), COLOUR, np.uint8)
            made = self._session(trial)
        except InputError as error:
            raise self.unfit(str(error)) from None
        self.scale = made.shape[0] // trial.shape[0]
        """Side of its output over side of its input."""
        whole = made.shape == (self.scale * trial.shape[0], self.scale * trial.shape[1], 3)
        if not whole or not 1 <= self.scale <= MAX_SCALE:
            sides = f"{made.shape[0]}x{made.shape[1]} of {trial.shape[0]}x{trial.shape[1]}"
            raise self.unfit(f"its output must be an image of 1 to {MAX_SCALE} times the sides, got {sides}")
        colour = made.reshape(-1, 3).mean(0).round().astype(int).tolist()
        if np.abs(np.subtract(colour, COLOUR)).max() > MOST_LEVELS:
            raise self.unfit(f"its pixels must be RGB in [0, 1]: of colour {COLOUR} it makes {colour}")

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """`[H, W, 3]` uint8 to `[s H, s W, 3]` uint8. Raises `InputError`: a size that it does not take."""
        self.check_size((frame.shape[0], frame.shape[1]))
        try:
            return self._session(frame)
        except InputError as error:
            raise self.unfit(str(error)) from None

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuse, with an InputError, LR rows and columns that it does not take, if its own are fixed."""
        if self.size not in (None, size):
            only = f"{self.size[0]}x{self.size[1]}" if self.size else ""
            raise self.unfit(f"it takes frames of {only} only, not of {size[0]}x{size[1]}")

    def check_scale(self, scale: int) -> None:
        """Refuse, with an InputError, to stand beside members of another scale."""
        if self.scale != scale:
            raise self.unfit(f"its scale must be that of the members, {scale}, got {self.scale}")

    def unfit(self, problem: str) -> InputError:
        """The error of this file."""
        return InputError(f"rival {str(self.path)!r}: {problem}")

    def _read(self) -> Any:
        if not self.path.is_file():
            raise self.unfit("must be an ONNX file that exists")
        try:
            model = self._onnx.load(str(self.path))
            self._onnx.checker.check_model(model)
        except Exception as error:  # of protobuf, or of the checker
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise self.unfit(f"cannot be read as an ONNX model ({reason})") from None
        return model

    def _wrap(self, model: Any) -> tuple[int, int] | None:
        """Let a model take and give frames; its rows and columns where they are fixed."""
        graph, make = model.graph, self._onnx.helper
        opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
        if opset < MIN_OPSET:
            raise self.unfit(f"its opset must be at least {MIN_OPSET}, got {opset}")
        stored = {each.name for each in graph.initializer}
        inputs = [each for each in graph.input if each.name not in stored]
        if (len(inputs), len(graph.output)) != (1, 1):
            counts = f"{len(inputs)} and {len(graph.output)}"
            raise self.unfit(f"must have one input and one output, an image each, got {counts}")
        given, made = inputs[0], graph.output[0]
        size = self._size_of(given, "input")
        self._size_of(made, "output")
        float32, uint8 = self._onnx.TensorProto.FLOAT, self._onnx.TensorProto.UINT8
        numbers = {"level": 1 / 255, "zero": 0.0, "one": 1.0, "levels": 255.0}
        constants = [make.make_tensor(_own(name), float32, [], [value]) for name, value in numbers.items()]

        def node(kind: str, inputs: str, output: str, **options: Any) -> Any:
            return make.make_node(kind, inputs.split(), [output], **options)

        before = [
            node("Transpose", _own("frame"), _own("planes"), perm=[0, 3, 1, 2]),
            node("Cast", _own("planes"), _own("float"), to=float32),
            node("Mul", f"{_own('float')} {_own('level')}", _own("pixels")),
            node("Cast", _own("pixels"), given.name, to=given.type.tensor_type.elem_type),
        ]
        after = [
            node("Cast", made.name, _own("made"), to=float32),
            node("Clip", f"{_own('made')} {_own('zero')} {_own('one')}", _own("clipped")),
            node("Mul", f"{_own('clipped')} {_own('levels')}", _own("scaled")),
            node("Round", _own("scaled"), _own("rounded")),
            node("Cast", _own("rounded"), _own("bytes"), to=uint8),
            node("Transpose", _own("bytes"), _own("image"), perm=[0, 2, 3, 1]),
        ]
        nodes = [*before, *graph.node, *after]
        del graph.node[:], graph.input[:], graph.output[:]
        graph.node.extend(nodes)
        graph.initializer.extend(constants)
        rows, columns = size or ("height", "width")
        graph.input.append(make.make_tensor_value_info(_own("frame"), uint8, [1, rows, columns, 3]))
        graph.output.append(make.make_tensor_value_info(_own("image"), uint8, [1, None, None, 3]))
        return size

    def _size_of(self, value: Any, what: str) -> tuple[int, int] | None:
        """Rows and columns of an input or output, where both are fixed."""
        kind, allowed = value.type.tensor_type, ("FLOAT", "FLOAT16")
        if kind.elem_type not in [getattr(self._onnx.TensorProto, name) for name in allowed]:
            raise self.unfit(f"its {what} {value.name!r} must be float32 or float16")
        sides = [dim.dim_value for dim in kind.shape.dim]  # 0: free
        if len(sides) != 4 or sides[0] > 1 or sides[1] not in (0, 3):
            shown = [dim.dim_value or dim.dim_param or "?" for dim in kind.shape.dim]
            raise self.unfit(f"its {what} {value.name!r} must be [1, 3, height, width], got {shown}")
        return (sides[2], sides[3]) if sides[2] and sides[3] else None


def open_rivals(
    paths: Sequence[str | os.PathLike[str]], scale: int, backend: str = "auto"
) -> list[OnnxModel]:
    """Models to stand beside members of a scale, on the provider of their backend, on a CPU by default.

    Raises `InputError`: as `OnnxModel`, another scale, two files of one name, or members on an accelerator.
    """
    provider = find_provider(backend)
    if paths and provider is None and jax.default_backend() != "cpu":
        first, here = os.fspath(paths[0]), jax.default_backend()
        raise InputError(f"rival {first!r}: must be run on a CPU or with backend onnxruntime, this is {here}")
    found: dict[str, OnnxModel] = {}
    for path in paths:
        model = OnnxModel(path, provider=provider or CPU_PROVIDER)
        model.check_scale(scale)
        if model.name in found:
            raise model.unfit("must have another name than the other rivals: tables name them by their files")
        found[model.name] = model
    return list(found.values())


def _constants(model: Any) -> list[Any]:
    """The tensors that a model holds."""
    nodes = [node for node in model.graph.node if node.op_type == "Constant"]
    values = [each.t for node in nodes for each in node.attribute if each.name == "value"]
    return [*model.graph.initializer, *values]


def _weights(tensor: Any) -> int:
    """How many weights a tensor holds: those of kernels and biases, not sizes."""
    floats = (1, 10, 11, 16)  # float32, float16, float64 and bfloat16
    return int(np.prod(tensor.dims)) if tensor.data_type in floats and len(tensor.dims) else 0


def _own(name: str) -> str:
    """A tensor's name that no model has."""
    return f"dysr_jax.{name}"
