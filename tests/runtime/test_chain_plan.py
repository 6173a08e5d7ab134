"""The plan: a switch looks up the slots that changed, and nothing else."""

import numpy as np
import pytest

from dysr_jax.runtime.chain import Link, Plan, changed_slots


class Counted(dict):
    """Choices that say which were looked up."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = []

    def __getitem__(self, key):
        self.asked.append(key)
        return super().__getitem__(key)


@pytest.fixture
def choices():
    links = {(s, i): Link(f"run{s}{i}", {}) for s in range(3) for i in range(2)}
    return Counted(links | {(1, 0): None})


def test_a_switch_replaces_what_changed(choices):
    plan = Plan(Link("head", {}), choices)
    assert plan.arch == (0, 0, 0)
    first = plan.switch((0, 0, 0))
    assert [link and link.executable for link in first] == ["run00", None, "run20"]
    choices.asked.clear()
    second = plan.switch((0, 1, 0))
    assert choices.asked == [(1, 1)]
    assert [link.executable for link in second] == ["run00", "run11", "run20"]
    assert first[1] is None  # a frame in flight keeps its own
    assert plan.switch([0, 1, 0]) is second
    assert choices.asked == [(1, 1)]


def test_a_switch_that_fails_leaves_the_plan(choices):
    plan = Plan(Link("head", {}), choices)
    before = plan.switch((0, 1, 0))
    with pytest.raises(KeyError):
        plan.switch((1, 7, 1))
    with pytest.raises(ValueError, match="shorter"):
        plan.switch((1, 1))
    assert plan.arch == (0, 1, 0)
    assert plan.switch((0, 1, 0)) is before


def test_changed_slots():
    assert changed_slots((0, 1, 2), (0, 2, 1)) == (1, 2)
    assert changed_slots((0, 1), (0, 1)) == ()
    with pytest.raises(ValueError, match="shorter"):
        changed_slots((0, 1), (0,))


def test_warm_up_runs_each_executable_once():
    ran = []

    class Run:
        """An executable that says that it ran."""

        def __init__(self, name, result):
            self.name, self.result = name, result

        def __call__(self, *_):
            ran.append(self.name)
            return self.result

    shared, x = Link(Run("shared", np.ones(1)), {}), np.ones(1)
    choices = {
        (0, 0): None,
        (0, 1): shared,
        (1, 0): shared,
        (1, 1): Link(Run("body", x), {}),
        (2, 0): Link(Run("end0", x), {}),
        (2, 1): Link(Run("end1", x), {}),
    }
    Plan(Link(Run("head", (x, x)), {}), choices).warm_up(np.zeros((2, 2, 3), np.uint8))
    assert sorted(ran) == ["body", "end0", "end1", "head", "shared"]
