"""The whole way of the data, once: images, training, search, selection, bundle, frames, report."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
from etils import epath
from jax.sharding import Mesh

from dysr_jax import data, model, parallel, search
from dysr_jax.atomic import exclusive, replacing, write_json
from dysr_jax.bundle import Bundle, load_bundle, save_bundle
from dysr_jax.config import RunConfig, check, with_groups
from dysr_jax.device import memory_bytes
from dysr_jax.errors import InputError
from dysr_jax.known import KEY_FILE, TABLE_FILE, begin_archive, check_known
from dysr_jax.model import SUPERNET_FILE, Params, SearchSpace, Supernet
from dysr_jax.report import compare, format_count, summarise, write_comparison, write_run_figures
from dysr_jax.report.html import write_report
from dysr_jax.results import RESULTS_FILE, run_results
from dysr_jax.rundir import agree, open_run
from dysr_jax.search import (
    AFTER,
    BEFORE,
    CLOCK_FILE,
    Laps,
    LatencyTable,
    Patches,
    Record,
    device_table,
    predict,
    search_times,
    timed_stage,
)
from dysr_jax.train import train

Log = Callable[[str], None]


class _Job(NamedTuple):
    """What the phases of a run share."""

    config: RunConfig
    run: epath.Path
    mesh: Mesh
    net: Supernet
    images: data.RunImages
    patches: Patches
    log: Log


def _has(out: epath.PathLike, name: str) -> bool:
    """Whether a run there has a file of its own, so that what it was begun with may be gone."""
    try:
        return (epath.Path(out) / name).exists()
    except Exception:  # whatever such a place is, `open_run` says what is wrong with it
        return False


def _begin(config: RunConfig, out: epath.PathLike, log: Log) -> _Job:
    """Check and load everything, each process alone, and compare once; only then make the run's directory."""
    memory = agree(config, memory_bytes())
    mesh = parallel.device_mesh(config.devices)
    space = check(config, mesh.devices.size)
    config = with_groups(config, mesh.devices.size)
    images = parallel.everywhere(lambda: _load(config, space, out, memory))
    parallel.same(
        lambda: images.digest, f"data.source {config.data.source!r}: must be the same images everywhere"
    )
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, pipeline=images.pipeline))
    patches = search.grid_patches(images.validation, config.search.patches, config.search.patch)
    if not _has(out, KEY_FILE):
        parallel.from_main(lambda: check_known(config, space, patches))
    run = open_run(out, config)
    net = model.make_supernet(space, config.dtype, layers=config.layers)
    return _Job(config, run, mesh, net, images, patches, log)


def _load(config: RunConfig, space: SearchSpace, out: epath.PathLike, memory: int) -> data.RunImages:
    """The images; a latency table and weights that the config names must be readable before a run begins."""
    images = data.load_run_images(config.data, space.scale, memory=memory, train=config.weights is None)
    if config.search.latency and parallel.is_main() and not _has(out, TABLE_FILE):
        _load_table(config, space, config.search.latency)
    if config.weights and not _has(out, "config.json"):
        model.load_supernet(config.weights, space)
    return images


def _load_table(config: RunConfig, space: SearchSpace, path: epath.PathLike) -> LatencyTable:
    """A table of this device; where known archs are searched again, of another one too."""
    return search.load_table(path, _table_key(config, space), foreign=config.from_run is not None)


def _table_key(config: RunConfig, space: SearchSpace) -> dict[str, Any]:
    dtype = model.compute_dtype(config.dtype)
    return search.table_key(space, dtype, config.search.frame, layers=config.layers, backend=config.backend)


def _latency_table(job: _Job) -> LatencyTable:
    """The run's own copy, so that a resumed run sees the same; the one the config names; the device's."""
    config, space, own = job.config.search, job.net.space, job.run / TABLE_FILE
    if own.exists():
        return _load_table(job.config, space, own)
    if config.latency:
        table, how = _load_table(job.config, space, config.latency), f"from {config.latency}"
    else:
        # Latencies do not depend on the values of the weights.
        params = model.init_params(jax.random.key(0), space)
        frame, rounds, drawn = config.frame, config.rounds, config.latency_archs
        with timed_stage(job.run, BEFORE, "latency"):
            table, measured = device_table(
                job.net,
                params,
                frame,
                rounds,
                drawn=drawn,
                remeasure=config.remeasure,
                backend=job.config.backend,
            )
        how = "measured now" if measured else f"as measured {table.measured_at}"
    job.log(f"latency table of {table.key.get('device')}: {how}, {len(table.measured_ms)} executables")
    search.save_table(own, table)
    return table


def _write_results(job: _Job, params: Params, table: LatencyTable, records: list[Record]) -> None:
    """Bundle, figures, images and `pareto.json`, which is written last: a run that has it is finished."""
    config, space, sharing = job.config.search, job.net.space, job.config.search.switch_cost_weight
    try:
        archs = search.choose_members(space, records, config)
    except InputError as error:
        again = f"dysr search --from {job.run} --out OTHER takes other bounds without training"
        raise InputError(f"{error}; {again}") from None
    if worth := search.describe_load(space, records, config, archs):
        job.log(worth)
    if search.is_foreign(table):
        given: dict[str, Any] = {"table": table}
        job.log(f"{len(archs)} members of the front, with the latencies that the table predicts")
    else:
        given = {"backend": job.config.backend}
        job.log(f"compiling {len(archs)} members of the front and measuring them again")
    with timed_stage(job.run, AFTER, "members") as clock:
        bundle = search.measure_members(job.net, params, archs, job.images.validation, config, **given)
        weights = sorted({*search.SWITCH_COST_WEIGHTS, sharing})
        points = search.front_records(search.feasible_records(records, config))
        curve = search.sharing_curve(space, points, members=config.members, weights=weights)
        with clock.part("write"):
            save_bundle(job.run / "bundle", bundle, search.table_json(table))
            write_run_figures(job.run, bundle, records, job.images.validation[0], curve, sharing=sharing)
            write_comparison(job.run, compare(bundle, job.images.validation[0]))
    times = search_times(Laps(job.run / CLOCK_FILE, write=False).by_stage.values(), records)
    write_json(job.run / RESULTS_FILE, run_results(bundle, records, table, curve, times).to_json())


def _write_supernet(job: _Job, params: Params) -> None:
    """The weights of all archs, for other searches and devices."""
    with replacing(job.run / SUPERNET_FILE) as partial:
        partial.write_bytes(model.params_to_bytes(params))


def _weights(job: _Job, key: jax.Array, table: LatencyTable) -> Params:
    """Those that the config names; else the average that the training ends with, also left as a file."""
    config = job.config
    if config.weights:
        job.log(f"weights from {config.weights}: nothing is trained")
        return parallel.everywhere(lambda: model.load_supernet(config.weights, job.net.space))
    told = data.describe_pipeline(config.data, job.images.need, memory_bytes())
    job.log(f"{len(job.images.training)} training images {told}")
    if isinstance(job.images.training, data.TrainingImages):
        source: data.CropPool | data.GrainStream = data.GrainStream(job.images.training)
    else:
        source = data.build_pool(job.images.training, config.data.patch)
    costs = functools.partial(predict, table, job.net.space)
    state = train(key, job.net, source, config.train, job.mesh, job.run, costs=costs)
    params = parallel.on_one_device(state.ema, job.mesh)
    parallel.from_main(lambda: _write_supernet(job, params))
    return params


def _train_and_search(job: _Job) -> None:
    """All phases: every process trains and evaluates, process 0 measures and writes."""
    config, space = job.config, job.net.space
    key_train, key_search = jax.random.split(jax.random.key(config.seed))
    archs = format_count(model.space_size(space))
    job.log(f"{len(job.images.validation)} images for validation; {archs} archs")
    table = search.table_from_json(parallel.from_main(lambda: search.table_json(_latency_table(job))))
    params = _weights(job, key_train, table)
    parallel.from_main(lambda: begin_archive(job.run, config, space, job.patches, table))
    start = time.perf_counter()
    main = parallel.is_main()
    archive = search.search(
        key_search, job.net, params, job.patches, table, config.search, job.mesh, job.run, write=main
    )
    records = list(archive.records.values())
    took = f"{time.perf_counter() - start:.1f} s, compilation and NSGA-II included"
    reused = len(search.reused_records(records))
    known = f", {reused:,} of them known from {config.from_run}," if reused else ""
    job.log(f"searched {len(records):,} candidates{known} in {took}")
    ranks = " ".join(f"{tau:.2f}" for tau in search.taus(records).values())
    if ranks:
        job.log(f"Kendall's tau of the surrogate's PSNR-Y and the measured one, by generation: {ranks}")
    if bounds := search.describe_bounds(records, config.search):
        job.log(f"constraints: {bounds}")
    parallel.from_main(lambda: _write_results(job, params, table, records))


def _tell(job: _Job, bundle: Bundle) -> None:
    summarise(job.run, bundle, job.images.validation[0], job.log, backend=job.config.backend)
    try:
        job.log(f"  {write_report(job.run)}")
    except InputError as error:  # such as a finished run in a folder that is only read
        job.log(f"no report: {error}")


@contextlib.contextmanager
def _alone(run: epath.Path) -> Iterator[None]:
    """Hold the run's folder for this job: process 0 does, and a refusal is raised in every process."""
    with contextlib.ExitStack() as held:
        parallel.from_main(lambda: held.enter_context(exclusive(run)))
        yield


def run_search(config: RunConfig, out: epath.PathLike, *, log: Log = print) -> Bundle:
    """Train a supernet, search it, and leave a front whose executables switch; the bundle in `out/bundle`.

    A run that was interrupted goes on where it was; a finished one shows its results again. After
    `jax.distributed.initialize()`, called before anything uses a device, the processes of the job share
    the work over all their devices: each calls this with the same config, process 0 writes, prints and
    measures latencies.

    Args:
        config: of the run; `config_from_run` gives that of a run to search again.
        out: directory that gets `config.json`, `checkpoints/`, `tensorboard/`, `latency.json`,
            `supernet.safetensors`, `archive_key.json`, `archive.jsonl`, `search_state.msgpack`,
            `search_clock.jsonl`, `bundle/`, `figures/`, `comparison/`, `pareto.json` and `report.html`; a
            folder or `gs://BUCKET/RUN`, and one that all processes see.
        log: called with each line for the user, on process 0.

    Raises InputError: anything in the config or the folder that cannot be, nothing is written then; another
    search that runs there now; no evaluated arch within the constraints. All processes raise it.
    """
    job = _begin(config, out, log if parallel.is_main() else lambda _: None)
    with _alone(job.run):
        if parallel.from_main((job.run / RESULTS_FILE).exists):
            job.log(f"{job.run} is finished")
        else:
            _train_and_search(job)
        bundle = load_bundle(job.run / "bundle")
        parallel.from_main(lambda: _tell(job, bundle))
    return bundle
