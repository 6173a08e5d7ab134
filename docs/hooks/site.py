"""What MkDocs does beyond its defaults: generated parts, figures, links to files of the repository.

A page names a generated part in a comment, `<!-- generate: cli -->`. A link that leaves `docs/`, as
`../../dysr_jax/run.py`, must lead to a file of the repository; on the site that is its page on GitHub, or
a copy of a figure.
"""

import atexit
import functools
import logging
import os
import pathlib
import re
import sys
import tempfile
from typing import Any, Final

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import generate

log: Final = logging.getLogger("mkdocs.hooks.site")  # in strict mode its warnings fail the build

FIGURES: Final = pathlib.PurePosixPath("experiments/figures")
LINK: Final = re.compile(r"(!?\[[^\]]*\])\((\.\.?/[^)#\s]+)(#[^)\s]*)?\)")
PART: Final = re.compile(r"<!-- generate: ([\w-]+) -->")


def on_files(files: Files, *, config: Any) -> Files:
    """Adds the figures of the experiments, and the demo."""
    for path in sorted((generate.ROOT / FIGURES).glob("*.png")):
        files.append(File.generated(config, f"figures/{path.name}", abs_src_path=str(path)))
    for path in _demo().iterdir():
        files.append(File.generated(config, f"demo/{path.name}", abs_src_path=str(path)))
    return files


@functools.cache
def _demo() -> pathlib.Path:
    """A demo of the package's weights, which lasts as long as the process."""
    from dysr_jax.apps import write_demo
    from dysr_jax.bundle import load_pretrained

    place = tempfile.TemporaryDirectory()
    atexit.register(place.cleanup)
    return pathlib.Path(write_demo(load_pretrained(device_class="cpu"), f"{place.name}/demo")).parent


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Puts in what is generated and turns links to the repository's files into links of the site."""
    markdown = PART.sub(lambda found: generate.PARTS[found[1]](), markdown)
    return LINK.sub(lambda found: _link(found, page.file.src_uri, config), markdown)


def _link(found: re.Match[str], page: str, config: Any) -> str:
    label, target, anchor = found[1], found[2], found[3] or ""
    path = pathlib.PurePosixPath(os.path.normpath(pathlib.PurePosixPath("docs", page).parent / target))
    if path.parts[0] == "docs":  # MkDocs checks links between pages
        return found[0]
    if path.parts[0] == ".." or not (generate.ROOT / path).exists():
        log.warning("%s links to %s, which is no file of the repository", page, target)
        return found[0]
    if path.parent == FIGURES and label.startswith("!"):
        up = "../" * (len(pathlib.PurePosixPath(page).parts) - 1)
        return f"{label}({up}figures/{path.name})"
    kind = "tree" if (generate.ROOT / path).is_dir() else "blob"
    return f"{label}({config.repo_url}/{kind}/main/{path}{anchor})"
