"""All figures for papers that a run has the data for."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from etils import epath

from dysr_jax.atomic import is_remote
from dysr_jax.errors import InputError
from dysr_jax.report.html import with_image
from dysr_jax.report.plots import (
    candidates_figure,
    comparison_figure,
    hypervolume_figure,
    members_figure,
    memory_figure,
    page,
    predictions_figure,
    save_pair,
    streamed_figure,
    strips_figure,
    switch_figure,
    training_figure,
)
from dysr_jax.report.rundata import RunData, read_run
from dysr_jax.results import predictions


class Figures(NamedTuple):
    """What `write_figures` left."""

    paths: list[str]
    """Of the files, a PNG and an SVG each."""
    missing: list[str]
    """What the run does not have, so that it could not be drawn, and why; a line each."""


Draw = Callable[[], Any]


def _of_search(run: RunData) -> Iterator[tuple[str, Draw]]:
    if run.training:
        yield "training", partial(training_figure, run.training)
    if run.candidates is not None:
        yield "candidates", partial(candidates_figure, run.candidates)
        yield "hypervolume", partial(hypervolume_figure, run.candidates)


def _of_members(run: RunData) -> Iterator[tuple[str, Draw]]:
    if run.results is not None:
        yield "members", partial(members_figure, run.results)
        yield "strips", partial(strips_figure, run.space, run.results.members)
        yield "memory", partial(memory_figure, run.space, run.results.members)
    if run.comparison is not None:
        yield "comparison", partial(comparison_figure, run.comparison)


def _of_device(run: RunData) -> Iterator[tuple[str, Draw]]:
    if run.table is not None and (found := predictions(run.space, run.table, run.results)):
        yield "latency", partial(predictions_figure, found)
    if run.switch is not None and any("failed" not in row for row in run.switch["strategies"]):
        yield "switch", partial(switch_figure, run.switch)
    for stream in run.steady:
        if stream.trace.frames:
            name = "_".join(["timeline", *re.findall(r"\w+", stream.name)])
            yield name, partial(streamed_figure, stream)


@contextlib.contextmanager
def _refused(folder: str) -> Iterator[None]:
    """What a disk or a store refuses becomes one line."""
    try:
        yield
    except Exception as error:  # whatever a store raises
        if not is_remote(folder) and not isinstance(error, OSError):
            raise
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"figures {folder!r} cannot be written: {reason}") from None


def write_figures(
    run: epath.PathLike,
    folder: epath.PathLike,
    *,
    switch: epath.PathLike | None = None,
    steady: epath.PathLike | None = None,
    image: epath.PathLike | None = None,
) -> Figures:
    """Draw everything that a run holds, for papers: each figure as PNG (300 pixels an inch) and SVG.

    One column is 3.3 inches wide, two are 6.9; text has 8 points. Of an unfinished run what is there is
    drawn. Files of the same names are replaced.

    Args:
        run: directory of the run; it may lie in a bucket (`gs://`).
        folder: of the figures, made where it is missing.
        switch: a file of `dysr bench switch --json`; without it the run's own `switch.json`.
        steady: a file of `dysr stream --json` or of `experiments/steady_fps.py`; without it the run's own
            `steady.json`.
        image: an HR image to compare members on, in place of the one that the run kept.

    Raises:
        InputError: `run`, `image`, `switch` or `steady` cannot be read, or `folder` cannot be written.
    """
    data = read_run(run, switch=switch, steady=steady)
    if image is not None:
        data = with_image(data, image)
    paths = []
    with page(), _refused(os.fspath(folder)):
        place = epath.Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        for part in (_of_search, _of_members, _of_device):
            for name, draw in part(data):
                paths += save_pair(draw(), place, name)
    return Figures(paths, data.missing)
