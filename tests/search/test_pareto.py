"""Fronts against brute force, hypervolume against pymoo."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.indicators.hv import HV

from dysr_jax.search.pareto import front, hypervolume

checked = settings(max_examples=200, deadline=None, derandomize=True)
# Few values, so that ties and equal points are common.
points = hnp.arrays(float, st.tuples(st.integers(0, 15), st.just(2)), elements=st.integers(0, 6))


def brute_front(latency, psnr):
    """Points that no other beats, of equal ones the first, by latency."""
    rows = list(zip(latency, psnr, strict=True))
    kept = []
    for i, (slow, good) in enumerate(rows):
        beaten = any(a <= slow and b >= good and (a, b) != (slow, good) for a, b in rows)
        if not beaten and (slow, good) not in rows[:i]:
            kept.append(i)
    return sorted(kept, key=lambda i: latency[i])


@checked
@given(points)
def test_front_is_brute_force_s(values):
    latency, psnr = values.T
    assert front(latency, psnr).tolist() == brute_front(latency, psnr)


@checked
@given(points, st.tuples(st.integers(0, 8), st.integers(-2, 6)))
def test_hypervolume_is_pymoo_s(values, reference):
    slow, poor = reference
    minimised = values * [1, -1]
    # pymoo's indicator wants at least one point; one on the reference has no volume.
    padded = np.concatenate([minimised, [[slow, -poor]]])
    expected = HV(ref_point=np.array([slow, -poor], float))(padded)
    assert hypervolume(*values.T, reference) == pytest.approx(expected, abs=1e-9)


def test_hypervolume_by_hand():
    latency, psnr = np.array([1.0, 2.0, 2.5, 9.0]), np.array([30.0, 31.0, 30.5, 40.0])
    assert hypervolume(latency, psnr, (4.0, 29.0)) == pytest.approx(3 * 1 + 2 * 1)
