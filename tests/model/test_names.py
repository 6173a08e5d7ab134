"""Arch names: every arch has one that parses back, however it is spelled."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.config import PRESETS
from dysr_jax.errors import InputError
from dysr_jax.model.names import arch_name, arch_names, canonical_name, parse_arch
from dysr_jax.model.space import SearchSpace, gene_counts, uniform_space

# Neither the cheapest nor the dearest branch of a slot stands first or last, and slots differ.
MIXED = SearchSpace(
    body=(("s3", "id", "r1", "a1"), ("c3",), ("s5", "c5", "c3"), ("a1", "r1")),
    upsamplers=("u2", "u1"),
    widths=4,
    scale=3,
)


# The first call of a strategy's function compiles: no deadline.
quick = settings(deadline=None, max_examples=25)


def every_arch(space):
    return list(itertools.product(*(range(n) for n in gene_counts(space))))


def arch_of(space):
    return st.tuples(*(st.integers(0, n - 1) for n in gene_counts(space)))


def test_every_arch_has_a_name_of_its_own_that_parses_back():
    archs = every_arch(MIXED)
    names = [arch_name(MIXED, arch) for arch in archs]
    assert len(set(names)) == len(archs)
    assert [parse_arch(MIXED, name) for name in names] == archs
    assert arch_names(MIXED, np.array(archs)) == names


def test_names_of_many_are_of_valid_archs_only():
    archs = [*every_arch(MIXED)[:3], (0, 0, 3, 0, 0)]
    with pytest.raises(InputError, match="slot 2 takes 0 to 2, not 3"):
        arch_names(MIXED, np.array(archs))
    with pytest.raises(InputError, match="must be a tuple of ints"):
        arch_names(MIXED, np.array(archs[:3], float))


@quick
@given(arch_of(PRESETS["base"].space.build()))
def test_a_name_of_a_large_space_parses_back(arch):
    space = PRESETS["base"].space.build()
    assert parse_arch(space, arch_name(space, arch)) == arch


def test_names_count_runs():
    space = uniform_space(slots=5, widths=4, scale=2)
    c3, r1, identity = (space.body[0].index(name) for name in ("c3", "r1", "id"))
    arch = (c3, c3, r1, identity, identity, 0)
    assert arch_name(space, arch) == "2c3-r1-2id-u1"
    assert parse_arch(space, "c3-c3-r1-2id-u1") == arch


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "'' is not [count]branch"),
        ("2", "'2' is not [count]branch"),
        ("s3--c3-r1-u1", "'' is not [count]branch"),
        ("0s3-c3-s5-r1-u1", "'0s3' is not [count]branch"),
        ("s3-C3-s5-r1-u1", "'C3' is not [count]branch"),
        ("s3-c3-s5-r1", "names 4 of 5 slots"),
        ("s3-c3-s5-2r1-u1", "names 6 of 5 slots"),
        ("s3-c3-id-r1-u1", "slot 2 has no 'id'; must be one of s5, c5, c3"),
        ("s3-c3-s5-r1-c3", "slot 4 has no 'c3'; must be one of u2, u1"),
        ("s3-c3-s5-r1-x9", "slot 4 has no 'x9'; must be one of u2, u1"),
    ],
)
def test_a_wrong_name_is_told(name, says):
    with pytest.raises(InputError) as error:
        parse_arch(MIXED, name)
    assert repr(name) in str(error.value)
    assert says in str(error.value)


@given(st.data())
def test_every_spelling_of_an_arch_is_the_same_name(data):
    space = uniform_space(slots=6, widths=4, scale=2, branches=("id", "c3", "r1"))
    arch = tuple(data.draw(st.integers(0, len(names) - 1)) for names in space.slots)
    tokens, left = [], [space.slots[slot][index] for slot, index in enumerate(arch)]
    while left:  # a run in pieces, with or without their counts
        run = next((i for i, name in enumerate(left) if name != left[0]), len(left))
        piece = data.draw(st.integers(1, run))
        counted = piece > 1 or data.draw(st.booleans())
        tokens.append(f"{piece if counted else ''}{left[0]}")
        left = left[piece:]
    spelled = "-".join(tokens)
    assert canonical_name(spelled) == arch_name(space, arch)
    assert parse_arch(space, spelled) == arch


@pytest.mark.parametrize("name", ["fastest", "best", "", "2", "no such-thing", "C3-u1", "0id-u1"])
def test_what_is_no_other_spelling_stays(name):
    assert canonical_name(name) == name
