"""Every arch of a space that is small enough: what a search looks for, known beforehand."""

import time
from typing import Final, NamedTuple

import numpy as np
from jax.sharding import Mesh

from dysr_jax import parallel
from dysr_jax.errors import InputError
from dysr_jax.model.supernet import Params, Supernet
from dysr_jax.search.evaluator import Evaluator
from dysr_jax.search.latency import LatencyTable, branch_ms, predict
from dysr_jax.search.patches import Patches
from dysr_jax.space import counts, size

LIMIT: Final = 50_000
"""Archs; on two CPU cores some 100 a second are evaluated."""


class Everything(NamedTuple):
    """All archs of a space with their figures."""

    genes: np.ndarray
    """int32 `[N, slots]`, in lexicographic order."""
    psnr_y: np.ndarray
    """`[N]` dB, on the validation patches."""
    latency_ms: np.ndarray
    """`[N]`, as the latency table predicts it."""
    seconds: float
    """Of evaluating all, compilation apart."""


def evaluate_space(
    net: Supernet, params: Params, patches: Patches, table: LatencyTable, mesh: Mesh
) -> Everything:
    """Evaluate every arch as the search does.

    Args:
        net: the supernet.
        params: its trained weights.
        patches: what quality is measured on.
        table: this device's latencies.
        mesh: the devices.

    Raises:
        InputError: the space has more than `LIMIT` archs.
    """
    space = net.space
    if size(space) > LIMIT:
        raise InputError(
            f"a space of {size(space):,} archs: allowed are up to {LIMIT:,}, to evaluate all"
        )
    limits = counts(space)
    genes = np.indices(limits).reshape(len(limits), -1).T.astype(np.int32)
    evaluate = Evaluator(net, patches, mesh, costs=branch_ms(table, space))
    params = parallel.replicate(params, mesh)
    evaluate.prepare(params, genes)
    start = time.perf_counter()
    quality = evaluate(params, genes)
    seconds = time.perf_counter() - start
    return Everything(genes, quality, np.asarray(predict(table, space, genes)), seconds)
