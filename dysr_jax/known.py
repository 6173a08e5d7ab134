"""What a run has evaluated, for another search that need not evaluate it again.

An arch's PSNR-Y holds wherever the space, the weights, the validation patches and the numbers of the search
program are the same. A run leaves the digests of these in `archive_key.json`, beside its archive.
"""

import dataclasses
import hashlib
import json
import os
from typing import Any, Final

import jax
import numpy as np
from etils import epath

from dysr_jax import model
from dysr_jax.atomic import write_json
from dysr_jax.config import RunConfig, load_config
from dysr_jax.data import load_run_images
from dysr_jax.device import memory_bytes
from dysr_jax.errors import InputError
from dysr_jax.fields import as_path
from dysr_jax.model import SUPERNET_FILE, SearchSpace
from dysr_jax.search import Archive, LatencyTable, Patches, Record, grid_patches, load_table, to_reused

KEY_FILE: Final = "archive_key.json"
ARCHIVE_FILE: Final = "archive.jsonl"
TABLE_FILE: Final = "latency.json"
FORMAT_VERSION: Final = 1


def config_from_run(run: epath.PathLike) -> RunConfig:
    """The config of a run, to search again with its weights and its archive; fields may then be replaced.

    A latency table that the run was given is its own copy. Raises `InputError`: no run that finished its
    training, such as one that lacks its weights.
    """
    place = epath.Path(as_path(run, "from"))
    what = f"from {os.fspath(run)!r}: must be a run that finished training; it has no"
    _check_file(place / "config.json", what)
    config = load_config(place / "config.json", trained=True)
    weights = config.weights or os.fspath(place / SUPERNET_FILE)
    for path in (epath.Path(weights), place / ARCHIVE_FILE, place / TABLE_FILE):
        _check_file(path, what)
    own = config.search.latency and os.fspath(place / TABLE_FILE)
    search = dataclasses.replace(config.search, latency=own)
    return dataclasses.replace(config, from_run=os.fspath(run), weights=weights, search=search)


def _check_file(path: epath.Path, what: str) -> None:
    try:
        there = path.is_file()
    except Exception:  # whatever a store raises
        there = False
    if not there:
        raise InputError(f"{what} {path.name}")


def archive_key(config: RunConfig, space: SearchSpace, weights: epath.PathLike, patches: Patches) -> Any:
    """What PSNR-Y in an archive depends on, the content of `archive_key.json`; `weights` is a file."""
    arrays = [np.asarray(array) for array in jax.device_get((patches.lr, patches.hr, patches.image))]
    shapes = repr([(array.shape, array.dtype.name) for array in arrays]).encode()
    return {
        "format_version": FORMAT_VERSION,
        "space": _digest(json.dumps(dataclasses.asdict(space)).encode()),
        "weights": _digest(epath.Path(weights).read_bytes()),
        "patches": _digest(b"".join([shapes, *(array.tobytes() for array in arrays)])),
        "dtype": model.compute_dtype(config.dtype),
        "layers": config.layers,
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def known_records(run: epath.PathLike, key: dict[str, Any]) -> list[Record]:
    """The archive of a run, for a search of this `archive_key`; latencies are of the run's device.

    Raises `InputError`: an archive of another space, other weights, patches, dtype or layers; an empty one.
    """
    place, what = epath.Path(run), f"from {os.fspath(run)!r}"
    found = _key_of(place, what)
    for field, mine in key.items():
        theirs = found.get(field)
        if theirs != mine:
            shown = f"{str(theirs)[:12]}, here {str(mine)[:12]}"
            raise InputError(f"{what}: its archive is of another {field} ({shown}); must be the same {field}")
    records = list(Archive(place / ARCHIVE_FILE, write=False).records.values())
    if not records:
        raise InputError(f"{what}: its {ARCHIVE_FILE} is empty; must hold an evaluated arch")
    return records


def _key_of(place: epath.Path, what: str) -> dict[str, Any]:
    """The key that a run left; of a run before there were keys, that of what its config names now."""
    path = place / KEY_FILE
    if path.exists():
        try:
            return dict(json.loads(path.read_text()))
        except (OSError, ValueError, TypeError, RecursionError):
            raise InputError(f"{what}: its {KEY_FILE} is damaged") from None
    config = config_from_run(place)
    config = dataclasses.replace(config, dtype=load_table(place / TABLE_FILE).key["dtype"])
    space = config.space.build()
    images = load_run_images(config.data, space.scale, memory=memory_bytes(), train=False)
    patches = grid_patches(images.validation, config.search.patches, config.search.patch)
    return archive_key(config, space, config.weights or "", patches)


def check_known(config: RunConfig, space: SearchSpace, patches: Patches) -> None:
    """Refuse an archive that says nothing about this search, before anything is written: see
    `known_records`.
    """
    if config.from_run is not None:
        known_records(config.from_run, archive_key(config, space, config.weights or "", patches))


def begin_archive(
    run: epath.Path, config: RunConfig, space: SearchSpace, patches: Patches, table: LatencyTable
) -> None:
    """Before a run evaluates its first arch: its key, and what `config.from_run` knows, once.

    The latencies of known archs are those that `table` predicts. Raises `InputError`: see `known_records`.
    """
    if (run / KEY_FILE).exists():
        return
    key = archive_key(config, space, config.weights or run / SUPERNET_FILE, patches)
    if config.from_run is not None:
        archive = Archive(run / ARCHIVE_FILE)
        new = [r for r in known_records(config.from_run, key) if r.arch not in archive.records]
        archive.append(to_reused(space, new, table))
    write_json(run / KEY_FILE, key)  # last: a run that has it took over all that is known
