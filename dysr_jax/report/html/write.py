"""Writes a run's report."""

import os

from etils import epath

from dysr_jax.atomic import is_remote, replacing
from dysr_jax.errors import InputError
from dysr_jax.report.html.page import render
from dysr_jax.report.rundata import read_run

REPORT = "report.html"


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


def write_report(
    run: epath.PathLike,
    out: epath.PathLike | None = None,
    *,
    switch: epath.PathLike | None = None,
    steady: epath.PathLike | None = None,
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
        overwrite: replace `out`.

    Returns:
        The file.

    Raises:
        InputError: see `dysr_jax.report.rundata.read_run`; or `out` cannot be, exists, or cannot be written.
    """
    data = read_run(run, switch=switch, steady=steady)
    target = _target(run, out, overwrite=overwrite)
    page = render(data)
    try:
        with replacing(target) as partial:
            partial.write_text(page, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"out {os.fspath(target)!r} cannot be written: {reason}") from None
    return target
