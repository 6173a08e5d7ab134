"""What `dysr COMMAND` can be told and does: a dataclass a command, whose fields are the options."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Annotated, Any, Final

import tyro

from dysr_jax.atomic import write_json
from dysr_jax.bench.candidates import bench_candidates
from dysr_jax.bench.data import bench_data
from dysr_jax.bench.profile import profile
from dysr_jax.bench.scaling import bench_scaling
from dysr_jax.bench.search import bench_search
from dysr_jax.bench.step import bench_step
from dysr_jax.config import RunConfig
from dysr_jax.data.builders.prepare import prepare_dataset
from dysr_jax.data.builders.prepared import data_root, list_prepared
from dysr_jax.data.files import Duplicates
from dysr_jax.errors import InputError
from dysr_jax.processes import OPTIONS, job
from dysr_jax.report.datasets import datasets_table
from dysr_jax.report.latency import latency_figure
from dysr_jax.report.tables import bench_table, profile_table, scores_table
from dysr_jax.run import run_search
from dysr_jax.runtime.bundle import load_bundle
from dysr_jax.runtime.images import evaluate_folder, upscale_files
from dysr_jax.search.latency import save_table

JsonPath = Annotated[pathlib.Path | None, tyro.conf.arg(name="json")]


@dataclasses.dataclass(frozen=True)
class Search:
    """Train a supernet, search it on this device, and leave a bundle whose executables switch.

    The same command goes on with a run that was interrupted.
    """

    out: str
    """Directory of the run, or gs://BUCKET/RUN."""
    config: str = "quickstart"
    """Preset (quickstart, base) or a .json file as a run writes it; the options below change it."""
    distributed: bool = False
    """This is one process of a job of several, which share the work; the same command starts each."""
    coordinator: str | None = None
    """HOST:PORT of process 0; without it the cluster is the one that JAX detects, as on a TPU VM pod."""
    processes: int | None = None
    """Processes of the job."""
    process_id: int | None = None
    """Number of this process, from 0."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        place = (self.coordinator, self.processes, self.process_id)
        if not self.distributed:
            if place != (None, None, None):
                raise InputError(f"{OPTIONS}: allowed with --distributed")
            run_search(self.run, self.out)
            return
        with job(*place):
            run_search(self.run, self.out)


@dataclasses.dataclass(frozen=True)
class Upscale:
    """Upscale an image, or every image of a folder."""

    bundle: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(metavar="BUNDLE")]
    """A bundle directory, such as RUN/bundle."""
    source: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(name="in", metavar="IN")]
    """An image, or a folder of images."""
    target: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(name="out", metavar="OUT")]
    """An image, or a folder."""
    member: str | None = None
    """A member's name; the best one without it."""

    def __call__(self) -> None:
        """Run it."""
        for path in upscale_files(load_bundle(self.bundle), self.source, self.target, self.member):
            print(path)


@dataclasses.dataclass(frozen=True)
class Eval:
    """PSNR-Y and SSIM-Y of every member, and of bicubic, on a folder of HR images."""

    bundle: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(metavar="BUNDLE")]
    """A bundle directory, such as RUN/bundle."""
    folder: Annotated[tyro.conf.Positional[pathlib.Path], tyro.conf.arg(metavar="FOLDER")]
    """HR images; the LR ones are made by MATLAB's bicubic."""
    json_path: JsonPath = None
    """Write the scores to this file too."""

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.json_path)
        scores = evaluate_folder(load_bundle(self.bundle), self.folder)
        print(scores_table(scores))
        if self.json_path:
            write_json(self.json_path, {name: s._asdict() for name, s in scores.items()})


@dataclasses.dataclass(frozen=True)
class BenchStep:
    """Time a training step of the search program against the static program of the same archs."""

    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    json_path: JsonPath = None
    """Write the figures to this file too."""
    rounds: int = 15
    """Timed rounds; medians count."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.json_path)
        _report(bench_step(self.run, rounds=self.rounds), bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchCandidates:
    """Time the evaluation of candidates: the search program against compiling each one."""

    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    json_path: JsonPath = None
    """Write the figures to this file too."""
    rounds: int = 15
    """Timed rounds; medians count."""
    compiled: int = 4
    """Candidates that are compiled as static programs."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.json_path)
        result = bench_candidates(self.run, rounds=self.rounds, compiled=self.compiled)
        _report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchSearch:
    """Candidates a second: the search program, compiling each one, and eager PyTorch where it is there."""

    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    json_path: JsonPath = None
    """Write the figures to this file too."""
    populations: tuple[int, ...] = (64, 256, 1024)
    """Candidates in a call of the search program."""
    patch_counts: tuple[int, ...] = ()
    """Validation patches; without any, a quarter of the config's and all of it."""
    compiled: int = 4
    """Candidates that are compiled as static programs."""
    rounds: int = 5
    """Timed rounds; medians count."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.json_path)
        result = bench_search(
            self.run,
            populations=self.populations,
            patch_counts=self.patch_counts,
            compiled=self.compiled,
            rounds=self.rounds,
        )
        _report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchScaling:
    """Training steps and candidates a second on 1, 2, 4, ... and all devices of this machine."""

    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    json_path: JsonPath = None
    """Write the figures to this file too."""
    steps: int = 20
    """Training steps in a dispatch."""
    rounds: int = 5
    """Timed rounds; medians count."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.json_path)
        result = bench_scaling(self.run, steps=self.steps, rounds=self.rounds)
        _report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class BenchData:
    """Patches a second of the pool and of Grain, beside what a training step consumes."""

    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    json_path: JsonPath = None
    """Write the figures to this file too."""
    workers: tuple[int, ...] = (0, 2)
    """Numbers of Grain's worker processes; 0 decodes in threads."""
    steps: int = 5
    """Training steps in a dispatch."""
    rounds: int = 5
    """Timed rounds on the device; medians count."""
    seconds: float = 2.0
    """Time, at least, that Grain is measured alone, and again while it feeds training."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.json_path)
        result = bench_data(
            self.run,
            workers=self.workers,
            steps=self.steps,
            rounds=self.rounds,
            seconds=self.seconds,
        )
        _report(result, bench_table, self.json_path)


@dataclasses.dataclass(frozen=True)
class Profile:
    """Measure this device's latency table, and how well it predicts archs that it has not seen.

    Writes the table (for `dysr search --search.latency FILE`) and, beside it, a figure.
    """

    out: pathlib.Path
    """The table's file, .json; the figure gets the same name with .png."""
    config: str = "quickstart"
    """Preset, or a .json file as a run writes it."""
    archs: int = 32
    """Random archs that the table is fitted to and checked with, each by a fit to the others."""
    run: Annotated[RunConfig, tyro.conf.arg(name="")] = RunConfig()

    def __call__(self) -> None:
        """Run it."""
        _check_json(self.out, "out")
        if self.out.suffix != ".json":
            raise InputError(f"out {str(self.out)!r}: allowed is a .json file")
        found = profile(self.run, archs=self.archs)
        save_table(self.out, found.table)
        figure = self.out.with_suffix(".png")
        latency_figure(figure, found)
        print(f"{profile_table(found)}\n  {self.out}\n  {figure}")


@dataclasses.dataclass(frozen=True)
class DataPrepare:
    """Prepare a data set for --data.source tfds:NAME, from the folder as its publisher ships it.

    Once: a data set that is there stays. The same command starts again after an interruption.
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """NAME or NAME/CONFIG of dysr data list, or of TFDS's catalogue (which needs TensorFlow)."""
    source: Annotated[pathlib.Path | None, tyro.conf.arg(name="from")] = None
    """The folder, unpacked."""
    data_dir: str = ""
    """Folder of prepared data sets; empty is TFDS_DATA_DIR, or ~/tensorflow_datasets."""
    duplicates: Duplicates = "error"
    """What to do with an image that is there twice; skip keeps one of them."""

    def __call__(self) -> None:
        """Run it."""
        prepare_dataset(self.name, self.source, directory=self.data_dir, duplicates=self.duplicates)


@dataclasses.dataclass(frozen=True)
class DataList:
    """The data sets that can be prepared, and those that are."""

    data_dir: str = ""
    """Folder of prepared data sets; empty is TFDS_DATA_DIR, or ~/tensorflow_datasets."""

    def __call__(self) -> None:
        """Run it."""
        print(datasets_table(list_prepared(self.data_dir)))
        print(f"folder of prepared data sets: {data_root(self.data_dir)}")


def _check_json(path: pathlib.Path | None, option: str = "json") -> None:
    """Before the work, and not after it."""
    if path and (path.is_dir() or not path.parent.is_dir()):
        raise InputError(f"{option} {str(path)!r}: allowed is a file in a folder that exists")


def _report(
    result: dict[str, Any], table: Callable[[dict[str, Any]], str], path: pathlib.Path | None
) -> None:
    print(table(result))
    if path:
        write_json(path, result)


COMMANDS: Final[dict[str, Any]] = {
    "search": Search,
    "upscale": Upscale,
    "eval": Eval,
    "bench step": BenchStep,
    "bench candidates": BenchCandidates,
    "bench search": BenchSearch,
    "bench scaling": BenchScaling,
    "bench data": BenchData,
    "profile": Profile,
    "data prepare": DataPrepare,
    "data list": DataList,
}
