"""Spaces of several widths: their archs, costs counted by hand, draws, and what is refused."""

import functools
import itertools

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dysr_jax.errors import InputError
from dysr_jax.model.branches import BODY, Branch, KernelSpec
from dysr_jax.model.names import arch_name, arch_names, canonical_name, parse_arch
from dysr_jax.model.space import (
    SearchSpace,
    arch_mult_adds,
    arch_parameters,
    arch_width,
    branch_mult_adds,
    crossover,
    gene_counts,
    largest_arch,
    mutate,
    sample_archs,
    sample_plain_archs,
    single_arch_space,
    smallest_arch,
    space_size,
    to_archs,
    uniform_space,
    validate_arch,
)

MIXED = SearchSpace(
    body=(("s3", "id", "r1", "a1"), ("c3",), ("s5", "c5", "c3"), ("a1", "r1")),
    upsamplers=("u2", "u1"),
    widths=(6, 16, 24),
    scale=3,
)
EVERY = uniform_space(slots=3, widths=(16, 24, 32), scale=4)
archs = st.tuples(*(st.integers(0, n - 1) for n in gene_counts(EVERY)))
seeds = st.integers(0, 2**31 - 1)


def every_arch(space):
    return list(itertools.product(*(range(n) for n in gene_counts(space))))


def test_size_counts_the_archs_of_all_widths():
    assert MIXED.genes == (*MIXED.slots, ("w6", "w16", "w24"))
    assert gene_counts(MIXED) == (4, 1, 3, 2, 2, 3)
    assert space_size(MIXED) == len(set(every_arch(MIXED))) == 3 * 48
    assert MIXED.width == 24
    assert [arch_width(MIXED, (0, 0, 0, 0, 0, i)) for i in range(3)] == [6, 16, 24]


def test_one_width_is_no_gene():
    spaces = [uniform_space(slots=2, widths=given, scale=2) for given in (8, (8,), [8], np.int64(8))]
    assert len(set(spaces)) == 1
    assert spaces[0].widths == (8,) and spaces[0].genes == spaces[0].slots
    assert arch_width(spaces[0], (0, 0, 0)) == 8


@pytest.mark.parametrize(
    ("arch", "says"),
    [
        ((0, 0, 0, 0, 0), "has 5 indices; the space has 5 slots and a width"),
        ((0, 0, 0, 0, 0, 0, 0), "has 7 indices; the space has 5 slots and a width"),
        ((0, 0, 0, 0, 0, 3), "the width takes 0 to 2, not 3"),
        ((0, 0, 0, 0, 0, -1), "the width takes 0 to 2, not -1"),
        ((4, 0, 0, 0, 0, 0), "slot 0 takes 0 to 3, not 4"),
    ],
)
def test_a_wrong_arch_is_told(arch, says):
    for reject in (validate_arch, arch_name, arch_parameters, arch_mult_adds):
        with pytest.raises(InputError) as error:
            reject(MIXED, arch)
        assert repr(arch) in str(error.value) and says in str(error.value)
    with pytest.raises(InputError, match="arch"):
        to_archs(MIXED, np.array([(0,) * len(arch), arch]))


# --- names ----------------------------------------------------------------------------------------------


def test_every_arch_has_a_name_of_its_own_that_parses_back():
    archs = every_arch(MIXED)
    names = [arch_name(MIXED, arch) for arch in archs]
    assert len(set(names)) == len(archs)
    assert [parse_arch(MIXED, name) for name in names] == archs
    assert arch_names(MIXED, np.array(archs)) == names


@given(archs)
def test_the_width_comes_first(arch):
    name = arch_name(EVERY, arch)
    assert name.startswith(f"w{(16, 24, 32)[arch[-1]]}-")
    assert parse_arch(EVERY, name) == arch
    alone = uniform_space(slots=3, widths=16, scale=4)
    assert name.partition("-")[2] == arch_name(alone, arch[:-1])
    assert canonical_name(name) == name


def test_other_spellings():
    assert parse_arch(EVERY, "w24-c3-c3-1id-u1") == parse_arch(EVERY, "w24-2c3-id-u1")
    assert canonical_name("w24-c3-c3-1id-u1") == "w24-2c3-id-u1"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("2c3-id-u1", "must begin with a width of this space, one of w16, w24, w32"),
        ("w8-2c3-id-u1", "must begin with a width of this space, one of w16, w24, w32"),
        ("2c3-id-u1-w16", "must begin with a width"),
        ("w16", "names 0 of 4 slots"),
        ("w16-2c3-u1", "names 3 of 4 slots"),
        ("2w16-2c3-id-u1", "names 5 of 4 slots"),
        ("w16-w16-2c3-u1", "slot 0 has no 'w16'"),
        ("w016-2c3-id-u1", "must begin with a width"),
    ],
)
def test_a_wrong_name_is_told(name, says):
    with pytest.raises(InputError) as error:
        parse_arch(EVERY, name)
    assert repr(name) in str(error.value) and says in str(error.value)


def test_a_space_of_one_width_has_none_in_its_names():
    with pytest.raises(InputError, match="names 3 of 2 slots"):
        parse_arch(uniform_space(slots=1, widths=16, scale=4), "w16-c3-u1")


# --- costs ----------------------------------------------------------------------------------------------


def branch_by_hand(name, w, scale):
    """Multiply-adds per pixel, and weights, of a branch on `w` channels."""
    kind, out = name[0], 3 * scale * scale
    if kind == "u":
        deep = 9 * w * w * (name == "u2")
        return deep + 9 * w * out, deep + w * (name == "u2") + 9 * w * out + out
    if name == "id":
        return 0, 0
    if name in ("v3", "k3", "sg"):
        convs, guide = {"v3": 1, "k3": 3, "sg": 3}[name], w * w * (name == "sg")
        return 9 * w * w * convs + guide, (9 * w * w + w) * convs + guide + w * (name == "sg")
    if kind in "sc":
        side = int(name[1])
        multiplied = side**2 * w + w * w if kind == "s" else side**2 * w * w
        return multiplied, multiplied + w
    h = max(1, int({"q": 0.25, "h": 0.5, "1": 1, "2": 2}[name[1]] * w))
    if kind == "b":
        return 2 * w * h + 9 * h * h, 2 * w * h + 9 * h * h + 2 * h + w
    gate = w // 4
    return 18 * w * h, 18 * w * h + h + w + (2 * w * gate + gate + w) * (kind == "a")


def arch_by_hand(space, arch):
    """Its names and width read off without the code's help."""
    *branches, width = arch
    w = space.widths[width]
    names = [names[index] for names, index in zip((*space.body, space.upsamplers), branches, strict=True)]
    costs = [(27 * w, 28 * w), *(branch_by_hand(name, w, space.scale) for name in names)]
    return tuple(map(sum, zip(*costs, strict=True)))


@given(archs)
def test_costs_by_hand(arch):
    per_pixel, weights = arch_by_hand(EVERY, arch)
    assert arch_parameters(EVERY, arch) == weights
    assert arch_mult_adds(EVERY, arch) == per_pixel * 320 * 180


@pytest.mark.parametrize("slot", [0, 3])
def test_the_work_of_branches_at_a_width(slot):
    for width in (16, 24, 32, 40):  # 40: not of the space, but a branch has a cost there
        expected = [branch_by_hand(name, width, 4)[0] for name in EVERY.slots[slot]]
        assert branch_mult_adds(EVERY, slot, width) == expected
    assert branch_mult_adds(EVERY, slot) == branch_mult_adds(EVERY, slot, 32)


def test_extremes_by_brute_force():
    archs = every_arch(MIXED)
    costs = {arch: arch_by_hand(MIXED, arch) for arch in archs}
    assert smallest_arch(MIXED) == min(archs, key=costs.get)
    assert largest_arch(MIXED) == max(archs, key=costs.get)
    assert arch_name(MIXED, smallest_arch(MIXED)).startswith("w6-")
    assert arch_name(MIXED, largest_arch(MIXED)).startswith("w24-")


def test_a_space_of_one_arch_has_its_width():
    for arch in [(0, 0, 1, 1, 1, 0), (3, 0, 2, 0, 0, 2)]:
        found = single_arch_space(MIXED, arch)
        assert found.widths == (arch_width(MIXED, arch),)
        assert space_size(found) == 1
        assert arch_parameters(found, (0,) * 5) == arch_parameters(MIXED, arch)


# --- draws ----------------------------------------------------------------------------------------------


@functools.partial(jax.jit, static_argnums=1)
def draw(seed, space):
    """32 archs, mutants and children of them, and plain ones."""
    keys = jax.random.split(jax.random.key(seed), 4)
    genes = sample_archs(keys[0], space, (32,))
    mutants = [mutate(keys[1], space, genes, rate) for rate in (0.0, 0.3, 1.0)]
    child = crossover(keys[2], genes, mutants[2])
    return genes, *mutants, child, sample_plain_archs(keys[3], space, 32)


@given(seeds)
def test_what_is_drawn_is_archs(seed):
    found = [np.asarray(genes) for genes in draw(seed, MIXED)]
    for genes in found:
        assert genes.dtype == np.int32
        assert len(to_archs(MIXED, genes)) == 32
    genes, same, _, others, child, _ = found
    np.testing.assert_array_equal(same, genes)
    choice = np.array(gene_counts(MIXED)) > 1
    np.testing.assert_array_equal(others != genes, np.broadcast_to(choice, genes.shape))
    assert np.all((child == genes) | (child == others))


def test_widths_are_drawn_uniformly_and_mutated_as_other_genes():
    genes = np.asarray(sample_archs(jax.random.key(0), MIXED, (6000,)))
    plain = np.asarray(sample_plain_archs(jax.random.key(1), MIXED, 6000))
    for column in (genes[:, -1], plain[:, -1]):
        np.testing.assert_allclose(np.bincount(column, minlength=3) / 6000, 1 / 3, atol=0.03)
    mutants = np.asarray(mutate(jax.random.key(2), MIXED, np.zeros((6000, 6), np.int32), 0.3))
    np.testing.assert_allclose(np.bincount(mutants[:, -1]) / 6000, [0.7, 0.15, 0.15], atol=0.03)


# --- what is refused --------------------------------------------------------------------------------------


class Grouped(Branch):
    """Takes only widths that its groups divide; `reads` may be another function of the width."""

    def __init__(self, reads=None):
        self._reads = reads

    def reads(self, width, scale):
        if self._reads:
            return self._reads(width)
        if width % 8:
            raise InputError(f"width {width}: must be a multiple of 8")
        return {"grouped": KernelSpec((8, width // 8, width // 8))}

    def __call__(self, kernels, x, layers):
        return x


def test_a_width_that_a_branch_cannot_take_is_refused(monkeypatch):
    monkeypatch.setitem(BODY, "grouped", Grouped())
    body = (("id", "grouped"),)
    assert SearchSpace(body, ("u1",), (8, 16), 2).widths == (8, 16)
    with pytest.raises(InputError) as error:
        SearchSpace(body, ("u1",), (8, 12, 16), 2)
    must = "must be widths that branch 'grouped' can take; width 12: must be a multiple of 8"
    assert str(error.value) == f"widths (8, 12, 16): {must}"


@pytest.mark.parametrize(
    ("reads", "says"),
    [
        (lambda w: {"mine": KernelSpec((16 - w,))}, "at each, branch 'mine' must read a part of what"),
        (lambda w: {f"mine{w}": KernelSpec((w,))}, "at each, branch 'mine' must read a part of what"),
        (
            lambda w: {"mine": KernelSpec((w,), w)},
            "'mine at 4 channels' and 'mine at 8 channels' share kernel",
        ),
        (lambda w: {"mine": KernelSpec((w,) * (w // 4))}, "shapes (4,) and (8, 8) differ in rank"),
    ],
)
def test_what_a_branch_reads_is_nested_over_widths(monkeypatch, reads, says):
    monkeypatch.setitem(BODY, "mine", Grouped(reads))
    for width in (4, 8):
        SearchSpace((("id", "mine"),), ("u1",), width, 2)
    with pytest.raises(InputError) as error:
        SearchSpace((("id", "mine"),), ("u1",), (4, 8), 2)
    assert says in str(error.value)
