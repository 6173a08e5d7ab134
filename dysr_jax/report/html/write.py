"""The page: template, style and scripts of assets/, filled with a run's data."""

import functools
import html
import importlib.resources
import os
import re
from typing import Final

from etils import epath

from dysr_jax.atomic import exclusive, is_remote, replacing
from dysr_jax.errors import InputError
from dysr_jax.report.html.content import Packer, compress, content
from dysr_jax.report.rundata import RunData, read_run, with_image, writing
from dysr_jax.version import package_version

SCRIPTS: Final = (
    *("data", "words", "branches", "plots", "front", "front_section", "members", "curves", "memory"),
    *("compare", "runtime", "main"),
)
"""In the order in which they stand in the page: each uses what is above it, the last one begins."""
REPORT_FILE: Final = "report.html"


def _asset(name: str) -> str:
    return (importlib.resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


@functools.cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return compress(get_plotlyjs().encode())


def render(data: RunData) -> str:
    """The whole page, self-contained: it works from a file, and asks no network for anything."""
    packer = Packer()
    fields = content(data, packer)
    values = {
        "title": html.escape(f"DySR run {fields['name']}"),
        "generator": html.escape(f"dysr_jax {package_version()}"),
        "style": _asset("style.css"),
        "plotly": _plotly(),
        "data": packer.pack(fields),
        "scripts": "\n".join(f"<script>\n{_asset(f'{name}.js')}</script>" for name in SCRIPTS),
    }
    # Once: what is put in is not searched again.
    return re.sub(r"@@(\w+)@@", lambda match: values[match[1]], _asset("page.html"))


def write_report(
    run: epath.PathLike,
    out: epath.PathLike | None = None,
    *,
    switch: epath.PathLike | None = None,
    steady: epath.PathLike | None = None,
    image: epath.PathLike | None = None,
    overwrite: bool = False,
) -> epath.Path:
    """Write everything that there is of a run as one HTML file, and return its path.

    `run`, `switch` and `steady` are those of `dysr_jax.report.read_run`; the report says what is missing.
    `out` is the `.html` file; default: `report.html` of the run, where an older one is replaced. `overwrite`
    replaces `out`. `image` is an HR image to compare members on; default: the validation image that the run
    kept.

    Raises InputError: see `dysr_jax.report.read_run`; `out` or `image` cannot be used, or the run has no
    members.
    """
    data = read_run(run, switch=switch, steady=steady)
    target = _target(run, out, overwrite=overwrite)
    with exclusive(target):
        page = _rendered(with_image(data, image) if image is not None else data)
        with writing("out", target), replacing(target) as partial:
            # It holds the run's path, which need not be UTF-8.
            partial.write_bytes(page.encode(errors="backslashreplace"))
    return target


def _target(run: epath.PathLike, out: epath.PathLike | None, *, overwrite: bool) -> epath.Path:
    if out is None:
        return epath.Path(run) / REPORT_FILE
    name, target = os.fspath(out), epath.Path(out)
    if target.suffix not in (".html", ".htm"):
        raise InputError(f"out {name!r}: must be a .html file")
    if not is_remote(target) and not target.parent.is_dir():
        raise InputError(f"out {name!r}: must be a file in a folder that exists")
    if target.exists() and not overwrite:
        raise InputError(f"out {name!r} exists; allowed with --overwrite")
    return target


def _rendered(data: RunData) -> str:
    """The page; files that are whole, each by itself, and contradict each other are the run's fault."""
    try:
        return render(data)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise InputError(
            f"run {data.path!r} is damaged: its files do not fit together ({type(error).__name__}: {error})"
        ) from error
