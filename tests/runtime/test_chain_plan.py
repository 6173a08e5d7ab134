"""The plan: a switch looks up the slots that changed, and nothing else; all of them for another width."""

import numpy as np
import pytest

from dysr_jax.runtime.chain import Link, Plan


class Counted(dict):
    """Choices that say which were looked up."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = []

    def __getitem__(self, key):
        self.asked.append(key)
        return super().__getitem__(key)


HEADS = {width: Link(f"head{width}", {}) for width in (4, 8)}


@pytest.fixture
def choices():
    """Links of three slots by slot, branch and width; branch 1 of slot 0 has none of width 8."""
    places = [(s, i, w) for w in HEADS for s in range(3) for i in range(2)]
    links = {(s, i, w): Link(f"run{s}{i}.{w}", {}) for s, i, w in places}
    links |= {(1, 0, 4): None, (1, 0, 8): None}
    del links[0, 1, 8]
    return Counted(links)


def names(links):
    return [link and link.executable for link in links]


def test_a_switch_replaces_what_changed(choices):
    plan = Plan(HEADS, choices)
    first = plan.switch(4, (0, 0, 0))
    assert names(first) == ["head4", "run00.4", None, "run20.4"]
    choices.asked.clear()
    second = plan.switch(4, (0, 1, 0))
    assert choices.asked == [(1, 1, 4)]
    assert names(second) == ["head4", "run00.4", "run11.4", "run20.4"]
    assert first[2] is None  # a frame in flight keeps its own
    assert plan.switch(4, (0, 1, 0)) is second
    assert choices.asked == [(1, 1, 4)]


def test_another_width_replaces_all(choices):
    plan = Plan(HEADS, choices)
    narrow = plan.switch(4, (0, 1, 0))
    choices.asked.clear()
    wide = plan.switch(8, (0, 1, 0))
    assert choices.asked == [(0, 0, 8), (1, 1, 8), (2, 0, 8)]
    assert names(wide) == ["head8", "run00.8", "run11.8", "run20.8"]
    assert names(narrow) == ["head4", "run00.4", "run11.4", "run20.4"]
    assert names(plan.switch(8, (0, 0, 1))) == ["head8", "run00.8", None, "run21.8"]
    assert names(plan.switch(4, (0, 1, 0))) == names(narrow)


def test_a_switch_that_fails_leaves_the_plan(choices):
    plan = Plan(HEADS, choices)
    before = plan.switch(4, (0, 1, 0))
    for width, branches, missing in [
        (4, (1, 7, 1), (1, 7, 4)),
        (8, (1, 1, 1), (0, 1, 8)),
        (6, (0, 0, 0), (0, 0, 6)),
    ]:
        with pytest.raises(KeyError) as error:
            plan.switch(width, branches)
        assert error.value.args == (missing,)
    with pytest.raises(ValueError, match="shorter"):
        plan.switch(4, (1, 1))
    choices.asked.clear()
    assert plan.switch(4, (0, 1, 0)) is before
    assert not choices.asked


def test_warm_up_runs_each_executable_once():
    ran = []

    class Run:
        """An executable that says that it ran, and on which width."""

        def __init__(self, name, result):
            self.name, self.result = name, result

        def __call__(self, kernels, x, *_):
            ran.append((self.name, x.size))
            return self.result

    shared, four, eight = Link(Run("shared", np.ones(4)), {}), np.ones(4), np.ones(8)
    heads = {4: Link(Run("head4", (four, four)), {}), 8: Link(Run("head8", (eight, eight)), {})}
    choices = {
        (0, 0, 4): None,
        (0, 1, 4): shared,
        (1, 0, 4): shared,
        (1, 1, 4): Link(Run("body4", four), {}),
        (2, 0, 4): Link(Run("end0", four), {}),
        (2, 1, 4): Link(Run("end1", four), {}),
        (0, 0, 8): None,
        (1, 1, 8): Link(Run("body8", eight), {}),
        (2, 0, 8): Link(Run("end8", eight), {}),
    }
    Plan(heads, choices).warm_up(np.zeros(2, np.uint8))
    narrow = [("body4", 4), ("end0", 4), ("end1", 4), ("shared", 4)]
    assert sorted(ran) == sorted([*narrow, ("body8", 8), ("end8", 8), ("head4", 2), ("head8", 2)])
