"""The measured members of a finished run, and the latency model held against measurements."""

import json
from typing import Any, Literal, NamedTuple

import numpy as np
from etils import epath

from dysr_jax.errors import InputError
from dysr_jax.runtime.bundle import Member
from dysr_jax.search.latency import LatencyTable, predict
from dysr_jax.space import SearchSpace, parse_arch


class Results(NamedTuple):
    """The members as they were measured, from `pareto.json`."""

    members: tuple[Member, ...]
    """Fastest first; quality on whole validation images, latency measured."""
    device: str
    bicubic_psnr_y: float
    """dB, on the same images."""
    space_size: int
    resident_bytes: int
    """Weights of the union of the members: what stays on the device."""
    ensemble_bytes: int
    """Weights of the members as separate models."""
    sharing: list[dict[str, Any]]
    """Points as `dysr_jax.search.select.SharingPoint`."""


class Prediction(NamedTuple):
    """An arch whose latency was predicted by the table and measured."""

    name: str
    kind: Literal["fitted", "member"]
    """`fitted`: the table was fitted to this measurement. `member`: measured after the search."""
    predicted_ms: float
    measured_ms: float


def read_results(run: epath.Path, space: SearchSpace) -> Results:
    """The content of `pareto.json`.

    Raises:
        InputError: it is damaged, or of another space.
    """
    try:
        found = json.loads((run / "pareto.json").read_text())
        members = tuple(
            Member(**{**fields, "arch": parse_arch(space, fields["name"])})
            for fields in found["members"]
        )
        return Results(
            members=members,
            device=found["device"],
            bicubic_psnr_y=found["bicubic_psnr_y"],
            space_size=found["space_size"],
            resident_bytes=found["union_weight_bytes"],
            ensemble_bytes=found["ensemble_weight_bytes"],
            sharing=found["sharing"],
        )
    except InputError as error:
        raise InputError(f"pareto.json: {error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"pareto.json is damaged ({type(error).__name__}: {error})") from None


def predictions(
    space: SearchSpace, table: LatencyTable, results: Results | None
) -> list[Prediction]:
    """Of the archs that the table was fitted to, then of the members, each in its order."""
    measured = dict(table.measured_ms)
    members = {m.name: m.latency_ms for m in results.members} if results else {}
    names = [*measured, *members]
    genes = np.array([parse_arch(space, name) for name in names], np.int32)
    guesses = np.asarray(predict(table, space, genes)).tolist()
    return [
        Prediction(name, "fitted", guess, ms)
        for (name, ms), guess in zip(measured.items(), guesses, strict=False)
    ] + [
        Prediction(name, "member", guess, ms)
        for (name, ms), guess in zip(members.items(), guesses[len(measured) :], strict=True)
    ]
