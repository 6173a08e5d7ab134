"""The latency of an arch on this device: a table of branches, measured from static executables.

A frame's time is an intercept (head, first upsampler, dispatch) and a term for each branch. The terms are
fitted to whole executables (`dysr_jax.search.probing`), so they hold what fusion does, and the memory traffic
between layers. The fit is by least squares of the relative error; no term is negative.
"""

import dataclasses
import datetime
import json
import math
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array
from etils import epath

from dysr_jax.atomic import write_json
from dysr_jax.device import device_key
from dysr_jax.errors import InputError
from dysr_jax.model import XLA, Arch, SearchSpace, parse_arch, smallest_arch

FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of a frame by branch, on one device for one frame shape."""

    key: dict[str, Any] = dataclasses.field(hash=False)
    """Device, versions, dtype, frame, trunk width and scale that the table is for (`table_key`)."""
    intercept_ms: float
    body_ms: dict[str, float] = dataclasses.field(hash=False)
    """What one slot with this branch adds, by branch name."""
    upsampler_ms: dict[str, float] = dataclasses.field(hash=False)  # what this upsampler adds, by name
    measured_ms: dict[str, float] = dataclasses.field(hash=False)
    """The executables that the terms were fitted to, by arch name."""
    measured_at: str  # UTC, ISO 8601


def table_key(space: SearchSpace, dtype: str, frame: tuple[int, int], *, layers: str = XLA) -> dict[str, Any]:
    """What a table must match to be used; the default layer backend is not written out."""
    program = {"dtype": dtype, "frame": list(frame), "width": space.width, "scale": space.scale}
    body = {"body": [list(names) for names in space.slots]}
    return {**device_key(), **program, **body, **({} if layers == XLA else {"layers": layers})}


def _terms(space: SearchSpace) -> tuple[list[str], list[str]]:
    """Body branches and upsamplers with a term; the cheapest of each is part of the intercept."""
    *base, last = smallest_arch(space)
    reference = {space.body[slot][index] for slot, index in enumerate(base)}
    free = reference.pop() if len(reference) == 1 else ""
    body = dict.fromkeys(name for names in space.body for name in names if name != free)
    return list(body), [name for name in space.upsamplers if name != space.upsamplers[last]]


def _features(space: SearchSpace, archs: list[Arch]) -> np.ndarray:
    """`[N, terms]`: 1, how often each body branch occurs, whether each upsampler does."""
    body, upsamplers = _terms(space)
    rows = []
    for arch in archs:
        *names, last = (offered[index] for offered, index in zip(space.slots, arch, strict=True))
        rows.append([1, *map(names.count, body), *(last == name for name in upsamplers)])
    return np.asarray(rows, float)


def fit_table(space: SearchSpace, measured: dict[str, float], key: dict[str, Any]) -> LatencyTable:
    """The non-negative least-squares terms of measured archs (by name)."""
    from scipy.optimize import nnls  # takes as long to import as the rest of the package

    features = _features(space, [parse_arch(space, name) for name in measured])
    relative = features / np.array(list(measured.values()))[:, None]
    intercept, *terms = nnls(relative, np.ones(len(measured)))[0].tolist()
    body, upsamplers = _terms(space)
    body_ms = dict(zip(body, terms, strict=False))
    upsampler_ms = dict(zip(upsamplers, terms[len(body) :], strict=True))
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return LatencyTable(key, intercept, body_ms, upsampler_ms, measured, now)


def branch_ms(table: LatencyTable, space: SearchSpace) -> np.ndarray:
    """What each branch of each slot adds to a frame: float32 `[slots, branches]`, 0 past a slot's last."""
    costs = np.zeros((len(space.slots), max(map(len, space.slots))), np.float32)
    for slot, names in enumerate(space.slots):
        terms = table.upsampler_ms if slot == len(space.body) else table.body_ms
        costs[slot, : len(names)] = [terms.get(name, 0.0) for name in names]
    return costs


def predict(table: LatencyTable, space: SearchSpace, genes: Array) -> Array:
    """Milliseconds of archs: int32 `[N, slots]` to float32 `[N]`. Traceable in `genes`."""
    costs = branch_ms(table, space)
    each = (jnp.asarray(costs) if isinstance(genes, jax.Array) else costs)[np.arange(len(space.slots)), genes]
    return np.float32(table.intercept_ms) + each.sum(-1)


def table_json(table: LatencyTable) -> dict[str, Any]:
    """The content of a table's file."""
    return {"format_version": FORMAT_VERSION, **dataclasses.asdict(table)}


def save_table(path: str | os.PathLike[str], table: LatencyTable) -> None:
    """Write a table as JSON, whole or not at all."""
    write_json(path, table_json(table))


def load_table(path: str | os.PathLike[str], key: dict[str, Any] | None = None) -> LatencyTable:
    """Read a table and hold it against a `table_key`; None takes that of any device and program.

    Raises `InputError`: no table, one of another version, device or program, or without a branch's time.
    """
    name = f"latency table {os.fspath(path)!r}"
    try:
        fields = json.loads(epath.Path(path).read_text())
        version = fields.pop("format_version")
        if version != FORMAT_VERSION:
            raise InputError(f"{name}: format {version}; this version reads {FORMAT_VERSION}")
        table = LatencyTable(**fields)
        found = {field: table.key.get(field) for field in [*(key or {}), "layers"]}
        whole = _is_whole(table)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{name} is missing or damaged") from None
    for field, value in found.items():
        if key is not None and value != key.get(field):
            raise InputError(f"{name} is for {field} {value!r}; needed is {key.get(field)!r}")
    if not whole:
        raise InputError(f"{name}: must have a finite time of at least 0 for each branch")
    return table


def _is_whole(table: LatencyTable) -> bool:
    """Whether it has a sensible term for every branch of the space in its key."""
    *body, upsamplers = (tuple(names) for names in table.key["body"])
    terms = _terms(SearchSpace(tuple(body), upsamplers, table.key["width"], table.key["scale"]))
    times = [table.intercept_ms, *table.body_ms.values(), *table.upsampler_ms.values()]
    sensible = all(isinstance(ms, int | float) and 0 <= ms < math.inf for ms in times)
    return sensible and ({*table.body_ms}, {*table.upsampler_ms}) == tuple(map(set, terms))
