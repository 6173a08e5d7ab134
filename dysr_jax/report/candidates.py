"""The candidates of a search as columns, and how its front grew."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model import SearchSpace, to_archs
from dysr_jax.search import Record, SearchConfig, pareto, violation


class Candidates(NamedTuple):
    """Every evaluated arch, in the order of evaluation; N rows."""

    genes: np.ndarray
    """int32 `[N, slots]`: branch indices, the upsampler's last."""
    psnr_y: np.ndarray
    """float64 `[N]`, dB on the validation patches."""
    latency_ms: np.ndarray
    """float64 `[N]`, as the latency table predicts it."""
    generation: np.ndarray
    """int32 `[N]`, the first that had it."""
    seconds: np.ndarray
    """float64 `[N]`, its share of the dispatch that evaluated it."""
    feasible: np.ndarray
    """bool `[N]`: whether it satisfies the search's constraints."""

    @property
    def front(self) -> np.ndarray:
        """Indices of the non-dominated feasible ones, fastest first."""
        return _front(self, np.flatnonzero(self.feasible))


class Growth(NamedTuple):
    """The front by generation, as of its end; G generations."""

    evaluated: np.ndarray
    """int64 `[G]`: candidates until then."""
    hypervolume: np.ndarray
    """float64 `[G]`, ms times dB, of the feasible candidates until then."""
    reference: tuple[float, float]
    """ms and dB up to which the hypervolume reaches: the slowest and the worst candidate."""


def _front(found: Candidates, rows: np.ndarray) -> np.ndarray:
    return rows[pareto.front(found.latency_ms[rows], found.psnr_y[rows])]


def from_records(space: SearchSpace, records: Sequence[Record], config: SearchConfig) -> Candidates:
    """Records, one at least, as columns.

    Raises:
        InputError: an arch that the space does not have.
    """
    archs = [record.arch for record in records]
    if len({len(arch) for arch in archs}) > 1:
        raise InputError(f"archs of several lengths; the space has {len(space.slots)} slots")
    genes = np.array(archs, np.int32)
    to_archs(space, genes)
    return Candidates(
        genes,
        np.array([record.psnr_y for record in records]),
        np.array([record.latency_ms for record in records]),
        np.array([record.generation for record in records], np.int32),
        np.array([record.seconds for record in records]),
        violation(records, config) == 0,
    )


def growth(found: Candidates) -> Growth:
    """How the hypervolume grew from generation to generation."""
    reference = float(found.latency_ms.max()), float(found.psnr_y.min())
    evaluated, volumes, front = [], [], np.zeros(0, np.int64)
    measure = functools.partial(pareto.hypervolume, reference=(reference[0], -reference[1]))
    for generation in range(int(found.generation.max()) + 1):
        new = np.flatnonzero((found.generation == generation) & found.feasible)
        front = _front(found, np.concatenate([front, new]))
        volumes.append(measure(np.stack([found.latency_ms[front], -found.psnr_y[front]], 1)))
        evaluated.append(int(np.sum(found.generation <= generation)))
    return Growth(np.array(evaluated), np.array(volumes), reference)
