"""`pareto.json`, both ways: what a finished run measured of its members, and how latency was predicted."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from etils import epath

from dysr_jax.bundle import Bundle, Member
from dysr_jax.errors import InputError
from dysr_jax.fields import from_dict, typed
from dysr_jax.model import (
    Arch,
    SearchSpace,
    ensemble_weight_bytes,
    largest_arch,
    parse_arch,
    space_size,
    union_weight_bytes,
)
from dysr_jax.search import LatencyTable, Record, SharingPoint, candidates_per_second, pareto, predict

FORMAT_VERSION = 1


def pareto_json(
    bundle: Bundle, records: list[Record], table: LatencyTable, curve: Sequence[SharingPoint]
) -> dict[str, Any]:
    """The content of `pareto.json`.

    The hypervolume is of the members, in ms times dB, up to the predicted latency of the largest arch and
    the PSNR-Y of bicubic.

    Args:
        bundle: of the measured members.
        records: every evaluated candidate.
        table: of the search's latencies.
        curve: of `dysr_jax.search.select.sharing_curve`; its ladders are as the search saw them, before
            members that measured as dominated were dropped.
    """
    space = bundle.space
    archs = [member.arch for member in bundle.members]
    slowest = float(predict(table, space, np.array([largest_arch(space)]))[0])
    latency = np.array([member.latency_ms for member in bundle.members])
    quality = np.array([member.psnr_y for member in bundle.members])
    reference = (slowest, bundle.bicubic_psnr_y)
    return {
        "format_version": FORMAT_VERSION,
        "scale": space.scale,
        "device": bundle.device,
        "frame": list(bundle.frame),
        "space_size": space_size(space),
        "bicubic_psnr_y": bundle.bicubic_psnr_y,
        "evaluated": len(records),
        "candidates_per_second": candidates_per_second(records),
        "hypervolume": pareto.hypervolume(
            np.stack([latency, -quality], 1), (slowest, -bundle.bicubic_psnr_y)
        ),
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
        "steps": [step.as_json() for step in bundle.steps],
        "sharing": list(curve),
    }


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


@dataclasses.dataclass(frozen=True)
class _Point:
    """`dysr_jax.search.select.SharingPoint` with the types of its values checked."""

    weight: float
    hypervolume_share: float
    resident_bytes: int
    ensemble_bytes: int
    changed_slots: int
    step_cost: float


def _with_arch(member: Member, arch: Arch) -> Member:
    """Indices are of the space that the run was begun with, names of any that has the branches."""
    return dataclasses.replace(member, arch=arch)


def read_json(path: epath.Path) -> Any:
    """The value of a JSON file, with finite numbers alone.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds something else.
    """
    try:
        found = json.loads(path.read_text())
        json.dumps(found, allow_nan=False)
    except RecursionError:
        raise ValueError("too many brackets") from None
    return found


def read_results(run: epath.Path, space: SearchSpace) -> Results:
    """The content of `pareto.json`.

    Raises:
        InputError: it is damaged, or of another space.
    """
    try:
        found = read_json(run / "pareto.json")
        members = [from_dict(Member, fields, "member") for fields in found["members"]]
        archs = [parse_arch(space, member.name) for member in members]
        return Results(
            members=tuple(map(_with_arch, members, archs)),
            device=typed(str, found["device"], "device"),
            bicubic_psnr_y=typed(float, found["bicubic_psnr_y"], "bicubic_psnr_y"),
            space_size=typed(int, found["space_size"], "space_size"),
            resident_bytes=typed(int, found["union_weight_bytes"], "union_weight_bytes"),
            ensemble_bytes=typed(int, found["ensemble_weight_bytes"], "ensemble_weight_bytes"),
            sharing=[dict(from_dict(_Point, fields, "sharing").__dict__) for fields in found["sharing"]],
        )
    except InputError as error:
        raise InputError(f"pareto.json: {error}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"pareto.json is damaged ({type(error).__name__}: {error})") from None


def predictions(space: SearchSpace, table: LatencyTable, results: Results | None) -> list[Prediction]:
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
