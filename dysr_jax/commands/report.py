"""The report of a run."""

import dataclasses
import pathlib
from typing import Annotated

import tyro

from dysr_jax.report import write_figures
from dysr_jax.report.html import write_report


@dataclasses.dataclass(frozen=True)
class Report:
    """Write a run as one HTML file: front, members, curves, images; it needs no network."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """Directory of a run, or gs://BUCKET/RUN; it may be unfinished."""
    out: str | None = None
    """The .html file; without it report.html of the run."""
    switch: pathlib.Path | None = None
    """A file of dysr bench switch --json; without it switch.json of the run, if it is there."""
    steady: pathlib.Path | None = None
    """A file of dysr stream --json or dysr bench steady --json; without it steady.json of the run."""
    image: pathlib.Path | None = None
    """An HR image to compare the members on, in place of the validation image that the run kept."""
    figures: str | None = None
    """A folder for figures of the same data for papers, PNG and SVG; made where it is missing."""
    overwrite: bool = False
    """Replace the file that --out names."""

    def __call__(self) -> None:
        """Run it."""
        print(
            write_report(
                self.run,
                self.out,
                switch=self.switch,
                steady=self.steady,
                image=self.image,
                overwrite=self.overwrite,
            )
        )
        if self.figures is not None:
            _draw(self, self.figures)


def _draw(command: Report, folder: str) -> None:
    """Write the figures, and say what the run has none for."""
    drawn = write_figures(
        command.run, folder, switch=command.switch, steady=command.steady, image=command.image
    )
    for line in [*drawn.paths, *(f"no figure of {line}" for line in drawn.missing)]:
        print(line)
