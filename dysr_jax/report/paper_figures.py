"""All figures for papers that a run has the data for."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from etils import epath

from dysr_jax.report import plots
from dysr_jax.report.rundata import RunData, read_run, with_image, writing
from dysr_jax.results import latency_predictions


class Figures(NamedTuple):
    """What `write_figures` left: its files, and a line on each part of the run that it could not draw."""

    paths: list[str]
    missing: list[str]


def run_figures(run: RunData) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Name and drawing of each figure that the run has the data for."""
    if run.training:
        yield "training", partial(plots.training_figure, run.training)
    if run.candidates is not None:
        yield "candidates", partial(plots.candidates_figure, run.candidates)
        yield "hypervolume", partial(plots.hypervolume_figure, run.candidates)
    if run.results is not None:
        yield "members", partial(plots.members_figure, run.results)
        yield "strips", partial(plots.strips_figure, run.space, run.results.members)
        yield "memory", partial(plots.memory_figure, run.space, run.results.members)
    if run.comparison is not None:
        yield "comparison", partial(plots.comparison_figure, run.comparison)
    if run.table is not None and (found := latency_predictions(run.space, run.table, run.results)):
        yield "latency", partial(plots.predictions_figure, found)
    if run.switch is not None and run.switch.finished:
        yield "switch", partial(plots.switch_figure, run.switch)
    for stream in run.steady:
        if stream.trace.frames:
            name = "_".join(["timeline", *re.findall(r"\w+", stream.name)])
            yield name, partial(plots.streamed_figure, stream)


def write_figures(
    run: epath.PathLike,
    folder: epath.PathLike,
    *,
    switch: epath.PathLike | None = None,
    steady: epath.PathLike | None = None,
    image: epath.PathLike | None = None,
) -> Figures:
    """Draw what a run, perhaps unfinished, holds for papers: figures as PNG (300 pixels per inch) and SVG.

    One column is 3.3 inches wide, two are 6.9; text has 8 points. The folder is made where it is missing;
    files of the same names are replaced. The other arguments are those of `dysr_jax.write_report`.

    Raises InputError: `run`, `image`, `switch` or `steady` cannot be read, or `folder` cannot be written.
    """
    data = read_run(run, switch=switch, steady=steady)
    if image is not None:
        data = with_image(data, image)
    paths = []
    with plots.paper_style(), writing("figures", folder):
        place = epath.Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        for name, draw in run_figures(data):
            paths += plots.save_pair(draw(), place, name)
    return Figures(paths, data.missing)
