"""The candidates of a search as columns, and how its front grew."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model import SearchSpace, to_archs
from dysr_jax.results import front_hypervolume
from dysr_jax.search import Record, SearchConfig, pareto, taus, violation


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """Every evaluated arch, in the order of evaluation: arrays of N rows."""

    genes: np.ndarray  # int32 `[N, genes]`: the archs
    psnr_y: np.ndarray  # dB on the validation patches
    latency_ms: np.ndarray  # as the latency table predicts it
    generation: np.ndarray  # the first that had it
    seconds: np.ndarray  # its share of the dispatch that evaluated it
    feasible: np.ndarray  # whether it satisfies the search's constraints
    taus: Mapping[int, float]  # by generation, of the PSNR-Y that a surrogate predicted; empty without one

    @property
    def front(self) -> np.ndarray:
        """Indices of the non-dominated feasible ones, fastest first."""
        rows = np.flatnonzero(self.feasible)
        return rows[pareto.front(self.latency_ms[rows], self.psnr_y[rows])]


_KINDS = {"psnr_y": None, "latency_ms": None, "generation": np.int32, "seconds": None}


@dataclasses.dataclass(frozen=True, eq=False)
class Growth:
    """The front at the end of each generation: arrays of G."""

    evaluated: np.ndarray  # candidates until then
    hypervolume: np.ndarray  # in ms times dB, of the feasible candidates until then
    reference: tuple[float, float]  # ms and dB that it reaches up to: the slowest and the worst candidate


def as_columns(space: SearchSpace, records: Sequence[Record], config: SearchConfig) -> Candidates:
    """Records, at least one, as columns; an InputError for an arch that the space does not have."""
    archs = [record.arch for record in records]
    if len({len(arch) for arch in archs}) > 1:
        raise InputError(f"archs of several lengths; those of the space have {len(space.genes)} indices")
    genes = np.array(archs, np.int32)
    to_archs(space, genes)
    columns = {name: np.array([getattr(r, name) for r in records], kind) for name, kind in _KINDS.items()}
    return Candidates(genes, **columns, feasible=violation(records, config) == 0, taus=taus(records))


def hypervolumes(
    points: np.ndarray, generation: np.ndarray, count: int, reference: tuple[float, float]
) -> np.ndarray:
    """`[count]`: the front's hypervolume after each generation; `points` `[N, 2]` are ms and dB."""
    volumes, front = [], points[:0]
    for number in range(count):
        known = np.concatenate([front, points[generation == number]])
        front = known[pareto.front(*known.T)]
        volumes.append(front_hypervolume(front, reference))
    return np.array(volumes)


def growth(found: Candidates) -> Growth:
    """How the hypervolume grew from generation to generation."""
    reference = float(found.latency_ms.max()), float(found.psnr_y.min())
    count = int(found.generation.max()) + 1
    points = np.stack([found.latency_ms, found.psnr_y], 1)[found.feasible]
    volumes = hypervolumes(points, found.generation[found.feasible], count, reference)
    evaluated = np.array([int(np.sum(found.generation <= number)) for number in range(count)])
    return Growth(evaluated, volumes, reference)
