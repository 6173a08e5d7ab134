"""Members of a bundle as files for other programs."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from dysr_jax.apps.exporting import onnx_files, stablehlo, tensors
from dysr_jax.atomic import exclusive, replacing
from dysr_jax.bundle import Bundle, Member, check_bundle
from dysr_jax.fields import as_path, require

FORMATS: Final = {
    "onnx": ("float32", "float16", "int8"),
    "stablehlo": ("float32",),
    "safetensors": ("float32", "float16"),
}
"""The precisions of each format, by name."""

_SHORT: Final = {"float32": "", "float16": "_fp16", "int8": "_int8"}


class Exported(NamedTuple):
    """A file that was written."""

    path: pathlib.Path
    member: str
    note: str
    """What was measured of it; empty for nothing."""


def export(
    bundle: Bundle,
    out: str | os.PathLike[str],
    *,
    format: str = "onnx",
    members: Sequence[str] = (),
    precision: str = "float32",
    shape: tuple[int, int] | None = None,
    clamp: bool = True,
    calibration: str = "embedded",
    licence: str = "Apache-2.0",
    overwrite: bool = False,
) -> list[Exported]:
    """Write members as files that other programs load, and return what was written.

    `onnx` and `safetensors` are described in docs/howto/export.md, `stablehlo` is read by
    `jax.export.deserialize`. An ONNX model takes `[N, 3, H, W]` RGB in [0, 1] and gives
    `[N, 3, s H, s W]`.

    Args:
        bundle: whose members.
        out: a folder, which may exist; files in it are called `4x_dysr_MEMBER.onnx`. Or, for one member, a
            file with the format's suffix.
        format: one of `FORMATS`.
        members: names, `fastest` or `best`; default: all.
        precision: of the weights; `int8` is quantised by ONNX Runtime and measured.
        shape: LR rows and columns, fixed; by default any.
        clamp: whether an ONNX model keeps its output in [0, 1].
        calibration: a data source whose images give the ranges for int8, and on others of which it is
            measured.
        licence: of the weights, as the files tell it; those that come with the package are Apache-2.0.
        overwrite: whether to replace files that exist.

    Raises `InputError`: an argument that cannot be, a file that exists, a branch without an ONNX form, a
    package that is not installed.
    """
    check_bundle(bundle)
    require(format in FORMATS, "format", format, ", ".join(FORMATS))
    allowed = FORMATS[format]
    require(precision in allowed, "precision", precision, f"{' or '.join(allowed)} for {format}")
    require(shape is None or min(shape) >= 1, "shape", shape, "rows and columns of at least 1")
    chosen = [bundle.member(name) for name in members] or list(bundle.members)
    chosen = list(dict.fromkeys(chosen))
    target = pathlib.Path(as_path(out, "out"))
    paths = _paths(target, bundle.space.scale, chosen, _SHORT[precision], f".{format}")
    for path in paths:
        require(overwrite or not path.exists(), "out", str(path), "a file that does not exist (or overwrite)")
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"precision": precision, "shape": shape, "clamp": clamp}
    options |= {"calibration": calibration, "licence": licence}
    with exclusive(target):
        return [
            _write(bundle, member, path, format, options) for member, path in zip(chosen, paths, strict=True)
        ]


def _paths(
    target: pathlib.Path, scale: int, members: Sequence[Member], short: str, suffix: str
) -> list[pathlib.Path]:
    if target.suffix == suffix:
        require(len(members) == 1, "out", str(target), "a folder where there are several members")
        return [target]
    require(not target.is_file(), "out", str(target), f"a folder, or a file that ends in {suffix}")
    return [target / f"{scale}x_dysr_{member.name}{short}{suffix}" for member in members]


def _write(
    bundle: Bundle, member: Member, path: pathlib.Path, format: str, options: dict[str, Any]
) -> Exported:
    note = ""
    if format == "onnx":
        content, note = onnx_files.onnx_file(bundle, member, **options)
    elif format == "stablehlo":
        content = stablehlo.stablehlo_file(bundle, member, options["shape"])
    else:
        content = tensors.tensors_file(bundle, member, options["precision"])
        with replacing(path.with_suffix(".md")) as partial:
            partial.write_text(tensors.tensors_page(bundle, member))
    with replacing(path) as partial:
        partial.write_bytes(content)
    return Exported(path, member.name, note)
