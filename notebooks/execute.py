"""Executes the notebooks from top to bottom, each in a fresh kernel and an empty folder.

    python notebooks/execute.py            # in full, and stores their outputs (make notebooks)
    python notebooks/execute.py --smoke    # small, and stores nothing (make notebooks-smoke)

A cell that raises ends it with exit code 1, and so does an output that tells of this machine's folders or a
notebook that would be larger than 1.5 MB: then the stored one stays as it was.
"""

import dataclasses
import os
import pathlib
import platform
import re
import sys
import tempfile
import time
from typing import Final

import nbformat
import tyro
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER: Final = pathlib.Path(__file__).parent

SMOKE: Final = "DYSR_NOTEBOOK_SMOKE"
"""The environment variable that notebooks ask in their first cell."""

MOST_BYTES: Final = 1_500_000

CELL_SECONDS: Final = 900


@dataclasses.dataclass(frozen=True)
class Options:
    """What is executed."""

    notebooks: tyro.conf.Positional[tuple[pathlib.Path, ...]] = ()
    """Files; without any, all."""
    smoke: bool = False
    """In the small setting; nothing is stored."""


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Leave out what differs at every execution and tells nobody anything."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    kept = ("kernelspec", "language_info", "widgets", "colab", "accelerator")
    notebook.metadata = nbformat.from_dict(
        {key: notebook.metadata[key] for key in kept if key in notebook.metadata}
    )


def private(notebook: nbformat.NotebookNode, folder: str) -> str:
    """What of the outputs belongs to this machine; empty if nothing does."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    words = [str(output.get("text", "")) for output in outputs]
    for output in outputs:
        words += [str(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
    names = [folder, str(pathlib.Path.home()), str(FOLDER.resolve().parent), platform.node()]
    pattern = "|".join(re.escape(name) for name in names if len(name) > 1)
    found = re.search(rf"(?<![\w/-])({pattern})(?![\w-])", "\n".join(words))
    return found[0] if found else ""


def execute(path: pathlib.Path, *, store: bool) -> None:
    """Execute a notebook, and store its outputs.

    Raises:
        CellExecutionError: a cell raised.
        ValueError: the outputs must not be stored.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            coalesce_streams=True,  # of a progress bar only its last state stays
            resources={"metadata": {"path": folder}},
        )
        client.execute()
        if not store:
            return
        tidy(notebook)
        text = nbformat.writes(notebook) + "\n"
        if found := private(notebook, folder):
            raise ValueError(f"an output holds {found!r}")
    if len(text.encode()) > MOST_BYTES:
        raise ValueError(f"{len(text.encode()):,} bytes: allowed are {MOST_BYTES:,}")
    path.write_text(text)


def main() -> int:
    """Run it."""
    options = tyro.cli(Options)
    if options.smoke:
        os.environ[SMOKE] = "1"
    else:
        os.environ.pop(SMOKE, None)
    for path in options.notebooks or sorted(FOLDER.glob("*.ipynb")):
        start = time.perf_counter()
        try:
            execute(path, store=not options.smoke)
        except (CellExecutionError, ValueError) as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            return 1
        print(f"{path.name}: {time.perf_counter() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
