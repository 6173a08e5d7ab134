"""The whole way of the data, once: images, training, search, selection, bundle, frames, report."""

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import numpy as np
from jax.sharding import Mesh

from dysr_jax import parallel
from dysr_jax.atomic import write_json
from dysr_jax.config import RunConfig, from_dict, to_dict
from dysr_jax.data.degradation import upscale
from dysr_jax.data.pool import build_pool
from dysr_jax.data.sources import Pair, load_pairs
from dysr_jax.device import device_name
from dysr_jax.errors import InputError
from dysr_jax.metrics import psnr_y
from dysr_jax.model.compact import ensemble_weight_bytes, union_weight_bytes
from dysr_jax.model.programs import compute_dtype, make_supernet
from dysr_jax.model.supernet import Params, Supernet
from dysr_jax.report.figures import pareto_figure, samples_figure
from dysr_jax.report.tables import members_table, switch_table
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.bundle import Bundle, Member, load_bundle, make_bundle, make_member, save_bundle
from dysr_jax.runtime.switching import measure_switching
from dysr_jax.search import loop, pareto
from dysr_jax.search.archive import Archive, Record
from dysr_jax.search.evaluator import grid_patches
from dysr_jax.search.latency import (
    LatencyTable,
    device_table,
    load_table,
    predict,
    save_table,
    table_key,
)
from dysr_jax.search.quality import archs_psnr_y, bicubic_psnr_y
from dysr_jax.search.select import ladder
from dysr_jax.space import Arch, largest, size
from dysr_jax.timing import median_ms
from dysr_jax.train.loop import check_config as check_train
from dysr_jax.train.loop import train

FORMAT_VERSION = 1
Say = Callable[[str], None]


def open_run(out: str | os.PathLike[str], config: RunConfig) -> pathlib.Path:
    """Make the run's directory, or find the one that the same config began.

    Raises:
        InputError: a file, a folder of something else, or a run of another config.
    """
    run = pathlib.Path(out)
    path = run / "config.json"
    if path.is_file():
        try:
            found = from_dict(RunConfig, json.loads(path.read_text()), path)
        except json.JSONDecodeError:
            raise InputError(f"out {str(run)!r}: its config.json is damaged") from None
        if found != config:
            difference = _difference(to_dict(found), to_dict(config))
            raise InputError(
                f"out {str(run)!r} holds a run of another config ({difference}); allowed are the same "
                f"config, to go on, or a new folder"
            )
        return run
    if run.is_dir() and any(run.iterdir()):
        raise InputError(f"out {str(run)!r} holds other files; allowed are a run or a new folder")
    try:
        run.mkdir(parents=True, exist_ok=True)
        write_json(path, to_dict(config))
    except OSError as error:
        raise InputError(f"out {str(run)!r} cannot be made: {error.strerror}") from None
    return run


def _difference(found: dict[str, Any], asked: dict[str, Any], prefix: str = "") -> str:
    """The first field in which two configs differ, as `train.steps 100, not 200`."""
    for key, value in found.items():
        if value != asked[key]:
            if isinstance(value, dict):
                return _difference(value, asked[key], f"{prefix}{key}.")
            return f"{prefix}{key} {value}, not {asked[key]}"
    return ""


class _Job(NamedTuple):
    """What the phases of a run share."""

    config: RunConfig
    run: pathlib.Path
    mesh: Mesh
    net: Supernet
    validation: list[Pair]
    say: Say


def _latency_table(job: _Job, params: Params) -> LatencyTable:
    """The run's own copy, so that a resumed search sees the same latencies; else the device's."""
    search, path = job.config.search, job.run / "latency.json"
    if path.exists():
        key = table_key(job.net.space, compute_dtype(job.config.dtype), search.frame)
        return load_table(path, key)
    table, measured = device_table(
        job.net, params, search.frame, search.rounds, remeasure=search.remeasure
    )
    how = "measured now" if measured else f"as measured {table.measured_at}"
    job.say(f"latency table of {device_name()}: {how}")
    save_table(path, table)
    return table


def _front(records: list[Record]) -> list[Record]:
    latency = np.array([record.latency_ms for record in records])
    quality = np.array([record.psnr_y for record in records])
    return [records[i] for i in pareto.front(latency, quality)]


def _choose(job: _Job, front: list[Record]) -> list[Arch]:
    """The archs of the front that are compiled."""
    chosen = ladder(
        job.net.space,
        [record.arch for record in front],
        np.array([record.latency_ms for record in front]),
        np.array([record.psnr_y for record in front]),
        members=job.config.search.members,
        sharing=job.config.search.sharing,
    )
    return [front[i].arch for i in chosen]


def _bundle(job: _Job, params: Params, members: list[Member], bicubic: float) -> Bundle:
    return make_bundle(
        params,
        job.net.space,
        members,
        dtype=compute_dtype(job.config.dtype),
        device=device_name(),
        frame=job.config.search.frame,
        bicubic_psnr_y=bicubic,
    )


def _frame(shape: tuple[int, int], pairs: list[Pair]) -> np.ndarray:
    """A frame of this shape from the first photograph, repeated where it is too small."""
    lr = pairs[0].lr
    repeats = [-(-want // have) for want, have in zip(shape, lr.shape[:2], strict=True)]
    return np.tile(lr, (*repeats, 1))[: shape[0], : shape[1]]


def _measure(job: _Job, params: Params, archs: list[Arch], bicubic: float) -> Bundle:
    """Compile archs, measure quality and latency again, and keep the front of those figures."""
    space, search = job.net.space, job.config.search
    quality = archs_psnr_y(job.net, params, archs, job.validation)
    untimed = [make_member(space, a, q, 1.0) for a, q in zip(archs, quality, strict=True)]
    bank = Bank(_bundle(job, params, untimed, bicubic))
    bank.prepare(search.frame)
    frame = jax.device_put(_frame(search.frame, job.validation))
    calls = {m.name: (lambda name=m.name: bank.dispatch(frame, name)) for m in untimed}
    latency = median_ms(calls, search.rounds)
    timed = [make_member(space, m.arch, m.psnr_y, latency[m.name]) for m in untimed]
    chosen = pareto.front(
        np.array([m.latency_ms for m in timed]), np.array([m.psnr_y for m in timed])
    )
    return _bundle(job, params, [timed[i] for i in chosen], bicubic)


def _pareto_json(bundle: Bundle, archive: Archive, table: LatencyTable) -> dict[str, Any]:
    space = bundle.space
    archs = [member.arch for member in bundle.members]
    slowest = float(predict(table, space, np.array([largest(space)]))[0])
    reference = (slowest, bundle.bicubic_psnr_y)
    latency = np.array([member.latency_ms for member in bundle.members])
    quality = np.array([member.psnr_y for member in bundle.members])
    return {
        "format_version": FORMAT_VERSION,
        "scale": space.scale,
        "device": bundle.device,
        "frame": list(bundle.frame),
        "space_size": size(space),
        "bicubic_psnr_y": bundle.bicubic_psnr_y,
        "evaluated": len(archive.records),
        "candidates_per_second": loop.candidates_per_second(archive),
        "hypervolume": pareto.hypervolume(latency, quality, reference),
        "hypervolume_reference": {"latency_ms": reference[0], "psnr_y": reference[1]},
        "union_weight_bytes": union_weight_bytes(space, archs),
        "ensemble_weight_bytes": ensemble_weight_bytes(space, archs),
        "members": [
            {
                "name": m.name,
                "arch": list(m.arch),
                "psnr_y": m.psnr_y,
                "latency_ms": m.latency_ms,
                "fps": m.fps,
                "params": m.params,
                "macs": m.macs,
            }
            for m in bundle.members
        ],
    }


def _figures(job: _Job, bundle: Bundle, archive: Archive) -> None:
    folder = job.run / "figures"
    folder.mkdir(exist_ok=True)
    records = list(archive.records.values())
    pareto_figure(
        folder / "pareto.png",
        records,
        _front(records),
        bundle.members,
        bicubic_psnr_y=bundle.bicubic_psnr_y,
        device=f"{bundle.device}, LR frame {bundle.frame[0]}x{bundle.frame[1]}",
    )
    pair, scale = job.validation[0], bundle.space.scale
    bank = Bank(bundle)
    ends = {"smallest": bundle.members[0], "largest": bundle.members[-1]}
    shape = (pair.lr.shape[0], pair.lr.shape[1])
    bank.prepare(shape, [member.name for member in ends.values()])
    outputs = {"bicubic": upscale(pair.lr, scale)}
    outputs |= {f"{end} {m.name}": bank(pair.lr, m.name) for end, m in ends.items()}
    titled = {
        f"{title}\n{float(psnr_y(image, pair.hr, scale)):.2f} dB": image
        for title, image in outputs.items()
    }
    images = {f"LR ({pair.name})\nx{scale}": pair.lr, **titled, "HR\n": pair.hr}
    samples_figure(folder / "samples.png", images, scale)


def _demonstrate(job: _Job, bundle: Bundle) -> None:
    """Frames through the members of the bundle as it is on disk."""
    bank = Bank(bundle)
    bank.prepare(bundle.frame)
    frame = _frame(bundle.frame, job.validation)
    scale = bundle.space.scale
    rows, columns = bundle.frame
    job.say(
        f"\nSwitching between precompiled executables, {columns}x{rows} -> "
        f"{columns * scale}x{rows * scale}, output on the host:"
    )
    job.say(switch_table(measure_switching(bank, frame)))


def _summarise(job: _Job, bundle: Bundle) -> None:
    results = json.loads((job.run / "pareto.json").read_text())
    union, ensemble = results["union_weight_bytes"], results["ensemble_weight_bytes"]
    job.say(f"\nFront on {bundle.device} (x{bundle.space.scale}):")
    job.say(members_table(bundle))
    job.say(
        f"{results['evaluated']} of {results['space_size']:.3g} archs evaluated, "
        f"{results['candidates_per_second']:.1f} a second; resident weights {union / 1e3:.0f} KB, "
        f"as separate models {ensemble / 1e3:.0f} KB"
    )
    for name in ("figures/pareto.png", "figures/samples.png", "pareto.json", "bundle"):
        job.say(f"  {job.run / name}")


def _train_and_search(job: _Job, key: chex.PRNGKey, train_pairs: list[Pair]) -> None:
    config = job.config
    key_train, key_search = jax.random.split(key)
    pool = build_pool(train_pairs, config.data.patch)
    job.say(
        f"{len(train_pairs)} training images ({pool.nbytes / 1e6:.1f} MB on each device), "
        f"{len(job.validation)} for validation; {size(job.net.space):.3g} archs"
    )
    patches = grid_patches(job.validation, config.search.patches, config.search.patch)
    params = train(key_train, job.net, pool, config.train, job.mesh, job.run).ema
    table = _latency_table(job, params)
    archive = loop.search(
        key_search, job.net, params, patches, table, config.search, job.mesh, job.run
    )
    front = _front(list(archive.records.values()))
    bicubic = bicubic_psnr_y(job.validation, job.net.space.scale)
    job.say(f"compiling members of the front of {len(front)} and measuring them again")
    bundle = _measure(job, params, _choose(job, front), bicubic)
    save_bundle(job.run / "bundle", bundle, table)
    _figures(job, bundle, archive)
    write_json(job.run / "pareto.json", _pareto_json(bundle, archive, table))


def run_search(config: RunConfig, out: str | os.PathLike[str], *, say: Say = print) -> Bundle:
    """Train a supernet, search it, and leave a front whose executables switch.

    A run that was interrupted goes on where it was; a finished one shows its results again.

    Args:
        config: of the run.
        out: directory that gets `config.json`, `archive.jsonl`, `latency.json`, `pareto.json`,
            `bundle/`, `figures/`, `tensorboard/`, `checkpoints/`.
        say: called with each line for the user.

    Returns:
        The bundle, as loaded from `out/bundle`.

    Raises:
        InputError: anything in the config or the folder that cannot be; nothing is written then.
    """
    mesh = parallel.device_mesh(config.devices)
    space = config.space.build()
    check_train(config.train, mesh.devices.size)
    loop.check_config(config.search, space)
    train_pairs, validation = load_pairs(config.data, space.scale)
    grid_patches(validation, 1, config.search.patch)
    run = open_run(out, config)
    net = make_supernet(space, config.dtype)
    job = _Job(config, run, mesh, net, validation, say)
    if not (run / "pareto.json").exists():
        _train_and_search(job, jax.random.key(config.seed), train_pairs)
    else:
        say(f"{run} is finished")
    bundle = load_bundle(run / "bundle")
    _demonstrate(job, bundle)
    _summarise(job, bundle)
    return bundle
