"""The choice among children: who is predicted how, who is taken, and what is never taken."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from scipy.stats import kendalltau

from dysr_jax import parallel
from dysr_jax.aot import count_compilations
from dysr_jax.errors import InputError
from dysr_jax.model import gene_counts, make_supernet, space_size, to_archs, uniform_space
from dysr_jax.search import loop, nsga2, pareto, surrogate
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig, judge
from dysr_jax.search.latency import LatencyTable, WidthTerms, predict, table_terms

SPACE = uniform_space(slots=3, widths=(4, 8), scale=2, branches=("id", "s3", "c3", "r1"))
TABLE = LatencyTable(
    {},
    tuple(
        WidthTerms(w, 0.1 * w, {"s3": 0.03 * w, "c3": 0.05 * w, "r1": 0.1 * w}, {"u2": 0.2}) for w in (4, 8)
    ),
    {},
    "",
)
LATENCY = table_terms(TABLE, SPACE)
OPERATORS = nsga2.Operators(SPACE)
CONFIG = SearchConfig(population=16, generations=6, patches=1, patch=8)
SURROGATES = ("additive", "mlp")
each_surrogate = pytest.mark.parametrize("name", SURROGATES)
COLUMNS = sum(gene_counts(SPACE))


def quality_of(genes):
    """A sum of scores, and what two neighbours do to each other."""
    rows = np.asarray(genes, float)
    return 20 + rows @ [1.0, 0.8, 0.6, 0.4, 0.7] - 0.25 * rows[:, 0] * rows[:, 1]


def records_of(genes, generation=0):
    figures = zip(quality_of(genes).tolist(), predict(TABLE, SPACE, np.asarray(genes)).tolist(), strict=True)
    return [
        Record("", arch, *each, generation, 0.1)
        for arch, each in zip(to_archs(SPACE, genes), figures, strict=True)
    ]


def every_arch():
    return np.indices(gene_counts(SPACE)).reshape(len(gene_counts(SPACE)), -1).T.astype(np.int32)


def drawn(count, seed=0):
    return np.random.default_rng(seed).permutation(every_arch())[:count]


@pytest.fixture(scope="module")
def told():
    """A population that was told, and all that was evaluated for it."""
    state = nsga2.init(jax.random.key(0), OPERATORS, CONFIG.population)
    known = records_of(state.genes)
    state, _ = nsga2.tell(state, state.genes, *judge(SPACE, known, CONFIG))
    return state, [*{r.arch: r for r in [*known, *records_of(drawn(COLUMNS))]}.values()]


def asked_for(told, key=0, **fields):
    config = dataclasses.replace(CONFIG, **fields)
    return surrogate.ask(jax.random.key(key), told[0], OPERATORS, config, LATENCY, told[1])


# --- prediction -------------------------------------------------------------------------------------


@each_surrogate
def test_a_surrogate_ranks_what_it_has_not_seen(name):
    genes = drawn(space_size(SPACE))
    config = dataclasses.replace(CONFIG, surrogate=name)
    found = surrogate.predict(jax.random.key(0), config, SPACE, records_of(genes[:60]), genes[60:])
    assert kendalltau(found.psnr_y, quality_of(genes[60:])).statistic > 0.75
    assert np.all(np.isfinite(found.doubt)) and found.doubt.min() >= 0


def test_mlps_learn_what_the_sum_leaves():
    genes = drawn(space_size(SPACE))
    error = {}
    for name in SURROGATES:
        config = dataclasses.replace(CONFIG, surrogate=name)
        found = surrogate.predict(jax.random.key(0), config, SPACE, records_of(genes[:90]), genes[90:])
        error[name] = np.abs(found.psnr_y - quality_of(genes[90:])).mean()
    assert error["mlp"] < 0.8 * error["additive"]


def test_mlps_compile_once_for_a_search():
    config = dataclasses.replace(CONFIG, surrogate="mlp")
    surrogate.predict(jax.random.key(0), config, SPACE, records_of(drawn(20)), drawn(64, 1))
    with count_compilations() as compilations:
        for count in (40, 90):
            surrogate.predict(jax.random.key(count), config, SPACE, records_of(drawn(count)), drawn(64, 2))
    assert compilations.value == 0


def test_rows_after_the_count_are_never_learned():
    x = np.random.default_rng(0).random((32, 5)).astype(np.float32)
    y = x.sum(1)
    key, count = jax.random.key(0), np.int32(20)
    found = surrogate._fit_predict(key, x, y, count, x)
    x[20:], y[20:] = 1e9, -1e9
    again = surrogate._fit_predict(key, x, y, count, x[:20].repeat(2, 0)[:32])
    np.testing.assert_array_equal(np.asarray(found[0])[:16], np.asarray(again[0])[:32:2])


# --- the choice -------------------------------------------------------------------------------------


def test_fronts_come_first_and_doubt_last():
    rng = np.random.default_rng(0)
    values, doubt = rng.random((64, 2)).astype(np.float32), rng.random(64)
    allowed = rng.random(64) < 0.8
    rows = surrogate.choose(values, np.zeros(64, np.float32), doubt, allowed, 16)
    assert len(rows) == len(set(rows.tolist())) == 16
    assert np.all(allowed[rows])
    doubted = int(surrogate.DOUBTED * 16)
    others = np.setdiff1d(np.flatnonzero(allowed), rows[:-doubted])
    assert set(rows[-doubted:].tolist()) == set(others[np.argsort(-doubt[others])[:doubted]].tolist())
    front = np.intersect1d(pareto.nondominated(values), np.flatnonzero(allowed))
    assert set(front.tolist()) <= set(rows[:-doubted].tolist())


def test_fewer_than_wanted_are_all_taken():
    allowed = np.arange(8) < 3
    rows = surrogate.choose(np.eye(8, 2, dtype=np.float32), np.zeros(8), np.arange(8.0), allowed, 6)
    assert sorted(rows.tolist()) == [0, 1, 2]


@each_surrogate
@pytest.mark.parametrize("seed", range(3))
def test_only_new_distinct_archs_are_asked_for(told, name, seed):
    asked = asked_for(told, seed, surrogate=name)
    archs = to_archs(SPACE, asked.genes)
    assert len(archs) == len(set(archs)) == len(asked.predicted) == CONFIG.population
    assert set(asked.predicted) == set(archs)
    assert not set(archs) & {record.arch for record in told[1]}
    assert asked.note == ""


@each_surrogate
def test_key_and_records_decide(told, name):
    first, again = (asked_for(told, surrogate=name) for _ in range(2))
    np.testing.assert_array_equal(first.genes, again.genes)
    assert first.predicted == again.predicted


@each_surrogate
def test_the_chosen_are_better_than_plain_children(told, name):
    def score(genes):
        """How many of all archs dominate each, on the average."""
        rows, every = (judge(SPACE, records_of(g), CONFIG)[0] for g in (genes, every_arch()))
        better = np.all(every[:, None] <= rows, 2) & np.any(every[:, None] < rows, 2)
        return better.sum(0).mean()

    best = int((1 - surrogate.DOUBTED) * CONFIG.population)
    assert score(asked_for(told, surrogate=name).genes[:best]) < 0.8 * score(asked_for(told).genes)


@each_surrogate
def test_a_bound_is_predicted_too(told, name):
    bound = float(np.median(predict(TABLE, SPACE, every_arch())))
    asked = asked_for(told, surrogate=name, max_latency_ms=bound)
    doubted = int(surrogate.DOUBTED * CONFIG.population)
    assert predict(TABLE, SPACE, np.asarray(asked.genes))[:-doubted].max() <= bound


def test_an_exhausted_space_asks_for_known_archs_alone(told):
    state, _ = told
    asked = asked_for((state, records_of(every_arch())), surrogate="mlp")
    assert asked.predicted == {}
    np.testing.assert_array_equal(asked.genes, state.genes)


@each_surrogate
def test_too_few_records_are_plain_children(told, name):
    few = told[0], told[1][: COLUMNS - 1]
    asked, plain = asked_for(few, surrogate=name), asked_for(few)
    np.testing.assert_array_equal(asked.genes, plain.genes)
    assert f"surrogate {name}" in asked.note and str(COLUMNS) in asked.note
    assert (plain.note, asked.predicted) == ("", {})


# --- how well it ranks ------------------------------------------------------------------------------


def test_tau_is_that_of_scipy():
    rng = np.random.default_rng(0)
    measured, predicted = rng.random((2, 20))
    records = [Record("", (i,), measured[i], 1.0, 0, 0.1, predicted[i]) for i in range(20)]
    other = Record("", (99,), 1e9, 1.0, 0, 0.1)
    assert surrogate.tau([*records, other]) == kendalltau(predicted, measured).statistic
    assert surrogate.taus([*records, other._replace(generation=1)]) == {0: surrogate.tau(records)}


@pytest.mark.parametrize("predicted", [(), (1.0,), (1.0, 1.0), (None, None)])
def test_no_order_has_no_tau(predicted):
    records = [Record("", (i,), float(i), 1.0, 0, 0.1, value) for i, value in enumerate(predicted)]
    assert surrogate.tau(records) is None


# --- in the loop ------------------------------------------------------------------------------------


class Formula:
    """`quality_of` in place of the evaluator."""

    def prepare(self, params, genes):
        pass

    def __call__(self, params, genes):
        return quality_of(genes)


def run(folder, monkeypatch, *, write=True, **fields):
    monkeypatch.setattr(loop, "Evaluator", lambda *_, **__: Formula())
    config, mesh = dataclasses.replace(CONFIG, **fields), parallel.device_mesh(1)
    folder.mkdir(exist_ok=True)
    net = make_supernet(SPACE, "float32")
    return loop.search(jax.random.key(0), net, {}, None, TABLE, config, mesh, folder, write=write)


@each_surrogate
def test_the_archive_says_what_was_predicted(tmp_path, monkeypatch, capsys, name):
    archive = run(tmp_path, monkeypatch, surrogate=name, population=COLUMNS - 2)
    shown = capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "archive.jsonl").read_text().splitlines()]
    told = [line.get("predicted_psnr_y") for line in lines]
    assert [record.predicted_psnr_y for record in archive.records.values()] == told
    first = [line["generation"] for line in lines if "predicted_psnr_y" in line]
    assert min(first) == 2
    taus = surrogate.taus([*archive.records.values()])
    assert list(taus) == sorted(set(first))
    assert shown.count("plain children") == 1
    assert f"tau={list(taus.values())[-1]:.2f}" in shown


def test_who_does_not_write_says_nothing_and_chooses_the_same(tmp_path, monkeypatch, capsys):
    writer = run(tmp_path / "a", monkeypatch, surrogate="mlp")
    capsys.readouterr()
    reader = run(tmp_path / "b", monkeypatch, surrogate="mlp", write=False)
    assert list(reader.records) == list(writer.records)
    assert capsys.readouterr().err == ""


def test_no_surrogate_leaves_no_trace(tmp_path, monkeypatch):
    run(tmp_path, monkeypatch)
    assert "predicted" not in (tmp_path / "archive.jsonl").read_text()


def test_the_additive_method_evaluates_a_sample_and_its_fronts(tmp_path, monkeypatch):
    archive = run(tmp_path, monkeypatch, method="additive")
    plain = run(tmp_path / "plain", monkeypatch)
    records = [*archive.records.values()]
    assert records[: CONFIG.population] == [
        r._replace(seconds=records[i].seconds)
        for i, r in enumerate([*plain.records.values()][: CONFIG.population])
    ]
    assert CONFIG.population < len(records) <= CONFIG.population * CONFIG.generations
    points = -judge(SPACE, records, CONFIG)[0], -judge(SPACE, records_of(every_arch()), CONFIG)[0]
    corner = points[1].min(0) - 1e-3
    seen, whole = (pareto.hypervolume(-each, -corner) for each in points)
    assert seen > 0.9 * whole


# --- the config -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"proposals": 1}, r"^search\.proposals must be at least 2, got 1$"),
        ({"surrogate": "tree"}, r"^search\.surrogate: 'tree' is not one of none, additive, mlp"),
        ({"method": "random"}, r"^search\.method: 'random' is not one of nsga2, additive"),
        (
            {"method": "additive", "objectives": ("psnr_y", "latency_ms", "params")},
            r"^search\.objectives \('psnr_y', 'latency_ms', 'params'\): must be psnr_y and latency_ms with ",
        ),
        ({"method": "additive", "surrogate": "mlp"}, r"^search\.surrogate 'mlp': must be none with "),
        (
            {"surrogate": "mlp", "population": 1000, "proposals": 17},
            r"^search\.proposals must be at most 16 with search\.population 1000, got 17$",
        ),
    ],
)
def test_what_cannot_be_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(CONFIG, **fields)


def test_proposals_count_only_with_a_surrogate():
    assert dataclasses.replace(CONFIG, population=16_384).surrogate == "none"
