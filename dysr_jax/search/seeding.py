"""A search that begins with what another one evaluated: these records took no time (`seconds` is 0)."""

from collections.abc import Iterable, Sequence

import jax.numpy as jnp
import numpy as np

from dysr_jax.model import SearchSpace
from dysr_jax.search import pareto
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig, judge
from dysr_jax.search.latency import LatencyTable, predict
from dysr_jax.search.nsga2 import crowding_distance


def reused_records(records: Iterable[Record]) -> list[Record]:
    """Those of an archive that its search took from another one."""
    return [record for record in records if not record.seconds]


def to_reused(space: SearchSpace, records: Sequence[Record], table: LatencyTable) -> list[Record]:
    """Records of another search as this one takes them: their latency as its own table predicts it."""
    latency = np.asarray(predict(table, space, np.array([record.arch for record in records], np.int32)))
    each = zip(records, latency.tolist(), strict=True)
    return [record._replace(latency_ms=ms, generation=0, seconds=0.0) for record, ms in each]


def first_archs(space: SearchSpace, records: Iterable[Record], config: SearchConfig) -> np.ndarray | None:
    """The non-dominated reused archs, int32 `[N, genes]`, at most a population; None where none is reused.

    Where no reused arch satisfies the constraints, they are those that come nearest. Of more than a
    population those stay that crowd least.
    """
    known = reused_records(records)
    if not known:
        return None
    values, excess = judge(space, known, config)
    rows = np.flatnonzero(excess == excess.min())
    front = rows[pareto.nondominated(values[rows])]
    crowding = np.asarray(crowding_distance(jnp.asarray(values[front]), jnp.zeros(len(front), jnp.int32)))
    kept = np.sort(np.argsort(-crowding, kind="stable")[: config.population])
    return np.array([known[row].arch for row in front[kept]], np.int32)
