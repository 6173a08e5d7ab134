"""The latency of an arch on this device: a table of branches, measured from static executables.

A frame's time is an intercept (head, first upsampler, dispatch) and a term for each branch, at each width of
the trunk. They are fitted to whole executables (`dysr_jax.search.probing`), so they hold what fusion does,
and the memory traffic between layers. The fit is by least squares of the relative error; no term is negative.
"""

import dataclasses
import datetime
import json
import math
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from chex import Array
from etils import epath

from dysr_jax.aot import backend_name
from dysr_jax.atomic import write_json
from dysr_jax.device import device_key
from dysr_jax.errors import InputError
from dysr_jax.model import XLA, SearchSpace, at_width, parse_arch, rows_by_width, smallest_arch, width_genes

FORMAT_VERSION = 2
"""Version 1 has the terms of one width."""

_OF_ANY_DEVICE = ("frame", "widths", "scale", "body", "layers")
"""What a table's key says of the archs; the rest is of the device and its programs."""


@dataclasses.dataclass(frozen=True)
class WidthTerms:
    """Milliseconds of a frame by branch, at one width of the trunk."""

    width: int
    intercept_ms: float
    body_ms: dict[str, float] = dataclasses.field(hash=False)
    """What one slot with this branch adds, by branch name."""
    upsampler_ms: dict[str, float] = dataclasses.field(hash=False)  # what this upsampler adds, by name


@dataclasses.dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of a frame by branch, on one device for one frame shape."""

    key: dict[str, Any] = dataclasses.field(hash=False)
    """Device, versions, dtype, frame, widths and scale that the table is for (`table_key`)."""
    terms: tuple[WidthTerms, ...]
    """Those of each width, increasing."""
    measured_ms: dict[str, float] = dataclasses.field(hash=False)
    """The executables that the terms were fitted to, by arch name."""
    measured_at: str  # UTC, ISO 8601


def table_key(
    space: SearchSpace, dtype: str, frame: tuple[int, int], *, layers: str = XLA, backend: str = "auto"
) -> dict[str, Any]:
    """What a table must match to be used; the default layer backend and XLA are not written out."""
    program = {"dtype": dtype, "frame": list(frame), "widths": list(space.widths), "scale": space.scale}
    body = {"body": [list(names) for names in space.slots]}
    runtime = backend_name(backend)
    other = ({} if layers == XLA else {"layers": layers}) | ({"runtime": runtime} if runtime else {})
    return {**device_key(), **program, **body, **other}


def _terms(space: SearchSpace) -> tuple[list[str], list[str]]:
    """Body branches and upsamplers with a term, of a space of one width; the cheapest of each is part of the
    intercept.
    """
    *base, last = smallest_arch(space)
    reference = {space.body[slot][index] for slot, index in enumerate(base)}
    free = reference.pop() if len(reference) == 1 else ""
    body = dict.fromkeys(name for names in space.body for name in names if name != free)
    return list(body), [name for name in space.upsamplers if name != space.upsamplers[last]]


def _features(space: SearchSpace, genes: np.ndarray) -> np.ndarray:
    """`[N, terms]`: 1, how often each body branch occurs, whether each upsampler does."""
    body, upsamplers = _terms(space)
    rows = []
    for arch in genes.tolist():
        *names, last = (offered[index] for offered, index in zip(space.slots, arch, strict=True))
        rows.append([1, *map(names.count, body), *(last == name for name in upsamplers)])
    return np.asarray(rows, float)


def fit_table(space: SearchSpace, measured: dict[str, float], key: dict[str, Any]) -> LatencyTable:
    """The non-negative least-squares terms, at each width of its own, of measured archs (by name)."""
    genes = np.array([parse_arch(space, name) for name in measured])
    ms, slots = np.array(list(measured.values())), len(space.slots)
    groups = rows_by_width(space, genes)
    terms = tuple(
        _fit(at_width(space, width), genes[rows, :slots], ms[rows]) for width, rows in groups.items()
    )
    return LatencyTable(
        key, terms, measured, datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    )


def _fit(space: SearchSpace, genes: np.ndarray, ms: np.ndarray) -> WidthTerms:
    """Of a space of one width."""
    from scipy.optimize import nnls  # takes as long to import as the rest of the package

    relative = _features(space, genes) / ms[:, None]
    intercept, *terms = nnls(relative, np.ones(len(ms)))[0].tolist()
    body, upsamplers = _terms(space)
    body_ms = dict(zip(body, terms, strict=False))
    return WidthTerms(space.width, intercept, body_ms, dict(zip(upsamplers, terms[len(body) :], strict=True)))


def _at(table: LatencyTable, width: int) -> WidthTerms:
    return next(terms for terms in table.terms if terms.width == width)


def branch_ms(table: LatencyTable, space: SearchSpace, width: int | None = None) -> np.ndarray:
    """What each branch of each slot adds to a frame at a width (None: the widest): float32 `[slots,
    branches]`, 0 past a slot's last.
    """
    own = _at(table, space.width if width is None else width)
    costs = np.zeros((len(space.slots), max(map(len, space.slots))), np.float32)
    for slot, names in enumerate(space.slots):
        terms = own.upsampler_ms if slot == len(space.body) else own.body_ms
        costs[slot, : len(names)] = [terms.get(name, 0.0) for name in names]
    return costs


class Terms(NamedTuple):
    """A sum over an arch's genes, as arrays."""

    width: Array  # `[widths]`: what a width counts by itself
    branch: Array  # `[widths, slots, branches]`: what each branch of a slot adds at a width


def table_terms(table: LatencyTable, space: SearchSpace) -> Terms:
    """The milliseconds of a table: float32."""
    costs = np.stack([branch_ms(table, space, width) for width in space.widths])
    return Terms(np.array([_at(table, width).intercept_ms for width in space.widths], np.float32), costs)


def add_terms(space: SearchSpace, terms: Terms, genes: Array) -> Array:
    """The sums of archs: int32 `[..., genes]` to `[...]`. Traceable in `genes`."""
    if isinstance(genes, jax.Array):
        terms = Terms(*map(jnp.asarray, terms))
    slots, width = len(space.slots), width_genes(space, genes)
    return terms.width[width] + terms.branch[width[..., None], np.arange(slots), genes[..., :slots]].sum(-1)


def predict(table: LatencyTable, space: SearchSpace, genes: Array) -> Array:
    """Milliseconds of archs: int32 `[..., genes]` to float32 `[...]`. Traceable in `genes`."""
    return add_terms(space, table_terms(table, space), genes)


def table_json(table: LatencyTable) -> dict[str, Any]:
    """The content of a table's file."""
    return {"format_version": FORMAT_VERSION, **dataclasses.asdict(table)}


def table_from_json(fields: dict[str, Any]) -> LatencyTable:
    """The inverse of `table_json`, of older versions too. Raises `InputError`: a version that is newer or
    none; what other errors say is that the fields are damaged.
    """
    fields = dict(fields)
    version = fields.pop("format_version")
    if version not in range(1, FORMAT_VERSION + 1):
        raise InputError(f"format {version}; this version reads 1 to {FORMAT_VERSION}")
    if version == 1:
        width = fields["key"]["width"]
        key = {name: value for name, value in fields["key"].items() if name != "width"}
        own = {name: fields.pop(name) for name in ("intercept_ms", "body_ms", "upsampler_ms")}
        fields |= {"key": {**key, "widths": [width]}, "terms": [{"width": width, **own}]}
    return LatencyTable(**{**fields, "terms": tuple(WidthTerms(**own) for own in fields["terms"])})


def save_table(path: str | os.PathLike[str], table: LatencyTable) -> None:
    """Write a table as JSON, whole or not at all."""
    write_json(path, table_json(table))


def is_foreign(table: LatencyTable) -> bool:
    """Whether a table is of another device than this one: what runs here says nothing about its times."""
    own = device_key()
    return any(table.key.get(name) != own[name] for name in ("device", "platform"))


def load_table(
    path: str | os.PathLike[str], key: dict[str, Any] | None = None, *, foreign: bool = False
) -> LatencyTable:
    """Read a table and hold it against a `table_key`; None takes that of any device and program.

    With `foreign` a table of another device is taken too, if its space, frame and layers are the key's.
    Raises `InputError`: no table, one of another version, device or program, or without a branch's time.
    """
    name = f"latency table {os.fspath(path)!r}"
    try:
        table = table_from_json(json.loads(epath.Path(path).read_text()))
        if foreign and key is not None and is_foreign(table):
            key = {name: value for name, value in key.items() if name in _OF_ANY_DEVICE}
        found = {field: table.key.get(field) for field in [*(key or {}), "layers"]}
        whole = _is_whole(table)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{name} is missing or damaged") from None
    for field, value in found.items():
        if key is not None and value != key.get(field):
            raise InputError(f"{name} is for {field} {value!r}; needed is {key.get(field)!r}")
    if not whole:
        raise InputError(f"{name}: must have a finite time of at least 0 for each branch")
    return table


def _is_whole(table: LatencyTable) -> bool:
    """Whether it has a sensible term for every branch of the space in its key, at every width."""
    *body, upsamplers = (tuple(names) for names in table.key["body"])
    space = SearchSpace(tuple(body), upsamplers, tuple(table.key["widths"]), table.key["scale"])
    widths = tuple(own.width for own in table.terms)
    return widths == space.widths and all(_are_whole(at_width(space, own.width), own) for own in table.terms)


def _are_whole(space: SearchSpace, own: WidthTerms) -> bool:
    times = [own.intercept_ms, *own.body_ms.values(), *own.upsampler_ms.values()]
    sensible = all(isinstance(ms, int | float) and 0 <= ms < math.inf for ms in times)
    return sensible and ({*own.body_ms}, {*own.upsampler_ms}) == tuple(map(set, _terms(space)))
