"""Commands on a run: search it, show it as a page, merge bundles; and the latency table that a search begins
with.
"""

import contextlib
import dataclasses
import pathlib
from typing import Annotated, Literal

import tyro
from etils import epath

from dysr_jax.atomic import exclusive
from dysr_jax.bench import profile
from dysr_jax.bundle import load_bundle, merge_bundles
from dysr_jax.commands.common import ConfigOptions, check_output
from dysr_jax.distributed import OPTIONS, job
from dysr_jax.errors import InputError
from dysr_jax.report import profile_table, write_figures
from dysr_jax.report.html import write_report
from dysr_jax.report.plots import latency_figure
from dysr_jax.run import run_search
from dysr_jax.search import save_table


@dataclasses.dataclass(frozen=True)
class Search(ConfigOptions):
    """Train a supernet, search it on this device, and leave a bundle whose executables switch.

    The same command goes on with a run that was interrupted.
    """

    out: str
    """Directory of the run, or gs://BUCKET/RUN."""
    distributed: bool = False
    """This is one process of a job of several, which share the work; the same command starts each."""
    coordinator: str | None = None
    """HOST:PORT of process 0; without it the cluster is the one that JAX detects, as on a TPU VM pod."""
    processes: int | None = None
    """Processes of the job."""
    process_id: int | None = None
    """Number of this process, from 0."""

    def __call__(self) -> None:
        place = (self.coordinator, self.processes, self.process_id)
        if not self.distributed and place != (None, None, None):
            raise InputError(f"{OPTIONS}: must come with --distributed")
        with job(*place) if self.distributed else contextlib.nullcontext():
            run_search(self.run, self.out)


@dataclasses.dataclass(frozen=True)
class Profile(ConfigOptions):
    """Measure this device's latency table, and how well it predicts archs that it has not seen.

    Writes the table (for `dysr search --search.latency FILE`) and, beside it, a figure.
    """

    out: pathlib.Path
    """The table's file, .json; the figure gets the same name with .png."""
    archs: int = 32
    """Random archs that the table is fitted to and checked with, each by a fit to the others."""

    def __call__(self) -> None:
        check_output(self.out, "out")
        if self.out.suffix != ".json":
            raise InputError(f"out {str(self.out)!r}: must be a .json file")
        figure = self.out.with_suffix(".png")
        with exclusive(self.out):
            found = profile(self.run, archs=self.archs)
            save_table(self.out, found.table)
            latency_figure(figure, found)
        print(f"{profile_table(found)}\n  {self.out}\n  {figure}")


@dataclasses.dataclass(frozen=True)
class Merge:
    """Put bundles of one supernet, each searched on another kind of device, into one bundle.

    Whoever loads it gets the members for the kind of device at hand.
    """

    out: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="OUT")]
    """Directory of the new bundle, or gs://BUCKET/BUNDLE; must not exist."""
    cpu: str | None = None
    """Bundle for CPUs."""
    gpu: str | None = None
    """Bundle for GPUs."""
    tpu: str | None = None
    """Bundle for TPUs."""
    dtype: Literal["float32", "float16"] = "float32"
    """How the weights are stored."""

    def __call__(self) -> None:
        given = {"cpu": self.cpu, "gpu": self.gpu, "tpu": self.tpu}
        if epath.Path(self.out).exists():
            raise InputError(f"out {self.out!r}: must not exist")
        merge_bundles(self.out, {k: v for k, v in given.items() if v is not None}, dtype=self.dtype)
        for name, path in given.items():
            if path is not None:
                bundle = load_bundle(self.out, name)
                print(f"{name}: {len(bundle.members)} members, measured on {bundle.device}")


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
        shown = {"switch": self.switch, "steady": self.steady, "image": self.image}
        print(write_report(self.run, self.out, **shown, overwrite=self.overwrite))
        if self.figures is not None:
            drawn = write_figures(self.run, self.figures, **shown)
            for line in [*drawn.paths, *(f"no figure of {line}" for line in drawn.missing)]:
                print(line)
