"""The adaptation-aware choice of members: quality, latency, and how much neighbours share.

At run time the policy moves from a member to its neighbour, so a set of members is worth more the less a
neighbour's weights differ (the paper's adaptation-aware search). Among all subsets of the front of a given
size that keep its two ends, `ladder` finds the one with the largest hypervolume less the weights that
neighbours do not share, exactly, by dynamic programming.
"""

from collections.abc import Sequence

import numpy as np

from dysr_jax.model.compact import ensemble_weight_bytes, union_weight_bytes
from dysr_jax.space import Arch, SearchSpace


def unshared(space: SearchSpace, first: Arch, second: Arch) -> float:
    """Share, in [0, 1], of the two archs' weights that only one of them reads (Jaccard distance)."""
    union = union_weight_bytes(space, (first, second))
    both = ensemble_weight_bytes(space, (first, second)) - union
    return 1.0 - both / union


def _gains(
    space: SearchSpace,
    archs: Sequence[Arch],
    latency_ms: np.ndarray,
    psnr_y: np.ndarray,
    sharing: float,
) -> np.ndarray:
    """`[n, n]`: what choosing j right after i adds; the area is in parts of the front's box."""
    count = len(archs)
    box = (psnr_y[-1] - psnr_y[0]) * (latency_ms[-1] - latency_ms[0]) or 1.0
    gains = np.full((count, count), -np.inf)
    for i in range(count):
        for j in range(i + 1, count):
            area = (psnr_y[j] - psnr_y[i]) * (latency_ms[-1] - latency_ms[j]) / box
            gains[i, j] = area - sharing * unshared(space, archs[i], archs[j])
    return gains


def ladder(
    space: SearchSpace,
    archs: Sequence[Arch],
    latency_ms: np.ndarray,
    psnr_y: np.ndarray,
    *,
    members: int,
    sharing: float,
) -> list[int]:
    """Indices of the chosen members of a front, fastest first.

    Args:
        space: of the archs.
        archs: a front, fastest first.
        latency_ms: `[n]`, increasing.
        psnr_y: `[n]`, increasing.
        members: how many to choose, at least 2; fewer where the front is smaller.
        sharing: weight of the unshared weights against the area.
    """
    count = len(archs)
    if count <= members:
        return list(range(count))
    gains = _gains(space, archs, latency_ms, psnr_y, sharing)
    value = np.full((members, count), -np.inf)
    previous = np.zeros((members, count), int)
    value[0, 0] = 0.0
    for step in range(1, members):
        through = value[step - 1][:, None] + gains
        previous[step], value[step] = through.argmax(0), through.max(0)
    chosen = [count - 1]
    for step in range(members - 1, 0, -1):
        chosen.append(int(previous[step, chosen[-1]]))
    return chosen[::-1]
