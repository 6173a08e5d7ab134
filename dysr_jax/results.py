"""What a search found, as `pareto.json` and as figures.

The measured members of a finished run, and the latency model held against measurements.
"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from etils import epath

from dysr_jax.bundle.bundle import Bundle, Member
from dysr_jax.data.degradation import upscale
from dysr_jax.data.examples import Pair
from dysr_jax.errors import InputError
from dysr_jax.fields import from_dict, typed
from dysr_jax.metrics import psnr_y
from dysr_jax.model.sharing import ensemble_weight_bytes, union_weight_bytes
from dysr_jax.model.space import Arch, SearchSpace, largest, parse_arch, size
from dysr_jax.report.plots.front import pareto_figure, samples_figure, sharing_figure
from dysr_jax.runtime.bank import Bank
from dysr_jax.search import pareto
from dysr_jax.search.archive import Record
from dysr_jax.search.latency import LatencyTable, predict
from dysr_jax.search.loop import candidates_per_second
from dysr_jax.search.members import front
from dysr_jax.search.select import SharingPoint

FORMAT_VERSION = 1


def pareto_json(
    bundle: Bundle,
    records: list[Record],
    table: LatencyTable,
    curve: Sequence[SharingPoint],
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
    slowest = float(predict(table, space, np.array([largest(space)]))[0])
    latency = np.array([member.latency_ms for member in bundle.members])
    quality = np.array([member.psnr_y for member in bundle.members])
    reference = (slowest, bundle.bicubic_psnr_y)
    return {
        "format_version": FORMAT_VERSION,
        "scale": space.scale,
        "device": bundle.device,
        "frame": list(bundle.frame),
        "space_size": size(space),
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


def _samples(bundle: Bundle, pair: Pair) -> dict[str, np.ndarray]:
    """LR, bicubic, the fastest member's output, the best one's, and HR, by title."""
    bank, scale = Bank(bundle), bundle.space.scale
    ends = {"smallest": bundle.members[0].name, "largest": bundle.members[-1].name}
    bank.prepare((pair.lr.shape[0], pair.lr.shape[1]), list(dict.fromkeys(ends.values())))
    outputs = {"bicubic": upscale(pair.lr, scale)}
    outputs |= {f"{end}, {name}": bank(pair.lr, name) for end, name in ends.items()}
    titled = {
        f"{title}\n{float(psnr_y(image, pair.hr, scale)):.2f} dB": image for title, image in outputs.items()
    }
    return {f"LR, {pair.name}\nx{scale}": pair.lr, **titled, "HR\n": pair.hr}


def write_run_figures(
    folder: epath.PathLike,
    bundle: Bundle,
    records: Sequence[Record],
    pair: Pair,
    curve: Sequence[SharingPoint],
    *,
    sharing: float,
) -> None:
    """`pareto.png`, `sharing.png` and, of a validation image, `samples.png`.

    Args:
        folder: of the figures, made where it is missing; it may lie in a bucket (`gs://`).
        bundle: of the measured members.
        records: every evaluated candidate.
        pair: the validation image.
        curve: of `dysr_jax.search.select.sharing_curve`.
        sharing: the weight that chose the members.
    """
    place = epath.Path(folder)
    place.mkdir(exist_ok=True)
    rows, columns = bundle.frame
    pareto_figure(
        place / "pareto.png",
        records,
        front(records),
        bundle.members,
        bicubic_psnr_y=bundle.bicubic_psnr_y,
        device=f"{bundle.device}, LR frame {columns}x{rows}, scale {bundle.space.scale}",
    )
    sharing_figure(place / "sharing.png", curve, used=sharing)
    samples_figure(place / "samples.png", _samples(bundle, pair), bundle.space.scale)


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
