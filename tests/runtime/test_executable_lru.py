"""What is held stays within its limits, and the least recently used go first."""

import hypothesis
import pytest
from hypothesis import strategies as st

from dysr_jax.aot.accounting import Memory
from dysr_jax.aot.executables import Executable
from dysr_jax.errors import InputError
from dysr_jax.runtime.executable_lru import ExecutableLRU, Program


def program(name):
    return Program(name, (6, 8), None)


def entries(**sizes):
    """By name: bytes of code and of workspace."""
    return {program(n): Executable(object(), code, work) for n, (code, work) in sizes.items()}


def add(held, **sizes):
    new = entries(**sizes)
    held.add(new, list(new))


def names(held):
    return "".join(sorted(program.member for program in held.programs()))


def test_memory_is_weights_all_code_and_the_largest_workspace():
    held = ExecutableLRU(weights=100, keep=None, budget=None)
    assert held.memory() == Memory(100, 0, 0)
    add(held, a=(10, 5), b=(20, 7), c=(30, 2))
    assert held.memory() == Memory(100, 60, 7, own_workspaces=5 + 7 + 2)
    assert held.memory().total == 167


def test_a_budget_evicts_the_least_recently_used():
    held = ExecutableLRU(weights=100, keep=None, budget=137)
    add(held, a=(10, 5))
    add(held, b=(10, 5))
    add(held, c=(10, 5))
    assert names(held) == "abc"  # 135
    held.get(program("a"))
    add(held, d=(10, 5))
    assert names(held) == "acd"
    held.add({}, [program("c")])  # asked for again
    add(held, e=(10, 7))
    assert names(held) == "cde"
    add(held, f=(10, 8))  # 138 with three: the larger workspace counts
    assert names(held) == "ef"


def test_what_does_not_fit_is_refused_and_changes_nothing():
    held = ExecutableLRU(weights=100, keep=None, budget=150)
    add(held, z=(10, 0))
    message = (
        r"budget 150 bytes: 175 are needed \(100 of weights, 55 of 3 executables, 20 of workspace\); "
        r"what fits is a at 6x8, c at 6x8$"
    )
    with pytest.raises(InputError, match=message):
        add(held, a=(20, 5), b=(20, 20), c=(15, 15))
    assert names(held) == "z"
    with pytest.raises(InputError, match="what fits is none of them"):
        add(held, a=(51, 0))
    with pytest.raises(InputError, match="budget 99 bytes: the weights alone are 100 bytes"):
        ExecutableLRU(weights=100, keep=None, budget=99)


def test_what_is_asked_for_together_stays_beyond_keep():
    held = ExecutableLRU(weights=0, keep=2, budget=None)
    add(held, a=(1, 1), b=(1, 1), c=(1, 1))
    assert names(held) == "abc"
    held.get(program("a"))
    add(held, d=(1, 1))
    assert names(held) == "ad"


sizes = st.tuples(st.integers(0, 40), st.integers(0, 40))
steps = st.one_of(
    st.sampled_from("abcdef"), st.dictionaries(st.sampled_from("abcdef"), sizes, min_size=1, max_size=4)
)


@hypothesis.given(st.lists(steps, max_size=12), st.integers(0, 150))
def test_the_budget_holds_and_what_was_asked_for_is_there(order, budget):
    held = ExecutableLRU(weights=10, keep=None, budget=budget + 10)
    for step in order:
        if isinstance(step, str):
            assert (held.get(program(step)) is not None) == (program(step) in held)
            continue
        before = names(held)
        try:
            add(held, **step)
        except InputError:
            alone = ExecutableLRU(weights=10, keep=None, budget=None)
            add(alone, **step)
            assert alone.memory().total > budget + 10
            assert names(held) == before
        else:
            assert set(step) <= set(names(held))
        assert held.memory().total <= budget + 10


@hypothesis.given(st.lists(steps, max_size=12))
def test_without_limits_nothing_goes(order):
    held = ExecutableLRU(weights=0, keep=None, budget=None)
    every = set()
    for step in order:
        if not isinstance(step, str):
            add(held, **step)
            every |= set(step)
    assert set(names(held)) == every
