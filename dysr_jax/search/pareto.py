"""Pareto fronts and hypervolumes, on the host, in NumPy. Objectives are minimised and never NaN."""

import numpy as np


def front(latency_ms: np.ndarray, psnr_y: np.ndarray) -> np.ndarray:
    """Indices of the non-dominated points, `[N]` each, fastest first; of equal points the first."""
    order = np.lexsort((-psnr_y, latency_ms))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], psnr_y[order][:-1]]))
    return order[psnr_y[order] > best]


def nondominated(objectives: np.ndarray) -> np.ndarray:
    """Indices, increasing, of the rows of `[N, M]` that no other dominates; of equal rows the first."""
    distinct, first = np.unique(objectives, axis=0, return_index=True)
    kept: list[int] = []
    for index, row in enumerate(distinct):  # lexicographic order: only earlier rows can dominate
        if not np.any(np.all(distinct[kept] <= row, 1)):
            kept.append(index)
    return np.sort(first[kept])


def hypervolume(objectives: np.ndarray, reference: np.ndarray | tuple[float, ...]) -> float:
    """Volume that rows `[N, M]`, M of 2 or more, dominate up to a reference `[M]`, exact.

    By slicing objectives (While et al. 2006), down to a sweep in two dimensions: O(F^(M-1) log F) for F rows
    on the front. Rows that are not better than the reference in every objective add nothing.
    """
    corner = np.asarray(reference, float)
    points = np.asarray(objectives, float).reshape(-1, len(corner))
    points = points[np.all(points < corner, 1)]
    if np.any(np.isneginf(points)):
        return np.inf
    return _volume(points, corner)


def _volume(points: np.ndarray, corner: np.ndarray) -> float:
    """Of points that are finite and better than the corner in every objective."""
    if len(corner) == 2:
        return _area(points, corner)
    points = points[nondominated(points)]
    points = points[np.argsort(points[:, -1])]
    thickness = np.diff(points[:, -1], append=corner[-1])
    slabs = (d * _volume(points[: i + 1, :-1], corner[:-1]) for i, d in enumerate(thickness) if d > 0)
    return float(sum(slabs))


def _area(points: np.ndarray, corner: np.ndarray) -> float:
    """Columns from each point to the next one on the right, up to the lowest so far."""
    points = points[np.argsort(points[:, 0])]
    width = np.diff(points[:, 0], append=corner[0])
    return float(np.sum(width * (corner[1] - np.minimum.accumulate(points[:, 1]))))
