"""`pareto.json`, both ways: what a finished run measured of its members, and how latency was predicted."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from etils import epath

from dysr_jax import model
from dysr_jax.bundle import Bundle, Member, Step, member_steps
from dysr_jax.errors import InputError
from dysr_jax.fields import from_dict, typed
from dysr_jax.model import SearchSpace, parse_arch
from dysr_jax.search import (
    LatencyTable,
    Record,
    SearchTimes,
    SharingPoint,
    candidates_per_second,
    is_foreign,
    pareto,
    predict,
    reused_records,
)

RESULTS_FILE: Final = "pareto.json"
FORMAT_VERSION: Final = 1


@dataclasses.dataclass(frozen=True)
class Results:
    """What a finished run found. `to_json` is `pareto.json`."""

    scale: int
    device: str
    frame: tuple[int, int]  # LR rows and columns at which members were measured
    space_size: int
    bicubic_psnr_y: float  # dB, on the whole validation images
    evaluated: int  # archs that this search evaluated
    candidates_per_second: float
    hypervolume: float  # of the members, in ms times dB, up to the reference
    hypervolume_reference: tuple[float, float]  # the largest arch's predicted ms, bicubic's dB
    union_weight_bytes: int  # weights that stay on the device
    ensemble_weight_bytes: int  # weights of the members as separate models
    members: tuple[Member, ...]  # fastest first; quality on whole validation images, latency measured
    steps: tuple[Step, ...] = dataclasses.field(repr=False)  # between neighbouring members
    sharing: tuple[SharingPoint, ...] = dataclasses.field(repr=False)
    """What each weight of sharing would choose, before members that measured as dominated were dropped."""
    clock: SearchTimes | None = None  # where the search's time went; None: of a version that did not say
    reused: int = 0  # archs that another run had evaluated
    predicted: bool = False  # members' latencies are predictions of another device's table

    def to_json(self) -> dict[str, Any]:
        """The content of `pareto.json`."""
        latency_ms, psnr_y = self.hypervolume_reference
        rows = {
            "hypervolume_reference": {"latency_ms": latency_ms, "psnr_y": psnr_y},
            "members": [member.to_json() for member in self.members],
            "steps": [step.to_json() for step in self.steps],
            "clock": self.clock and dataclasses.asdict(self.clock),
        }
        return {"format_version": FORMAT_VERSION, **vars(self), **rows}


def quality_points(records: Iterable[Record | Member]) -> np.ndarray:
    """`[N, 2]`: ms and dB."""
    return np.array([(record.latency_ms, record.psnr_y) for record in records]).reshape(-1, 2)


def front_hypervolume(points: np.ndarray, reference: tuple[float, float]) -> float:
    """In ms times dB: of the `[N, 2]` points, ms and dB, that are better than the reference."""
    return pareto.hypervolume(points * [1, -1], (reference[0], -reference[1]))


def run_results(
    bundle: Bundle,
    records: list[Record],
    table: LatencyTable,
    curve: Sequence[SharingPoint],
    clock: SearchTimes | None = None,
) -> Results:
    """Of a bundle of measured members, every evaluated candidate, the latency table, `sharing_curve`, and
    the search's times, where they are known.
    """
    space = bundle.space
    archs, reused = [member.arch for member in bundle.members], reused_records(records)
    slowest = predict(table, space, np.array([model.largest_arch(space)]))
    reference = (float(slowest[0]), bundle.bicubic_psnr_y)
    return Results(
        scale=space.scale,
        device=bundle.device,
        frame=bundle.frame,
        space_size=model.space_size(space),
        bicubic_psnr_y=bundle.bicubic_psnr_y,
        evaluated=len(records) - len(reused),
        candidates_per_second=candidates_per_second(records),
        hypervolume=front_hypervolume(quality_points(bundle.members), reference),
        hypervolume_reference=reference,
        union_weight_bytes=model.union_weight_bytes(space, archs),
        ensemble_weight_bytes=model.ensemble_weight_bytes(space, archs),
        members=bundle.members,
        steps=bundle.steps,
        sharing=tuple(curve),
        clock=clock,
        reused=len(reused),
        predicted=is_foreign(table),
    )


def read_json(path: epath.Path) -> Any:
    """The value of a JSON file, with finite numbers alone; a ValueError where it holds something else."""
    try:
        found = json.loads(path.read_text())
        json.dumps(found, allow_nan=False)
    except RecursionError:
        raise ValueError("too many brackets") from None
    return found


def read_results(run: epath.Path, space: SearchSpace) -> Results:
    """The content of a run's `pareto.json`; an InputError where it is damaged, or of another space."""
    try:
        return _from_json(read_json(run / RESULTS_FILE), space)
    except InputError as error:
        raise InputError(f"{RESULTS_FILE}: {error}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{RESULTS_FILE} is damaged ({type(error).__name__}: {error})") from None


def _from_json(found: dict[str, Any], space: SearchSpace) -> Results:
    members = [Member.from_json(fields) for fields in found["members"]]
    # Indices are of the space that the run was begun with, names of any that has the branches.
    archs = [parse_arch(space, member.name) for member in members]
    named = found["hypervolume_reference"]
    reference = [named["latency_ms"], named["psnr_y"]]
    later = {"reused": int, "predicted": bool}  # older runs lack them
    plain = {
        field.name: typed(field.type, found[field.name], field.name)
        for field in dataclasses.fields(Results)
        if (field.type in (int, float, str) or field.name == "frame") and field.name not in later
    }
    plain |= {name: typed(kind, found.get(name, kind()), name) for name, kind in later.items()}
    points = [from_dict(SharingPoint, fields, "sharing") for fields in found["sharing"]]
    if any(len(point) < len(SharingPoint.__annotations__) for point in points):
        raise KeyError("sharing")
    return Results(
        **plain,
        hypervolume_reference=typed(tuple[float, float], reference, "hypervolume_reference"),
        members=tuple(dataclasses.replace(m, arch=arch) for m, arch in zip(members, archs, strict=True)),
        steps=member_steps(space, archs),
        sharing=tuple(points),
        clock=typed(SearchTimes | None, found.get("clock"), "clock"),
    )


class LatencyPrediction(NamedTuple):
    """An arch whose latency was predicted by the table and measured."""

    name: str
    kind: Literal["fitted", "member"]  # the table was fitted to this one, or it was measured later
    predicted_ms: float
    measured_ms: float


def latency_predictions(
    space: SearchSpace, table: LatencyTable, results: Results | None
) -> list[LatencyPrediction]:
    """Of the archs that the table was fitted to, then of members that were measured, each in its order."""
    measured = [("fitted", name, ms) for name, ms in table.measured_ms.items()]
    members = results.members if results and not results.predicted else ()
    measured += [("member", m.name, m.latency_ms) for m in members]
    genes = np.array([parse_arch(space, name) for _, name, _ in measured], np.int32)
    guesses = np.asarray(predict(table, space, genes)).tolist()
    return [
        LatencyPrediction(name, kind, guess, ms)  # type: ignore[arg-type]
        for (kind, name, ms), guess in zip(measured, guesses, strict=True)
    ]
