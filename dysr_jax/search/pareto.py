"""Pareto fronts and hypervolume of (latency, PSNR): latency is minimised, PSNR maximised."""

import numpy as np


def front(latency_ms: np.ndarray, psnr_y: np.ndarray) -> np.ndarray:
    """Indices of the non-dominated points, fastest first; of equal points the first."""
    order = np.lexsort((-psnr_y, latency_ms))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], psnr_y[order][:-1]]))
    return order[psnr_y[order] > best]


def hypervolume(
    latency_ms: np.ndarray, psnr_y: np.ndarray, reference: tuple[float, float]
) -> float:
    """Area that the points dominate, up to a reference, in ms times dB.

    Args:
        latency_ms: `[N]`.
        psnr_y: `[N]`.
        reference: a latency and a PSNR; points beyond either add nothing.
    """
    slow, poor = reference
    inside = (latency_ms < slow) & (psnr_y > poor)
    latency_ms, psnr_y = latency_ms[inside], psnr_y[inside]
    chosen = front(latency_ms, psnr_y)
    steps = np.diff(psnr_y[chosen], prepend=poor)
    return float(np.sum(steps * (slow - latency_ms[chosen])))
