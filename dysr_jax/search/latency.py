"""The latency of an arch on this device: a table of branches, measured from static executables.

A frame's time is an intercept (head, first upsampler, dispatch) and a term for each branch. The terms are
the least-squares fit to whole executables: the cheapest arch, and for each branch the arch that takes it
wherever it is offered. So they hold what fusion does, and the memory traffic between layers.
"""

import concurrent.futures
import contextlib
import dataclasses
import datetime
import functools
import hashlib
import json
import os
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from etils import epath

from dysr_jax.atomic import write_json
from dysr_jax.device import cache_directory, device_key
from dysr_jax.errors import InputError
from dysr_jax.model.programs import compile_static
from dysr_jax.model.supernet import Params, Supernet
from dysr_jax.space import Arch, SearchSpace, arch_name, parse_arch, smallest
from dysr_jax.timing import median_ms

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of a frame by branch, on one device for one frame shape."""

    key: dict[str, Any]
    """Device, versions, dtype, frame, trunk width and scale that the table is for."""
    intercept_ms: float
    body_ms: dict[str, float]
    """What one slot with this branch adds, by branch name."""
    upsampler_ms: dict[str, float]
    """What this upsampler adds, by name."""
    measured_ms: dict[str, float]
    """The executables that the terms were fitted to, by arch name."""
    measured_at: str
    """UTC, ISO 8601."""


def table_key(space: SearchSpace, dtype: str, frame: tuple[int, int]) -> dict[str, Any]:
    """What a table has to match to be used."""
    program = {"dtype": dtype, "frame": list(frame), "width": space.width, "scale": space.scale}
    return {**device_key(), **program, "body": [list(names) for names in space.slots]}


def probes(space: SearchSpace) -> list[Arch]:
    """The cheapest arch and, for each other branch, it with that branch wherever it is offered."""
    base = smallest(space)
    found = {base: None}
    last = len(space.body)
    for name in dict.fromkeys(name for names in space.body for name in names):
        slots = enumerate(space.body)
        body = [names.index(name) if name in names else base[slot] for slot, names in slots]
        found[(*body, base[last])] = None
    for index in range(len(space.upsamplers)):
        found[(*base[:last], index)] = None
    return list(found)


def _terms(space: SearchSpace) -> tuple[list[str], list[str]]:
    """Body branches and upsamplers with a term; the cheapest of each is part of the intercept."""
    base = smallest(space)
    reference = {space.body[slot][index] for slot, index in enumerate(base[:-1])}
    free = next(iter(sorted(reference)), "") if len(reference) == 1 else ""
    body = dict.fromkeys(name for names in space.body for name in names if name != free)
    cheapest = space.upsamplers[base[-1]]
    return list(body), [name for name in space.upsamplers if name != cheapest]


def _features(space: SearchSpace, archs: list[Arch]) -> np.ndarray:
    """`[N, terms]`: 1, how often each body branch occurs, whether each upsampler does."""
    body, upsamplers = _terms(space)
    rows = []
    for arch in archs:
        names = [space.slots[slot][index] for slot, index in enumerate(arch)]
        counts = [names[:-1].count(name) for name in body]
        rows.append([1, *counts, *(names[-1] == name for name in upsamplers)])
    return np.asarray(rows, float)


def measure_table(
    net: Supernet, params: Params, frame: tuple[int, int], rounds: int
) -> LatencyTable:
    """Compile the probes (in threads), time them in turn on this device and fit the terms.

    Args:
        net: the supernet.
        params: on the device that is measured; their values do not matter.
        frame: LR rows and columns.
        rounds: timed rounds; medians count.
    """
    space = net.space
    archs = probes(space)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        executables = list(threads.map(lambda a: compile_static(net, a, params, frame), archs))
    pixels = jnp.zeros((*frame, 3), jnp.uint8)
    calls = {
        arch_name(space, arch): functools.partial(run, params, pixels)
        for arch, run in zip(archs, executables, strict=True)
    }
    measured = median_ms(calls, rounds)
    return fit_table(space, measured, table_key(space, jnp.dtype(net.dtype).name, frame))


def fit_table(space: SearchSpace, measured: dict[str, float], key: dict[str, Any]) -> LatencyTable:
    """The non-negative least-squares terms of measured archs (by name)."""
    archs = [parse_arch(space, name) for name in measured]
    values = np.array(list(measured.values()))
    terms = scipy.optimize.nnls(_features(space, archs), values)[0].tolist()
    body, upsamplers = _terms(space)
    return LatencyTable(
        key=key,
        intercept_ms=terms[0],
        body_ms=dict(zip(body, terms[1:], strict=False)),
        upsampler_ms=dict(zip(upsamplers, terms[1 + len(body) :], strict=True)),
        measured_ms=measured,
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def predict(table: LatencyTable, space: SearchSpace, genes: chex.Array) -> chex.Array:
    """Milliseconds of archs: int32 `[N, slots]` to float32 `[N]`. Traceable in `genes`."""
    width = max(len(names) for names in space.slots)
    costs = np.zeros((len(space.slots), width), np.float32)
    for slot, names in enumerate(space.slots):
        terms = table.upsampler_ms if slot == len(space.body) else table.body_ms
        costs[slot, : len(names)] = [terms.get(name, 0.0) for name in names]
    each = jnp.asarray(costs)[jnp.arange(len(space.slots)), genes]
    return jnp.float32(table.intercept_ms) + jnp.sum(each, -1)


def table_json(table: LatencyTable) -> dict[str, Any]:
    """The content of a table's file."""
    return {"format_version": FORMAT_VERSION, **dataclasses.asdict(table)}


def save_table(path: str | os.PathLike[str], table: LatencyTable) -> None:
    """Write a table as JSON, whole or not at all."""
    write_json(path, table_json(table))


def load_table(path: str | os.PathLike[str], key: dict[str, Any]) -> LatencyTable:
    """Read a table and hold it against `table_key`.

    Raises:
        InputError: the file is no table, of another format version, or for another device or program.
    """
    try:
        fields = json.loads(epath.Path(path).read_text())
        version = fields.pop("format_version")
        if version != FORMAT_VERSION:
            raise InputError(
                f"latency table {os.fspath(path)!r}: format {version}; this version reads "
                f"{FORMAT_VERSION}"
            )
        table = LatencyTable(**fields)
        found = {name: table.key.get(name) for name in key}
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"latency table {os.fspath(path)!r} is missing or damaged") from None
    for name, value in key.items():
        if found[name] != value:
            raise InputError(
                f"latency table {os.fspath(path)!r} is for {name} {found[name]!r}; needed is {value!r}"
            )
    return table


def device_table(
    net: Supernet, params: Params, frame: tuple[int, int], rounds: int, *, remeasure: bool = False
) -> tuple[LatencyTable, bool]:
    """This device's table: as an earlier run measured it (`cache_directory`), else measured now.

    It belongs to the device and not to a run: with one table, one seed searches the same candidates.

    Returns:
        The table, and whether it was measured now.
    """
    key = table_key(net.space, jnp.dtype(net.dtype).name, frame)
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    path = cache_directory() / "latency" / f"{digest}.json"
    if path.exists() and not remeasure:
        try:
            return load_table(path, key), False
        except InputError:
            pass  # damaged: measured again and replaced
    table = measure_table(net, jax.block_until_ready(params), frame, rounds)
    with contextlib.suppress(OSError):  # the cache only saves time
        path.parent.mkdir(parents=True, exist_ok=True)
        save_table(path, table)
    return table, True
