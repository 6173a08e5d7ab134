"""The page: template, style and scripts of this folder, filled with a run's data."""

import functools
import html
import importlib.resources
import re
from collections.abc import Mapping
from typing import Final

from dysr_jax.report.html.content import content
from dysr_jax.report.html.packing import Packer, squeeze
from dysr_jax.report.rundata import RunData
from dysr_jax.version import package_version

SCRIPTS: Final = (
    "data",
    "words",
    "branches",
    "plots",
    "front",
    "front_section",
    "members",
    "curves",
    "memory",
    "compare",
    "runtime",
    "main",
)
"""In the order in which they stand in the page: each uses what is above it, the last one begins."""


def _asset(name: str) -> str:
    return (importlib.resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


@functools.cache
def _plotly() -> str:
    """Plotly.js as it comes with the package, compressed."""
    from plotly.offline import get_plotlyjs

    return squeeze(get_plotlyjs().encode())


def _fill(template: str, values: Mapping[str, str]) -> str:
    """The template with `@@name@@` replaced, once: what is put in is not searched again."""
    return re.sub(r"@@(\w+)@@", lambda match: values[match[1]], template)


def render(data: RunData) -> str:
    """The whole page, self-contained: it works from a file, and asks no network for anything."""
    packer = Packer()
    fields = content(data, packer)
    scripts = (f"<script>\n{_asset(f'{name}.js')}</script>" for name in SCRIPTS)
    return _fill(
        _asset("page.html"),
        {
            "title": html.escape(f"DySR run {fields['name']}"),
            "generator": html.escape(f"dysr_jax {package_version()}"),
            "style": _asset("style.css"),
            "plotly": _plotly(),
            "data": packer.pack(fields),
            "scripts": "\n".join(scripts),
        },
    )
