"""The ladder of members against all subsets of a front."""

import itertools

import numpy as np
import pytest
from pymoo.indicators.hv import HV

from dysr_jax.search.select import ladder, unshared
from dysr_jax.space import parameters, uniform

SPACE = uniform(
    slots=2, width=4, scale=2, branches=("id", "s3", "c3", "c5", "r1"), upsamplers=("u1",)
)
ARCHS = [(*body, 0) for body in itertools.product(range(5), repeat=2)]
ID, C3, C5, R1 = (0, 0, 0), (2, 2, 0), (3, 3, 0), (4, 4, 0)


def random_front(seed, count=8):
    rng = np.random.default_rng(seed)
    archs = [ARCHS[i] for i in rng.choice(len(ARCHS), count, replace=False)]
    return archs, np.sort(rng.uniform(1, 5, count)), np.sort(rng.uniform(28, 32, count))


def worth(chosen, archs, latency, psnr, sharing):
    """Hypervolume in parts of the front's box, less what neighbours do not share."""
    scaled = np.stack(
        [
            (latency[chosen] - latency[0]) / (latency[-1] - latency[0]),
            (psnr[-1] - psnr[chosen]) / (psnr[-1] - psnr[0]),
        ],
        1,
    )
    neighbours = itertools.pairwise(archs[i] for i in chosen)
    lost = sum(unshared(SPACE, first, second) for first, second in neighbours)
    return HV(ref_point=np.ones(2))(scaled) - sharing * lost


@pytest.mark.parametrize("sharing", [0.0, 0.1, 5.0])
@pytest.mark.parametrize("members", [2, 3, 5, 7])
@pytest.mark.parametrize("seed", range(3))
def test_ladder_is_the_best_subset(seed, members, sharing):
    archs, latency, psnr = random_front(seed)
    last = len(archs) - 1
    subsets = [[0, *inner, last] for inner in itertools.combinations(range(1, last), members - 2)]
    best = max(worth(subset, archs, latency, psnr, sharing) for subset in subsets)
    chosen = ladder(SPACE, archs, latency, psnr, members=members, sharing=sharing)
    assert chosen in subsets  # both ends, in order, none twice
    assert worth(chosen, archs, latency, psnr, sharing) == pytest.approx(best)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_small_front_is_kept_whole(count):
    archs, latency, psnr = random_front(0, count)
    assert ladder(SPACE, archs, latency, psnr, members=4, sharing=0.1) == list(range(count))


@pytest.mark.parametrize(("sharing", "middle"), [(0.0, R1), (10.0, C3)])
def test_sharing_prefers_a_neighbour_with_the_same_kernels(sharing, middle):
    # r1 covers more area; c3 reads a part of the kernels of c5, r1 reads others.
    archs, latency, psnr = [ID, C3, R1, C5], np.array([0.0, 1, 2, 3]), np.array([0.0, 1, 2.5, 3])
    chosen = ladder(SPACE, archs, latency, psnr, members=3, sharing=sharing)
    assert [archs[i] for i in chosen] == [ID, middle, C5]


@pytest.mark.parametrize(("part", "whole"), [(ID, C3), (C3, C5), (ID, R1)])
def test_unshared_of_a_part_and_the_whole(part, whole):
    expected = 1 - parameters(SPACE, part) / parameters(SPACE, whole)
    assert unshared(SPACE, part, whole) == pytest.approx(expected)


def test_unshared_is_a_distance():
    for first, second in itertools.product(ARCHS, repeat=2):
        distance = unshared(SPACE, first, second)
        assert distance == unshared(SPACE, second, first)
        assert 0 <= distance < 1
        assert (distance == 0) == (first == second)
