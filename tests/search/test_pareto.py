"""Fronts against brute force, hypervolumes against moocore."""

import hypothesis.extra.numpy as hnp
import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.search.pareto import front, hypervolume, nondominated

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


def values_of(objectives):
    """Few values, so that ties, equal points and points beyond the reference are common."""
    shape = st.tuples(st.integers(0, 12), st.just(objectives))
    return hnp.arrays(float, shape, elements=st.integers(0, 6))


any_values = st.integers(2, 4).flatmap(values_of)


@checked
@given(any_values)
def test_nondominated_is_moocore_s(values):
    expected = np.flatnonzero(moocore.is_nondominated(values)) if len(values) else []
    # Of equal rows moocore keeps the first as well.
    assert nondominated(values).tolist() == list(expected)


@checked
@given(any_values, st.tuples(*[st.integers(-1, 7)] * 4))
def test_hypervolume_is_moocore_s(values, corner):
    reference = corner[: values.shape[1]]
    expected = moocore.hypervolume(values, ref=reference) if len(values) else 0.0
    assert hypervolume(values, reference) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_hypervolume_of_a_large_front_is_moocore_s(objectives):
    values = np.random.default_rng(0).normal(size=(60, objectives))
    values /= -np.linalg.norm(values, axis=1, keepdims=True)
    reference = np.full(objectives, 0.9)
    inside = np.all(values < reference, 1)
    assert 30 < inside.sum() < 60
    expected = moocore.hypervolume(values, ref=reference)
    assert hypervolume(values, reference) == pytest.approx(expected, rel=1e-12)


def test_hypervolume_by_hand():
    rows = np.array([[1.0, -30.0], [2.0, -31.0], [2.5, -30.5], [9.0, -40.0]])
    assert hypervolume(rows, (4.0, -29.0)) == pytest.approx(3 * 1 + 2 * 1)
    boxes = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    assert hypervolume(boxes, (2.0, 2.0, 2.0)) == pytest.approx(4 + 2 - 1)


@pytest.mark.parametrize("objectives", [2, 3])
def test_hypervolume_of_infinite_points(objectives):
    best, worst = np.zeros((2, objectives)), np.zeros((2, objectives))
    best[:, 0], worst[:, 0] = -np.inf, np.inf
    assert hypervolume(best, np.ones(objectives)) == np.inf
    assert hypervolume(worst, np.ones(objectives)) == 0.0
