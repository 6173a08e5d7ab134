"""The ladder of members, and its curve over the weights, against all subsets of a front."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.indicators.hv import HV

from dysr_jax.errors import InputError
from dysr_jax.model.names import arch_name
from dysr_jax.model.sharing import ensemble_weight_bytes, union_weight_bytes
from dysr_jax.model.space import uniform_space
from dysr_jax.search.archive import Record
from dysr_jax.search.select import SWITCH_COST_WEIGHTS, choose_ladder, sharing_curve

SPACE = uniform_space(slots=2, widths=4, scale=2, branches=("id", "s3", "c3", "c5", "r1"), upsamplers=("u1",))
ARCHS = [(*body, 0) for body in itertools.product(range(5), repeat=2)]
ID, C3, C5, R1 = (0, 0, 0), (2, 2, 0), (3, 3, 0), (4, 4, 0)


def random_front(seed, count=8):
    rng = np.random.default_rng(seed)
    archs = [ARCHS[i] for i in rng.choice(len(ARCHS), count, replace=False)]
    return archs, np.sort(rng.uniform(1, 5, count)), np.sort(rng.uniform(28, 32, count))


def as_records(archs, latency, psnr):
    points = zip(archs, psnr, latency, strict=True)
    return [Record(arch_name(SPACE, a), a, float(q), float(ms), 0, 0.0) for a, q, ms in points]


def area(chosen, latency, psnr):
    """Hypervolume in parts of the front's box, by pymoo."""
    scaled = np.stack(
        [
            (latency[chosen] - latency[0]) / (latency[-1] - latency[0]),
            (psnr[-1] - psnr[chosen]) / (psnr[-1] - psnr[0]),
        ],
        1,
    )
    return HV(ref_point=np.ones(2))(scaled)


def cost(chosen, archs):
    """Of all steps, by the definition: shares of slots and of bytes, a pair at a time."""
    total = 0.0
    for first, second in itertools.pairwise(archs[i] for i in chosen):
        slots = np.mean(np.array(first) != np.array(second))
        union = union_weight_bytes(SPACE, (first, second))
        both = ensemble_weight_bytes(SPACE, (first, second)) - union
        total += (slots + 1 - both / union) / 2
    return total


def subsets(count, members):
    """All choices that keep both ends."""
    inner = itertools.combinations(range(1, count - 1), members - 2)
    return [[0, *chosen, count - 1] for chosen in inner]


@pytest.mark.parametrize("sharing", [0.0, 0.1, 5.0])
@pytest.mark.parametrize("members", [2, 3, 5, 7])
@pytest.mark.parametrize("seed", range(3))
def test_ladder_is_the_best_subset(seed, members, sharing):
    archs, latency, psnr = random_front(seed)

    def worth(chosen):
        return area(chosen, latency, psnr) - sharing * cost(chosen, archs)

    candidates = subsets(len(archs), members)
    chosen = choose_ladder(SPACE, archs, latency, psnr, members=members, switch_cost_weight=sharing)
    assert chosen in candidates  # both ends, in order, none twice
    assert worth(chosen) == pytest.approx(max(map(worth, candidates)))


@pytest.mark.parametrize("seed", range(3))
def test_without_sharing_it_is_the_subset_of_largest_hypervolume(seed):
    archs, latency, psnr = random_front(seed)
    areas = {tuple(s): area(s, latency, psnr) for s in subsets(len(archs), 4)}
    chosen = choose_ladder(SPACE, archs, latency, psnr, members=4, switch_cost_weight=0.0)
    assert tuple(chosen) == max(areas, key=areas.__getitem__)
    # What the archs share does not matter then.
    shuffled = archs[::-1]
    assert choose_ladder(SPACE, shuffled, latency, psnr, members=4, switch_cost_weight=0.0) == chosen
    assert choose_ladder(SPACE, shuffled, latency, psnr, members=4, switch_cost_weight=5.0) != chosen


@given(
    seed=st.integers(0, 2**16), members=st.integers(2, 6), weights=st.tuples(st.floats(0, 3), st.floats(0, 3))
)
def test_more_weight_never_raises_the_cost_nor_the_hypervolume(seed, members, weights):
    front = as_records(*random_front(seed, 12))
    light, heavy = sharing_curve(SPACE, front, members=members, weights=sorted(weights))
    assert heavy["step_cost"] <= light["step_cost"] + 1e-9
    assert heavy["hypervolume_share"] <= light["hypervolume_share"] + 1e-9


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_small_front_is_kept_whole(count):
    archs, latency, psnr = random_front(0, count)
    assert choose_ladder(SPACE, archs, latency, psnr, members=4, switch_cost_weight=0.1) == list(range(count))
    (point,) = sharing_curve(SPACE, as_records(archs, latency, psnr), members=4, weights=[0.1])
    assert point["hypervolume_share"] == 1.0


@pytest.mark.parametrize(("sharing", "middle"), [(0.0, R1), (10.0, C3)])
def test_sharing_prefers_a_neighbour_with_the_same_kernels(sharing, middle):
    # r1 covers more area; c3 reads a part of the kernels of c5, r1 reads others.
    archs, latency, psnr = [ID, C3, R1, C5], np.array([0.0, 1, 2, 3]), np.array([0.0, 1, 2.5, 3])
    chosen = choose_ladder(SPACE, archs, latency, psnr, members=3, switch_cost_weight=sharing)
    assert [archs[i] for i in chosen] == [ID, middle, C5]


def test_sharing_prefers_a_neighbour_with_the_same_branches():
    # Of the two in the middle the first covers more area; the second changes one slot a step.
    archs = [(0, 0, 0), (4, 1, 0), (0, 4, 0), (4, 4, 0)]
    latency, psnr = np.array([0.0, 1, 2, 3]), np.array([0.0, 2.0, 2.5, 3])
    for sharing, middle in ((0.0, 1), (10.0, 2)):
        chosen = choose_ladder(SPACE, archs, latency, psnr, members=3, switch_cost_weight=sharing)
        assert chosen == [0, middle, 3]


def test_the_curve_describes_the_ladders():
    archs, latency, psnr = random_front(1, 12)
    curve = sharing_curve(SPACE, as_records(archs, latency, psnr), members=5)
    assert [point["weight"] for point in curve] == list(SWITCH_COST_WEIGHTS)
    whole = area(list(range(12)), latency, psnr)
    for point in curve:
        chosen = choose_ladder(SPACE, archs, latency, psnr, members=5, switch_cost_weight=point["weight"])
        kept = [archs[i] for i in chosen]
        share = area(chosen, latency, psnr) / whole
        assert point["hypervolume_share"] == pytest.approx(share)
        assert point["resident_bytes"] == union_weight_bytes(SPACE, kept)
        assert point["ensemble_bytes"] == ensemble_weight_bytes(SPACE, kept)
        assert point["step_cost"] == pytest.approx(cost(chosen, archs))
        changed = [sum(map(int.__ne__, *pair)) for pair in itertools.pairwise(kept)]
        assert point["changed_slots"] == sum(changed)
    assert curve[0] != {**curve[-1], "weight": 0.0}  # the weight matters on this front


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"members": 1}, "members must be at least 2, got 1"),
        ({"weights": [0.1, -1.0]}, r"switch_cost_weight must be finite and at least 0, got -1\.0"),
        ({"weights": [float("nan")]}, "must be finite and at least 0, got nan"),
        ({"weights": [float("inf")]}, "must be finite and at least 0, got inf"),
        ({"front": []}, "archs is empty"),
    ],
)
def test_what_the_curve_refuses(asked, message):
    front = as_records(*random_front(0))
    with pytest.raises(InputError, match=message):
        sharing_curve(SPACE, **({"front": front, "members": 4} | asked))
