"""What the default policy is worth against simple ones."""

import pytest
from policy_rivals import DEADLINE_MS, TIMINGS, clairvoyant, rivals, scenarios

from dysr_jax.runtime.policy.simulation import score, simulate

FRAMES = 3000


@pytest.fixture(scope="module")
def loads():
    return scenarios(FRAMES, seed=7)


def _scores(loads):
    return {n: score(simulate(p, TIMINGS, DEADLINE_MS, loads)) for n, p in rivals().items()}


@pytest.mark.parametrize("name", ["square x1 x2, 10 s", "square x1 x4, 10 s", "random walk x1 to x4"])
def test_a_load_that_changes(loads, name):
    found = _scores(loads[name])
    adaptive = found["adaptive"]
    # Two frames at most are late at each rise of the load, and one at each pause.
    assert adaptive.late < 0.01 * FRAMES
    assert adaptive.late < found["greedy"].late / 3
    assert adaptive.switches < found["greedy"].switches / 2
    for rival in ("fixed:best", "fixed:22ms"):
        assert adaptive.late < found[rival].late / 20
    # Of what knowing the load beforehand would gain over the fastest member, more than half.
    fastest = found["fixed:fastest"].psnr_y
    assert adaptive.psnr_y - fastest > (clairvoyant(loads[name]) - fastest) / 2


def test_a_machine_at_rest(loads):
    found = _scores(loads["constant x1"])
    assert found["adaptive"].psnr_y > found["fixed:22ms"].psnr_y - 0.01
    assert found["adaptive"].late <= found["fixed:22ms"].late


def test_a_load_too_quick_to_follow_is_not_followed(loads):
    """Half a window of each: the policy stays where the heavier half lets it."""
    found = _scores(loads["square x1 x4, 1 s"])["adaptive"]
    assert found.late < 0.01 * FRAMES
    assert found.switches < FRAMES / 60
