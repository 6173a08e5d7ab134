"""What is said at the end of a command that went through many images."""

import logging
import sys
import warnings
from collections.abc import Sequence

from dysr_jax.apps import Written
from dysr_jax.data import FailedImage


def quiet_pillow() -> None:
    """No warnings of Pillow and tifffile on stderr: what matters is in our own notes and errors."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"PIL\.")


def notes_on(written: Sequence[Written]) -> list[str]:
    """A line per note, however many images it is on; the first image is named."""
    images: dict[str, list[str]] = {}
    for path, notes in written:
        for note in notes:
            images.setdefault(note, []).append(str(path))
    return [
        f"{paths[0]}{f' and {len(paths) - 1} more' if paths[1:] else ''}: {note}"
        for note, paths in images.items()
    ]


def end_with(failed: Sequence[FailedImage], total: int) -> None:
    """Name all that failed, and end the command with exit code 1 where something did."""
    for failure in failed:
        print(f"dysr: error: {failure.error}", file=sys.stderr)
    if failed:
        done = f", {total - len(failed)} are done" if len(failed) < total else ""
        print(f"dysr: {len(failed)} of {total} images failed{done}", file=sys.stderr)
        raise SystemExit(1)
