"""The saved state of a search: exact, whole, and of this search or none."""

import dataclasses

import jax
import numpy as np
import pytest

from dysr_jax.model.space import to_archs, uniform_space
from dysr_jax.search import loop as resume
from dysr_jax.search import nsga2
from dysr_jax.search.archive import Archive, Record
from dysr_jax.search.config import SearchConfig, judge
from dysr_jax.search.loop import Saved

SPACE = uniform_space(slots=2, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))
OPERATORS = nsga2.Operators(SPACE)
CONFIG = SearchConfig(population=6, generations=5, max_latency_ms=4.0)


def fresh(population=6, objectives=2, seed=0, impl=None):
    return nsga2.init(jax.random.key(seed, impl=impl), OPERATORS, population, objectives)


def records_of(archs):
    figures = [(20.0 + sum(arch), 1.0 + arch[0]) for arch in archs]
    return [Record("", arch, *each, 0, 0.1) for arch, each in zip(archs, figures, strict=True)]


@pytest.fixture(scope="module")
def state():
    start = fresh()
    records = records_of(to_archs(SPACE, start.genes))
    told, _ = nsga2.tell(start, start.genes, *judge(SPACE, records, CONFIG))
    return nsga2.ask(told, OPERATORS)[1]


@pytest.fixture
def archive(tmp_path, state):
    found = Archive(tmp_path / "archive.jsonl")
    found.append(records_of(to_archs(SPACE, state.genes)))
    return found


@pytest.fixture
def path(tmp_path, state):
    resume.save(tmp_path, Saved(state, 3, 6))
    return tmp_path / resume.FILE


def test_a_state_comes_back_and_goes_on_alike(path, state):
    found = resume.load(path.parent, fresh(seed=1))
    assert (found.generations, found.evaluated) == (3, 6)
    for name in ("genes", "objectives", "violation", "rank", "crowding"):
        np.testing.assert_array_equal(getattr(found.state, name), getattr(state, name))
    children, _ = nsga2.ask(found.state, OPERATORS)
    np.testing.assert_array_equal(children, nsga2.ask(state, OPERATORS)[0])
    assert list(path.parent.iterdir()) == [path]


def test_no_file_is_no_state(tmp_path):
    assert resume.load(tmp_path, fresh()) is None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_file_cut_short_is_no_state(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert resume.load(path.parent, fresh()) is None


def test_no_flipped_bit_is_believed(path):
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(content), 50):
        damaged = bytearray(content)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        assert resume.load(path.parent, fresh()) is None


@pytest.mark.parametrize("content", [b"", b"\x80", b"null", b"\x00" * 99])
def test_what_is_no_state_at_all(path, content):
    path.write_bytes(content)
    assert resume.load(path.parent, fresh()) is None


@pytest.mark.parametrize("other", [{"population": 7}, {"objectives": 3}, {"impl": "rbg"}])
def test_a_state_of_another_shape_is_not_taken(path, other):
    assert resume.load(path.parent, fresh()) is not None
    assert resume.load(path.parent, fresh(**other)) is None


def test_a_state_belongs_to_its_archive(path, archive, state):
    saved = Saved(state, 3, 6)
    assert resume.belongs(saved, SPACE, archive, CONFIG)
    assert not resume.belongs(saved._replace(evaluated=7), SPACE, archive, CONFIG)
    assert not resume.belongs(saved._replace(generations=6), SPACE, archive, CONFIG)
    empty = Archive(path.parent / "other.jsonl")
    assert not resume.belongs(saved._replace(evaluated=0), SPACE, empty, CONFIG)


@pytest.mark.parametrize(
    "other", [{"objectives": ("latency_ms", "psnr_y")}, {"max_latency_ms": 2.0}, {"min_psnr_y": 30.0}]
)
def test_a_state_that_was_judged_otherwise_does_not_belong(archive, state, other):
    config = dataclasses.replace(CONFIG, **other)
    assert not resume.belongs(Saved(state, 3, 6), SPACE, archive, config)
