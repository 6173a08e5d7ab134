"""Writes a run's report."""

import dataclasses
import os
from typing import Final

from etils import epath

from dysr_jax.atomic import is_remote, replacing
from dysr_jax.errors import InputError
from dysr_jax.exclusive import exclusive
from dysr_jax.report.comparison import compare_on
from dysr_jax.report.html.page import render
from dysr_jax.report.rundata import RunData, read_run
from dysr_jax.runtime.bundle import load_bundle

REPORT: Final = "report.html"


def _target(run: epath.PathLike, out: epath.PathLike | None, *, overwrite: bool) -> epath.Path:
    """Where the report goes."""
    if out is None:
        return epath.Path(run) / REPORT
    name, target = os.fspath(out), epath.Path(out)
    if target.suffix not in (".html", ".htm"):
        raise InputError(f"out {name!r}: allowed is a .html file")
    if not is_remote(target) and not target.parent.is_dir():
        raise InputError(f"out {name!r}: allowed is a file in a folder that exists")
    if target.exists() and not overwrite:
        raise InputError(f"out {name!r} exists; allowed with --overwrite")
    return target


def with_image(data: RunData, image: epath.PathLike) -> RunData:
    """The run with members compared on this image in place of its own."""
    if data.results is None:
        raise InputError(f"image {os.fspath(image)!r}: the run is not finished and has no members")
    found = compare_on(load_bundle(epath.Path(data.path) / "bundle"), image)
    missing = [line for line in data.missing if not line.startswith("images:")]
    return dataclasses.replace(data, comparison=found, missing=missing)


def write_report(
    run: epath.PathLike,
    out: epath.PathLike | None = None,
    *,
    switch: epath.PathLike | None = None,
    steady: epath.PathLike | None = None,
    image: epath.PathLike | None = None,
    overwrite: bool = False,
) -> epath.Path:
    """Write everything that there is of a run as one HTML file, which needs no network and no other file.

    Args:
        run: directory of a run that is finished, still running or was interrupted; what is missing is
            said in the report. It may lie in a bucket (`gs://`).
        out: the file, `.html`; without it `report.html` of the run, where an older report is replaced.
        switch: a file of `dysr bench switch --json`; without it `switch.json` of the run, if it is there.
        steady: a file of `dysr stream --json` or of `experiments/steady_fps.py`; without it
            `steady.json` of the run, if it is there.
        image: an HR image; members of the run's bundle upscale what bicubic made of it. Without it the
            report shows what the run kept of a validation image.
        overwrite: replace `out`.

    Returns:
        The file.

    Raises:
        InputError: see `dysr_jax.report.rundata.read_run`; `out` cannot be, exists, or cannot be written;
            or `image` cannot be read, or the run has no members.
    """
    data = read_run(run, switch=switch, steady=steady)
    target = _target(run, out, overwrite=overwrite)
    with exclusive(target):
        _write(target, _rendered(with_image(data, image) if image is not None else data))
    return target


def _rendered(data: RunData) -> str:
    """The page; files that are whole, each by itself, and contradict each other are the run's fault."""
    try:
        return render(data)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise InputError(
            f"run {data.path!r} is damaged: its files do not fit together ({type(error).__name__}: {error})"
        ) from error


def _write(target: epath.Path, page: str) -> None:
    try:
        with replacing(target) as partial:
            # The path of a run is among it, which need not be UTF-8.
            partial.write_bytes(page.encode(errors="backslashreplace"))
    except Exception as error:  # whatever a store raises
        if not is_remote(target) and not isinstance(error, OSError):
            raise
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"out {os.fspath(target)!r} cannot be written: {reason}") from None
