"""The latency table: planted costs come back, and a cached table is used only where it fits."""

import dataclasses
import importlib.metadata
import itertools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.model.branches import BODY, Branch
from dysr_jax.model.names import arch_name, parse_arch
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import (
    SearchSpace,
    arch_width,
    at_width,
    gene_counts,
    smallest_arch,
    uniform_space,
    validate_arch,
)
from dysr_jax.model.supernet import init_params
from dysr_jax.search import probing
from dysr_jax.search.latency import (
    LatencyTable,
    WidthTerms,
    branch_ms,
    fit_table,
    load_table,
    predict,
    save_table,
    table_key,
)
from dysr_jax.search.probing import device_table, drawn_archs, leave_one_out, measure_table, probes
from dysr_jax.version import package_version

PLANTED = {"id": 0.0, "s3": 0.25, "c3": 0.5, "r1": 1.0, "u1": 0.0, "u2": 0.125}
POWER = {name: number for number, name in enumerate(PLANTED)}


def mixed(*body, upsamplers=("u1", "u2"), widths=4):
    return SearchSpace(body, upsamplers, widths=widths, scale=2)


SPACE = uniform_space(slots=3, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))
ELASTIC = dataclasses.replace(SPACE, widths=(4, 8))
SPACES = {
    "the same everywhere": SPACE,
    "one upsampler": mixed(("id", "c3"), ("id", "c3"), upsamplers=("u2",)),
    "no choice": mixed(("c3",), ("id",), upsamplers=("u1",)),
    "other branches, the same cheapest": mixed(("id", "c3"), ("s3", "id", "r1"), ("id", "c3")),
    "another cheapest": mixed(("id", "c3"), ("s3", "r1")),
    "another cheapest, which the other slot offers too": mixed(("id", "s3", "c3"), ("s3", "c3")),
    "no identity": mixed(("s3", "c3"), ("c3", "r1")),
    "two widths": ELASTIC,
    "three widths, another cheapest": mixed(("id", "c3"), ("s3", "r1"), widths=(4, 6, 12)),
}
each_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def archs_of(space):
    return list(itertools.product(*map(range, gene_counts(space))))


def cost(space, arch, intercept):
    """At width 4; the wider the trunk, the more all terms cost, each by a power of its own."""
    factor = arch_width(space, arch) / 4
    names = (space.slots[slot][index] for slot, index in enumerate(arch[: len(space.slots)]))
    terms = (PLANTED[name] * factor ** (1 + 0.25 * POWER[name]) for name in names)
    return intercept * factor + sum(terms)


def planted_table(space, intercept):
    measured = {arch_name(space, arch): cost(space, arch, intercept) for arch in probes(space)}
    return fit_table(space, measured, {})


def names_taken(space, archs):
    return {
        (arch_width(space, arch), slot, names[index])
        for arch in archs
        for slot, (names, index) in enumerate(zip(space.slots, arch, strict=False))
    }


@each_space
def test_probes_cover_every_branch_of_every_slot(space):
    found = probes(space)
    assert found[0] == smallest_arch(space)
    assert len(set(found)) == len(found)
    assert [validate_arch(space, arch) for arch in found] == found
    assert names_taken(space, found) == names_taken(space, archs_of(space))


@pytest.mark.parametrize("intercept", [0.01, 10.0])
@each_space
def test_planted_costs_are_predicted_for_every_arch(space, intercept):
    archs = archs_of(space)
    found = predict(planted_table(space, intercept), space, jnp.asarray(archs, jnp.int32))
    expected = [cost(space, arch, intercept) for arch in archs]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_terms_are_the_planted_costs():
    (terms,) = planted_table(SPACE, 0.75).terms
    assert terms.intercept_ms == pytest.approx(0.75)
    assert terms.body_ms == pytest.approx({name: PLANTED[name] for name in ("s3", "c3", "r1")})
    assert terms.upsampler_ms == pytest.approx({"u2": 0.125})


def test_each_width_has_its_own_planted_terms():
    narrow, wide = planted_table(ELASTIC, 0.75).terms
    assert (narrow.width, wide.width) == (4, 8)
    assert (narrow.intercept_ms, wide.intercept_ms) == pytest.approx((0.75, 1.5))
    for terms, factor in ((narrow, 1), (wide, 2)):
        expected = {name: PLANTED[name] * factor ** (1 + 0.25 * POWER[name]) for name in ("s3", "c3", "r1")}
        assert terms.body_ms == pytest.approx(expected)
        assert terms.upsampler_ms == pytest.approx({"u2": 0.125 * factor**2.25})


def test_branches_are_costed_by_width():
    table = planted_table(ELASTIC, 0.75)
    for width in ELASTIC.widths:
        own = planted_table(at_width(ELASTIC, width), 0.75)
        np.testing.assert_allclose(branch_ms(table, ELASTIC, width), branch_ms(own, at_width(ELASTIC, width)))
    np.testing.assert_array_equal(branch_ms(table, ELASTIC), branch_ms(table, ELASTIC, 8))


def test_what_every_arch_pays_is_in_the_intercept():
    base = smallest_arch(SPACE)
    measured = {arch_name(SPACE, a): cost(SPACE, a, 0.0) + 3 * 0.5 for a in probes(SPACE)}
    found = predict(fit_table(SPACE, measured, {}), SPACE, jnp.asarray([base], jnp.int32))
    np.testing.assert_allclose(found, 1.5, rtol=1e-5)


def test_a_branch_that_measured_faster_than_none_costs_nothing():
    measured = {arch_name(SPACE, arch): cost(SPACE, arch, 2.0) for arch in probes(SPACE)}
    measured["3s3-u1"] = 1.0
    table = fit_table(SPACE, measured, {})
    (terms,) = table.terms
    assert terms.body_ms["s3"] == 0.0
    assert min(terms.body_ms.values()) >= 0 and min(terms.upsampler_ms.values()) >= 0
    assert_residuals_cancel(table, SPACE)


def assert_residuals_cancel(table, space):
    """The normal equation of a least-squares fit with an intercept above zero."""
    assert table.terms[0].intercept_ms > 0
    genes = jnp.asarray([parse_arch(space, name) for name in table.measured_ms], jnp.int32)
    measured = np.array(list(table.measured_ms.values()))
    relative = (np.asarray(predict(table, space, genes)) - measured) / measured
    # The normal equation of the intercept, whose column is 1 / measured.
    assert np.sum(relative / measured) == pytest.approx(0.0, abs=1e-5 * np.sum(1 / measured))


@pytest.mark.parametrize("space", [SPACE, ELASTIC], ids=["one width", "two"])
def test_predict_is_traceable(space):
    table, genes = planted_table(space, 1.0), np.asarray(archs_of(space)[:6], np.int32)
    traced = jax.jit(lambda g: predict(table, space, g))(jnp.asarray(genes))
    assert traced.shape == (6,)
    assert traced.dtype == predict(table, space, genes).dtype == jnp.float32
    np.testing.assert_allclose(traced, predict(table, space, genes))
    np.testing.assert_array_equal(
        predict(table, space, genes.reshape(2, 3, -1)).ravel(), predict(table, space, genes)
    )


# --- files ------------------------------------------------------------------------------------------

RECORDED = pathlib.Path(__file__).parents[2] / "experiments" / "results"
FRAME = (6, 8)
KEY = table_key(SPACE, "float32", FRAME)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "latency.json"
    save_table(path, dataclasses.replace(planted_table(SPACE, 1 / 3), key=KEY))
    return path


def edit(path, **fields):
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_save_and_load(saved):
    table = load_table(saved, KEY)
    expected = dataclasses.replace(planted_table(SPACE, 1 / 3), key=KEY, measured_at=table.measured_at)
    assert table == expected
    assert list(saved.parent.iterdir()) == [saved]


@pytest.mark.parametrize("name", KEY)
def test_a_table_for_something_else_is_refused(saved, name):
    with pytest.raises(InputError, match=f"is for {name} "):
        load_table(saved, {**KEY, name: "another"})


@pytest.mark.parametrize(
    ("space", "dtype", "frame"),
    [
        (SPACE, "bfloat16", FRAME),
        (SPACE, "float32", (8, 6)),
        (dataclasses.replace(SPACE, widths=8), "float32", FRAME),
        (ELASTIC, "float32", FRAME),
        (dataclasses.replace(SPACE, scale=3), "float32", FRAME),
        (dataclasses.replace(SPACE, body=SPACE.body[:2]), "float32", FRAME),
        (dataclasses.replace(SPACE, upsamplers=("u1",)), "float32", FRAME),
    ],
)
def test_the_key_tells_programs_apart(saved, space, dtype, frame):
    with pytest.raises(InputError, match="is for "):
        load_table(saved, table_key(space, dtype, frame))


@pytest.mark.parametrize("newer", [{}, {"unit": "us"}], ids=["same fields", "a new field"])
def test_another_format_is_refused_by_its_number(saved, newer):
    edit(saved, format_version=3, **newer)
    with pytest.raises(InputError, match="format 3; this version reads 1 to 2"):
        load_table(saved, KEY)


def test_a_table_of_version_1_is_one_of_one_width(saved):
    """As that version wrote it: the terms stand beside the key, which has the one width."""
    table, fields = load_table(saved, KEY), json.loads(saved.read_text())
    (own,), key = fields.pop("terms"), {name: value for name, value in KEY.items() if name != "widths"}
    width = own.pop("width")
    fields |= {"format_version": 1, "key": {**key, "width": width}, **own}
    saved.write_text(json.dumps(fields))
    assert load_table(saved, KEY) == load_table(saved) == table
    with pytest.raises(InputError, match=r"is for widths \[4\]; needed is \[4, 8\]"):
        load_table(saved, table_key(ELASTIC, "float32", FRAME))


def test_recorded_tables_of_version_1_are_read():
    for path in sorted(RECORDED.glob("latency_*.json")):
        fields, table = json.loads(path.read_text()), load_table(path)
        assert (fields["format_version"], table.key["widths"]) == (1, [fields["key"]["width"]])
        assert table.terms[0].body_ms == fields["body_ms"]


@pytest.mark.parametrize("place", range(3), ids=["none", "one", "another order"])
def test_a_table_without_the_terms_of_a_width_is_refused(saved, place):
    key = table_key(ELASTIC, "float32", FRAME)
    save_table(saved, dataclasses.replace(planted_table(ELASTIC, 0.5), key=key))
    terms = json.loads(saved.read_text())["terms"]
    assert len(load_table(saved, key).terms) == 2
    edit(saved, terms=[[], terms[:1], terms[::-1]][place])
    with pytest.raises(InputError, match="must have a finite time of at least 0 for each branch"):
        load_table(saved, key)


def test_a_width_without_the_time_of_a_branch_is_refused(saved):
    key = table_key(ELASTIC, "float32", FRAME)
    save_table(saved, dataclasses.replace(planted_table(ELASTIC, 0.5), key=key))
    narrow, wide = json.loads(saved.read_text())["terms"]
    del wide["body_ms"]["c3"]
    edit(saved, terms=[narrow, wide])
    with pytest.raises(InputError, match="must have a finite time of at least 0 for each branch"):
        load_table(saved, key)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"format_version": 1}', b"\xff\xfe", None],
    ids=["empty", "cut", "list", "null", "no fields", "binary", "missing"],
)
def test_a_damaged_file_is_refused(saved, content):
    if content is None:
        saved.unlink()
    else:
        saved.write_bytes(content)
    with pytest.raises(InputError, match="missing or damaged"):
        load_table(saved, KEY)


# --- this device's table ----------------------------------------------------------------------------

SMALL = uniform_space(slots=1, widths=4, scale=2, branches=("id", "c3"), upsamplers=("u1",))
NET = make_supernet(SMALL, "float32")


@pytest.fixture
def measurements(monkeypatch, tmp_path):
    """An empty cache, and the frames that were measured instead of measuring them."""
    frames = []

    def measure(net, params, frame, rounds, *, drawn, backend):
        frames.append(frame)
        key = table_key(net.space, "float32", frame)
        return LatencyTable(key, (WidthTerms(4, float(len(frames)), {"c3": 1.0}, {}),), {}, "now")

    monkeypatch.setenv("DYSR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(probing, "measure_table", measure)
    return frames


def test_a_table_is_measured_once(measurements):
    first, measured = device_table(NET, {}, FRAME, 3)
    assert measured
    assert device_table(NET, {}, FRAME, 3) == (first, False)
    assert measurements == [FRAME]


def test_remeasure_measures_and_replaces(measurements):
    first, _ = device_table(NET, {}, FRAME, 3)
    second, measured = device_table(NET, {}, FRAME, 3, remeasure=True)
    assert measured
    assert second != first
    assert device_table(NET, {}, FRAME, 3) == (second, False)


def test_another_frame_has_its_own_table(measurements):
    first, _ = device_table(NET, {}, FRAME, 3)
    assert device_table(NET, {}, (8, 6), 3)[1]
    assert device_table(NET, {}, FRAME, 3) == (first, False)


def test_a_cache_that_cannot_be_written_costs_a_measurement(measurements, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DYSR_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert [device_table(NET, {}, FRAME, 3)[1] for _ in range(2)] == [True, True]


def test_a_damaged_cache_is_measured_again(measurements, tmp_path):
    device_table(NET, {}, FRAME, 3)
    (file,) = (tmp_path / "cache").rglob("*.json")
    file.write_text(file.read_text()[:-20])
    table, measured = device_table(NET, {}, FRAME, 3)
    assert measured
    assert device_table(NET, {}, FRAME, 3) == (table, False)


def test_measure_table_times_the_probes():
    table = measure_table(NET, init_params(jax.random.key(0), SMALL), FRAME, rounds=2)
    assert table.key == table_key(SMALL, "float32", FRAME)
    assert list(table.measured_ms) == ["id-u1", "c3-u1"]
    assert min(table.measured_ms.values()) > 0
    assert_residuals_cancel(table, SMALL)


# --- random archs, and how well the table predicts them ----------------------------------------------


def test_drawn_archs_are_distinct_and_from_all_over_the_range():
    space = uniform_space(slots=16, widths=4, scale=2)
    archs = drawn_archs(jax.random.key(0), space, 40)
    assert len({*archs}) == 40
    works = np.sum(np.asarray(archs)[:, :-1] != smallest_arch(space)[0], 1)
    assert works.min() <= 3
    assert works.max() >= 13


def test_drawn_archs_are_of_all_widths_and_cheap_ones_keep_theirs():
    space = uniform_space(slots=16, widths=(3, 4, 8), scale=2, branches=("s5", "c3"))
    archs = drawn_archs(jax.random.key(0), space, 60)
    widths = [arch_width(space, arch) for arch in archs]
    assert min(map(widths.count, space.widths)) >= 10
    # At 3 channels the convolution is the cheaper one of the two.
    assert [smallest_arch(space, width)[0] for width in space.widths] == [1, 0, 0]
    for width in space.widths:
        own = np.array([arch for arch, w in zip(archs, widths, strict=True) if w == width])
        works = np.sum(own[:, :16] != smallest_arch(space, width)[0], 1)
        assert works.min() <= 4 and works.max() <= 14


def test_a_small_space_gives_the_archs_it_has():
    archs = drawn_archs(jax.random.key(0), SMALL, 40)
    assert sorted(archs) == [(0, 0), (1, 0)]


def test_random_archs_join_the_fit(monkeypatch):
    seen = []

    def measure(net, params, archs, frame, rounds, **backend):
        seen.extend(archs)
        return {arch_name(SPACE, arch): cost(SPACE, arch, 0.5) for arch in archs}

    monkeypatch.setattr(probing, "measure_archs", measure)
    table = measure_table(make_supernet(SPACE, "float32"), {}, FRAME, 2, drawn=9)
    assert seen[: len(probes(SPACE))] == probes(SPACE)
    assert len(seen) == len({*seen}) > len(probes(SPACE))
    assert table.terms[0].body_ms == pytest.approx({"s3": 0.25, "c3": 0.5, "r1": 1.0}, abs=1e-6)


def table_of(space, archs, noise=0.0):
    factors = 1 + noise * np.random.default_rng(0).choice([-1, 1], len(archs))
    measured = {
        arch_name(space, arch): cost(space, arch, 0.5) * factor
        for arch, factor in zip(archs, factors, strict=True)
    }
    return fit_table(space, measured, {"frame": list(FRAME)})


@pytest.mark.parametrize("space", [SPACE, ELASTIC], ids=["one width", "two"])
def test_leave_one_out_predicts_random_archs_from_the_others(space):
    archs = dict.fromkeys([*probes(space), *drawn_archs(jax.random.key(1), space, 30)])
    found = leave_one_out(table_of(space, list(archs)), space)
    assert not {*found.archs} & {arch_name(space, arch) for arch in probes(space)}
    assert len(found.archs) == len(archs) - len(probes(space)) > 20
    np.testing.assert_allclose(found.predicted_ms, found.measured_ms, rtol=1e-5)
    assert found.mean_error < 1e-5


def test_leave_one_out_does_not_see_the_arch_that_it_predicts():
    """One arch that takes ten times as long as its branches say: no fit without it can know."""
    archs = list(dict.fromkeys([*probes(SPACE), *drawn_archs(jax.random.key(1), SPACE, 30)]))
    table = table_of(SPACE, archs)
    slow = arch_name(SPACE, archs[-1])
    table = dataclasses.replace(table, measured_ms={**table.measured_ms, slow: 10 * table.measured_ms[slow]})
    found = leave_one_out(table, SPACE)
    place = found.archs.index(slow)
    assert found.predicted_ms[place] == pytest.approx(cost(SPACE, archs[-1], 0.5), rel=1e-4)
    assert found.measured_ms[place] == pytest.approx(10 * cost(SPACE, archs[-1], 0.5))


def test_noise_shows_in_the_fidelity():
    archs = list(dict.fromkeys([*probes(SPACE), *drawn_archs(jax.random.key(1), SPACE, 30)]))
    found = leave_one_out(table_of(SPACE, archs, noise=0.3), SPACE)
    assert found.kendall_tau < 0.9
    assert 0.15 < found.mean_error < 0.5


def test_a_table_of_probes_alone_cannot_be_checked():
    with pytest.raises(InputError, match=r"random archs must be at least 2 to be checked, got 0"):
        leave_one_out(planted_table(SPACE, 0.5), SPACE)


# --- what a table is kept for: the code of the branches ----------------------------------------------


class Own(Branch):
    """A user's branch: what it computes stands in another function."""

    def __init__(self, function):
        self.function = function

    def reads(self, width, scale):
        return {}

    def __call__(self, kernels, x, layers):
        return self.function(x)


def closure(constant):
    return lambda x: x * constant


def calls_first(x):
    return jnp.sin(x)


def calls_second(x):
    return jnp.cos(x)


@pytest.mark.parametrize(
    ("first", "second"),
    [(calls_first, calls_second), (closure(2.0), closure(3.0)), (lambda x: x + 1, lambda x: x - 1)],
)
def test_branches_that_differ_have_tables_of_their_own(measurements, monkeypatch, first, second):
    monkeypatch.setitem(BODY, "c3", Own(first))
    table, _ = device_table(NET, {}, FRAME, 3)
    assert device_table(NET, {}, FRAME, 3) == (table, False)
    monkeypatch.setitem(BODY, "c3", Own(second))
    other, measured = device_table(NET, {}, FRAME, 3)
    assert measured
    assert other != table
    monkeypatch.setitem(BODY, "c3", Own(first))
    assert device_table(NET, {}, FRAME, 3) == (table, False)


def test_no_metadata_of_packages_is_needed(measurements, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert package_version() == "unknown"
    assert device_table(NET, {}, FRAME, 3)[1]


def test_a_table_can_be_a_key(measurements):
    table, _ = device_table(NET, {}, FRAME, 3)
    same = dataclasses.replace(table)
    assert {table: 1}[same] == 1
    (own,) = table.terms
    more = dataclasses.replace(own, intercept_ms=own.intercept_ms + 1)
    assert table != dataclasses.replace(table, terms=(more,))
