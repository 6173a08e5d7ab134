"""Members of a bundle as files for other programs."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from dysr_jax.apps.exporting import onnx_files, stablehlo, tensors
from dysr_jax.atomic import exclusive, is_remote, replacing
from dysr_jax.bundle import MANIFEST_FILE, Bundle, Member, check_bundle
from dysr_jax.errors import InputError
from dysr_jax.fields import as_path, require

FORMATS: Final = {
    "onnx": ("float32", "float16", "int8"),
    "stablehlo": ("float32",),
    "safetensors": ("float32", "float16"),
}
"""The precisions of each format, by name."""

PAGE: Final = ".md"
"""Suffix of the page beside a file of safetensors."""

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
    licence: str | None = None,
    overwrite: bool = False,
    on_written: Callable[[Exported], None] = lambda exported: None,
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
        licence: of the weights, written into the file; those that come with the package are Apache-2.0.
        overwrite: whether to replace files that exist.
        on_written: called with each file as soon as it is there.

    Raises `InputError`: an argument that cannot be, a file that exists, a branch without an ONNX form, a
    package that is not installed.
    """
    check_bundle(bundle)
    require(format in FORMATS, "format", format, f"one of {', '.join(FORMATS)}")
    allowed = FORMATS[format]
    require(precision in allowed, "precision", precision, f"{' or '.join(allowed)} for {format}")
    require(shape is None or min(shape) >= 1, "shape", shape, "rows and columns of at least 1")
    require(licence is None or format != "stablehlo", "licence", licence, "none for stablehlo")
    require(not is_remote(out), "out", os.fspath(out), "a place on this machine")
    chosen = [bundle.member(name) for name in members] or list(bundle.members)
    chosen = list(dict.fromkeys(chosen))
    target = pathlib.Path(as_path(out, "out"))
    require(not (target / MANIFEST_FILE).exists(), "out", str(target), "a place to write to, and is a bundle")
    paths = _paths(target, bundle.space.scale, chosen, _SHORT[precision], f".{format}")
    options = _Options(precision, shape, clamp, calibration, licence)
    written = []
    with exclusive(target):
        for path in paths:
            for file in (path, path.with_suffix(PAGE)) if format == "safetensors" else (path,):
                if file.exists() and not overwrite:
                    raise InputError(f"out {str(file)!r} exists; overwrite replaces it")
        for member, path in zip(chosen, paths, strict=True):
            written.append(_write(bundle, member, path, format, options))
            on_written(written[-1])
    return written


class _Options(NamedTuple):
    """What the formats are asked for."""

    precision: str
    shape: tuple[int, int] | None
    clamp: bool
    calibration: str
    licence: str | None


def _paths(
    target: pathlib.Path, scale: int, members: Sequence[Member], short: str, suffix: str
) -> list[pathlib.Path]:
    if target.suffix == suffix:
        require(len(members) == 1, "out", str(target), "a folder where there are several members")
        return [target]
    require(not target.is_file(), "out", str(target), f"a folder, or a file that ends in {suffix}")
    return [target / f"{scale}x_dysr_{member.name}{short}{suffix}" for member in members]


def _write(bundle: Bundle, member: Member, path: pathlib.Path, format: str, options: _Options) -> Exported:
    note, page = "", ""
    if format == "onnx":
        content, note = onnx_files.onnx_file(bundle, member, **options._asdict())
    elif format == "stablehlo":
        content = stablehlo.stablehlo_file(bundle, member, options.shape)
    else:
        content = tensors.tensors_file(bundle, member, options.precision, options.licence)
        page = tensors.tensors_page(bundle, member)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(content)
    if page:
        with replacing(path.with_suffix(PAGE)) as partial:
            partial.write_text(page)
    return Exported(path, member.name, note)
