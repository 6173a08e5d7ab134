"""Expected quality under a load: by hand, and the choice of members against all subsets."""

import dataclasses
import itertools
import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from dysr_jax.errors import InputError
from dysr_jax.model.space import uniform_space
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.load import Load, expected_psnr_y, frames_load, read_load
from dysr_jax.search.select import choose_members, describe_load

SPACE = uniform_space(slots=3, widths=4, scale=2, branches=("id", "c3"), upsamplers=("u1",))
ARCHS = [(*genes, 0) for genes in itertools.product(range(2), repeat=3)]
LOAD = [[1, 0.5], [2, 0.25], [4.0, 0.25]]


@pytest.fixture
def written(tmp_path):
    def write(content):
        path = tmp_path / "load.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def test_by_hand():
    """At 50 frames per second 20, 10 and 5 ms at rest are on time."""
    load = Load(*np.array(LOAD).T)
    assert expected_psnr_y([4, 9, 19], [30, 31, 33], load, 50) == pytest.approx(16.5 + 31 / 4 + 30 / 4)
    assert expected_psnr_y([6, 9, 21], [30, 31, 33], load, 50) == pytest.approx(31 / 2 + 31 / 4)
    assert expected_psnr_y([21], [30], load, 50) == 0


def test_a_list_is_read(written):
    load = read_load(written(LOAD))
    np.testing.assert_array_equal(load.slowdown, [1, 2, 4])
    np.testing.assert_array_equal(load.probability, [0.5, 0.25, 0.25])


def test_a_recorded_stream_is_read(written):
    """A frame that was faster than at rest counts as at rest."""
    trace = {"frame_ms": [4.0, 3.0, 30.0, 15.0], "member": ["a", "a", "b", "b"]}
    steady = {
        "members": [{"name": "a", "frame_ms": 4.0}, {"name": "b", "frame_ms": 10.0}],
        "strategies": [{"name": "fixed largest", "trace": {}}, {"name": "adaptive", "trace": trace}],
    }
    load = read_load(written(steady))
    np.testing.assert_allclose(load.slowdown, [1, 1, 3, 1.5])
    np.testing.assert_allclose(load.probability, 0.25)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[", "must be a JSON file"),
        ([], "one or more"),
        ([1, 2], "a list of"),
        ([["a", 1]], "a list of"),
        ([[1, 0.5, 2]], "a list of"),
        ({"members": []}, "a list of"),
        (3, "a list of"),
        ([[0.5, 1]], "at least 1"),
        ([[float("nan"), 1]], "at least 1"),
        ([[1, 0.5], [2, 0.4]], "sum to 1, got 0.9"),
        ([[1, 1.5], [2, -0.5]], "at least 0"),
        ([[1, float("nan")]], "sum to 1"),
    ],
)
def test_what_is_no_distribution_is_refused(written, content, says):
    path = written(content)
    with pytest.raises(InputError) as error:
        read_load(path)
    assert str(error.value).startswith(f"search.for_load {path!r}: ")
    assert says in str(error.value)


def test_frames_are_a_load():
    load = frames_load([0.5, 3.0])
    np.testing.assert_array_equal(load, [[1.0, 3.0], [0.5, 0.5]])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"search\.for_load"):
        read_load(str(tmp_path / "none.json"))


@pytest.mark.parametrize("given", [{"fps": 30.0}, {"for_load": "load.json"}])
def test_a_load_needs_a_rate(given):
    with pytest.raises(InputError, match=r"search\.fps"):
        SearchConfig(**given)


shares = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@given(
    st.lists(st.integers(1, 40), min_size=8, max_size=8, unique=True), shares, st.integers(2, 4), st.data()
)
@settings(max_examples=50)
def test_no_subset_is_worth_more(tmp_path_factory, ms, weights, members, data):
    """Of the same size, with the fastest arch; where switches cost nothing."""
    slowdown = [data.draw(st.sampled_from([1.0, 1.5, 2.0, 3.0, 5.0])) for _ in weights]
    load = [[s, w / sum(weights)] for s, w in zip(slowdown, weights, strict=True)]
    path = tmp_path_factory.getbasetemp() / "load.json"
    path.write_text(json.dumps(load))
    figures = zip(ARCHS, np.arange(30, 38), sorted(ms), strict=True)
    records = [Record("", arch, float(q), float(t), 0, 1.0) for arch, q, t in figures]
    config = SearchConfig(members=members, switch_cost_weight=0.0, for_load=str(path), fps=40.0)
    chosen = choose_members(SPACE, records, config)
    assert 2 <= len(chosen) <= members
    assert chosen[0] == records[0].arch

    def worth(some):
        rows = [[r.latency_ms, r.psnr_y] for r in some]
        return expected_psnr_y(*np.array(rows).T, read_load(str(path)), 40.0)

    best = max(worth([records[0], *rest]) for rest in itertools.combinations(records[1:], members - 1))
    assert worth([r for r in records if r.arch in chosen]) == pytest.approx(best)


def test_the_choice_is_told_beside_today_s(written):
    figures = zip(
        ARCHS, [30, 33, 33.5, 33.9, 34, 34.1, 34.2, 34.3], [4, 9, 12, 14, 16, 30, 40, 50], strict=True
    )
    records = [Record("", arch, float(q), float(t), 0, 1.0) for arch, q, t in figures]
    config = SearchConfig(members=3, for_load=written(LOAD), fps=50.0)
    archs = choose_members(SPACE, records, config)
    assert {r.latency_ms for r in records if r.arch in archs} == {4.0, 9.0, 16.0}
    told = describe_load(SPACE, records, config, archs)
    assert told.startswith("expected PSNR-Y of on-time frames at 50 frames per second: 32.750 dB; of members")
    plain = dataclasses.replace(config, for_load=None, fps=None)
    assert describe_load(SPACE, records, plain, archs) == ""
