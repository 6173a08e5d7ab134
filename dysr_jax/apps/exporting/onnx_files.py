"""Members as ONNX files; in int8 by ONNX Runtime's static quantisation, with what that loses."""

import logging
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from dysr_jax import data
from dysr_jax.aot import Precision, import_extra, picture_model
from dysr_jax.bundle import Bundle, Member
from dysr_jax.errors import InputError
from dysr_jax.fields import require
from dysr_jax.metrics import psnr_y
from dysr_jax.version import package_version

CROP: Final = 128  # LR pixels at most, of a side of what int8 is calibrated and measured on
MAX_IMAGES: Final = 32
LEAST: Final = 16  # LR pixels of a side on which PSNR-Y says something


def onnx_file(
    bundle: Bundle,
    member: Member,
    *,
    precision: str,
    shape: tuple[int, int] | None,
    clamp: bool,
    calibration: str,
    licence: str | None,
) -> tuple[bytes, str]:
    """A member's file, and a line on what was measured of it; see `dysr_jax.apps.exporting.export`."""
    bundle.check_layers("ONNX")
    stored: Precision = "float16" if precision == "float16" else "float32"
    model = picture_model(
        bundle.space,
        bundle.params,
        member.arch,
        precision=stored,
        clamp=clamp,
        metadata=_metadata(bundle, member, licence),
        shape=shape,
    )
    if precision != "int8":
        return model.SerializeToString(), ""
    require(shape is None or min(shape) >= LEAST, "shape", shape, f"sides of at least {LEAST} for int8")
    pairs = _pairs(calibration, bundle.space.scale, shape)
    small, others = _quantised(model, [pair.lr for pair in pairs[::2]]), pairs[1::2]
    exact, left = (_psnr_y(each, others, bundle.space.scale) for each in (model, small))
    told = f"{left:.2f} dB in int8, {exact:.2f} in float32, {len(others)} images of {calibration}"
    _note(small, "int8_psnr_y", f"{left:.3f}")
    _note(small, "float32_psnr_y", f"{exact:.3f}")
    return small.SerializeToString(), told


def _metadata(bundle: Bundle, member: Member, licence: str | None) -> dict[str, str]:
    """What a reader of the file is told."""
    return {
        "arch": member.name,
        "scale": str(bundle.space.scale),
        "psnr_y": f"{member.psnr_y:.3f}",
        "bicubic_psnr_y": f"{bundle.bicubic_psnr_y:.3f}",
        "mult_adds_720p": str(member.mult_adds),
        "color_space": "RGB",
        "pixels": "[0, 1], NCHW",
        "source": f"dysr_jax {package_version()}, https://github.com/dysr-jax/dysr_jax",
    } | ({"license": licence} if licence else {})


def _note(model: Any, key: str, value: str) -> None:
    entry = model.metadata_props.add()
    entry.key, entry.value = key, value


class _Pair(NamedTuple):
    """An image: `[1, 3, H, W]` float32 in [0, 1], and HR `[s H, s W, 3]` uint8."""

    lr: np.ndarray
    hr: np.ndarray


def _pairs(source: str, scale: int, shape: tuple[int, int] | None) -> list[_Pair]:
    """Crops from the middle of a source's images, of `shape` where one is given."""
    found = []
    for example in data.load_source(source, scale)[:MAX_IMAGES]:
        rows, columns = shape or (min(side // scale, CROP) for side in example.hr.shape[:2])
        top, left = (
            (side - scale * n) // 2 for side, n in zip(example.hr.shape, (rows, columns), strict=False)
        )
        if min(top, left) < 0:
            continue
        hr = np.ascontiguousarray(example.hr[top:, left:][: scale * rows, : scale * columns])
        lr = data.bicubic_downscale(hr, scale).transpose(2, 0, 1)[None]
        found.append(_Pair(lr.astype(np.float32) / 255, hr))
    if len(found) < 2:
        size = "" if shape is None else f" of at least {scale * shape[0]}x{scale * shape[1]} pixels"
        raise InputError(f"calibration {source!r}: must have two images{size} or more, has {len(found)}")
    return found


class _Reader:
    """Hands images to the calibration, as ONNX Runtime's `CalibrationDataReader` does."""

    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self._left = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input, None after the last."""
        image = next(self._left, None)
        return None if image is None else {"input": image}


def _quantised(model: Any, images: Sequence[np.ndarray]) -> Any:
    """The model with the convolutions of its body in int8: per channel, by the range of these images."""
    quantization = import_extra("onnxruntime.quantization")
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    ends = [name for name in convolutions if name.split(".")[0] in ("head", "upsampler", "output")]
    kinds = quantization.QuantType

    with tempfile.TemporaryDirectory(prefix="dysr_") as folder:
        source, target = (pathlib.Path(folder) / name for name in ("float.onnx", "int8.onnx"))
        source.write_bytes(model.SerializeToString())
        before = logging.root.level
        logging.root.setLevel(logging.ERROR)  # it advises a pass that only fuses what is not there
        try:
            quantization.quantize_static(
                str(source),
                str(target),
                _Reader(images),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_exclude=ends,
                per_channel=True,
                activation_type=kinds.QUInt8,
                weight_type=kinds.QInt8,
            )
        finally:
            logging.root.setLevel(before)
        return import_extra().load(str(target))


def _psnr_y(model: Any, pairs: Sequence[_Pair], scale: int) -> float:
    """Mean PSNR-Y in dB of a model in ONNX Runtime on the CPU."""
    runtime = import_extra("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = []
    for lr, hr in pairs:
        made = session.run(None, {"input": lr})[0][0].transpose(1, 2, 0)
        image = np.round(np.clip(made, 0, 1) * 255).astype(np.uint8)
        found.append(float(psnr_y(image, hr, scale)))
    return float(np.mean(found))
