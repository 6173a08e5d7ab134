"""The search loop: nothing evaluated twice, the key decides, a killed search ends the same."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax import parallel
from dysr_jax.bench.front import evaluate_space
from dysr_jax.errors import InputError
from dysr_jax.model.names import arch_name
from dysr_jax.model.programs import frame_program, make_supernet
from dysr_jax.model.space import SearchSpace, largest_arch, space_size, to_archs, uniform_space
from dysr_jax.results import front_hypervolume, quality_points
from dysr_jax.search import loop, nsga2
from dysr_jax.search import loop as resume
from dysr_jax.search.archive import Archive, Record, candidates_per_second
from dysr_jax.search.clock import CLOCK_FILE, Laps
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.evaluator import Evaluator
from dysr_jax.search.latency import LatencyTable, WidthTerms, predict
from dysr_jax.search.loop import search
from dysr_jax.search.population import Patches
from dysr_jax.search.select import front_records

SPACE = uniform_space(slots=2, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))
NET = make_supernet(SPACE, "float32")
TERMS = WidthTerms(4, 0.5, {"s3": 0.25, "c3": 0.5, "r1": 1.0}, {"u2": 0.125})
TABLE = LatencyTable({}, (TERMS,), {}, "")
CONFIG = SearchConfig(population=6, generations=5, patches=2, patch=8, frame=(8, 8), rounds=1)
FILE = "archive.jsonl"


@pytest.fixture(scope="module")
def problem(noisy_params):
    """Weights, patches and mesh; noise on the weights, so that archs differ in quality."""
    lr = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    hr = lr.repeat(2, 1).repeat(2, 2)
    patches = Patches(lr=jnp.asarray(lr), hr=jnp.asarray(hr), image=jnp.asarray([0, 1]))
    return noisy_params(SPACE), patches, parallel.device_mesh(2)


@pytest.fixture(scope="module")
def evaluate(problem):
    """The real evaluator, compiled once for all searches of this file."""
    _, patches, mesh = problem
    return Evaluator(NET, patches, mesh)


@pytest.fixture
def dispatches(monkeypatch, evaluate):
    """The set of archs of every dispatch."""
    seen = []

    class Spy:
        prepare = staticmethod(evaluate.prepare)

        def __call__(self, params, genes):
            seen.append(set(to_archs(SPACE, genes)))
            return evaluate(params, genes)

    monkeypatch.setattr(loop, "Evaluator", lambda net, patches, mesh, costs, clock: Spy())
    return seen


def run_search(problem, folder, seed=0, config=CONFIG, net=NET):
    params, patches, mesh = problem
    key = jax.random.key(seed)
    return search(key, net, params, patches, TABLE, config, mesh, folder)


def content(folder):
    """The archive's lines without the time they took."""
    lines = [json.loads(line) for line in (folder / FILE).read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def finished(problem, tmp_path_factory):
    """The folder of an uninterrupted search, by the evaluator that the loop makes itself."""
    folder = tmp_path_factory.mktemp("finished")
    run_search(problem, folder)
    return folder


def archs_of(lines):
    return [tuple(line["arch"]) for line in lines]


def test_no_arch_is_evaluated_twice(problem, tmp_path, dispatches):
    archive = run_search(problem, tmp_path)
    archs = archs_of(content(tmp_path))
    assert CONFIG.population < len(archs) == len(set(archs)) <= space_size(SPACE)
    assert list(archive.records) == archs
    assert sum(map(len, dispatches)) == len(archs)
    assert set.union(*dispatches) == set(archs)


def test_records_hold_what_evaluator_and_table_say(problem, finished, evaluate):
    lines = content(finished)
    genes = np.asarray(archs_of(lines), np.int32)
    quality = [line["psnr_y"] for line in lines]
    assert np.ptp(quality) > 0.1
    np.testing.assert_allclose(quality, evaluate(problem[0], genes), atol=1e-4)
    np.testing.assert_allclose(
        [line["latency_ms"] for line in lines], predict(TABLE, SPACE, genes), rtol=1e-6
    )
    assert [line["name"] for line in lines] == [arch_name(SPACE, a) for a in archs_of(lines)]
    generations = [line["generation"] for line in lines]
    assert generations == sorted(generations)
    assert generations.count(0) == CONFIG.population
    assert generations[-1] < CONFIG.generations


def test_the_key_decides_the_candidates(problem, finished, tmp_path, dispatches):
    (tmp_path / "same").mkdir()
    (tmp_path / "other").mkdir()
    run_search(problem, tmp_path / "same")
    run_search(problem, tmp_path / "other", seed=1)
    assert content(tmp_path / "same") == content(finished)
    assert archs_of(content(tmp_path / "other")) != archs_of(content(finished))


# Killed before the first line was whole, within the first generation, between two, and later.
@pytest.mark.parametrize("whole", [0, 2, 6, 11])
def test_a_killed_search_evaluates_what_is_missing(problem, finished, tmp_path, dispatches, whole):
    lines = (finished / FILE).read_text().splitlines(keepends=True)
    assert whole < len(lines)
    half = lines[whole][: len(lines[whole]) // 2]
    (tmp_path / FILE).write_text("".join(lines[:whole]) + half)
    run_search(problem, tmp_path)
    expected = content(finished)
    assert content(tmp_path) == expected
    missing = archs_of(expected)[whole:]
    assert set.union(*dispatches) == set(missing)
    assert sum(map(len, dispatches)) == len(missing)


def test_a_finished_search_evaluates_nothing(problem, finished, tmp_path, dispatches):
    (tmp_path / FILE).write_bytes((finished / FILE).read_bytes())
    run_search(problem, tmp_path)
    assert dispatches == []
    assert (tmp_path / FILE).read_bytes() == (finished / FILE).read_bytes()


def test_a_population_as_large_as_the_space(problem, tmp_path, monkeypatch):
    small = SearchSpace((("id",), ("id", "s3", "c3")), ("u1", "u2"), widths=4, scale=2)

    class Sum:
        prepare = staticmethod(lambda _params, _genes: None)

        def __call__(self, _, genes):
            return genes.sum(1).astype(float)

    monkeypatch.setattr(loop, "Evaluator", lambda *_, **__: Sum())
    assert space_size(small) == CONFIG.population
    archive = run_search(problem, tmp_path, net=make_supernet(small, "float32"))
    assert len(archs_of(content(tmp_path))) == len(archive.records) == space_size(small)


def test_search_checks_before_it_writes(problem, tmp_path):
    with pytest.raises(InputError, match=r"search\.population"):
        run_search(problem, tmp_path, config=dataclasses.replace(CONFIG, population=33))
    assert list(tmp_path.iterdir()) == []


def test_candidates_per_second():
    records = [Record("", (i,), 0.0, 0.0, 0, 0.25) for i in range(3)]
    assert candidates_per_second(records) == pytest.approx(4.0)


def test_the_clock_has_a_lap_per_generation(problem, tmp_path):
    archive = run_search(problem, tmp_path)
    laps = Laps(tmp_path / CLOCK_FILE, write=False).generations()
    assert [lap.stage for lap in laps] == list(range(CONFIG.generations))
    new = [[r.generation for r in archive.records.values()].count(g) for g in range(CONFIG.generations)]
    assert [lap.evaluated for lap in laps] == new
    first, *later = (lap.seconds for lap in laps)
    assert min(first.compile, first.schedule, first.evaluate, first.nsga2, first.write) > 0
    assert all(seconds.compile == 0 and seconds.write > 0 for seconds in later)
    assert all(seconds.latency == seconds.members == 0 for seconds in (first, *later))
    evaluated = sum(record.seconds for record in archive.records.values())
    assert sum(lap.seconds.schedule + lap.seconds.evaluate for lap in laps) == pytest.approx(
        evaluated, rel=0.2
    )


def test_who_does_not_write_leaves_no_clock(problem, tmp_path):
    params, patches, mesh = problem
    search(jax.random.key(0), NET, params, patches, TABLE, CONFIG, mesh, tmp_path, write=False)
    assert list(tmp_path.iterdir()) == []


# --- several widths ---------------------------------------------------------------------------------

ELASTIC = uniform_space(slots=2, widths=(4, 9), scale=2, branches=("id", "s3", "c3", "r1"))
WIDE_TERMS = [
    WidthTerms(width, 0.1 * width, {"s3": 0.05 * width, "c3": 0.1 * width, "r1": 0.3 * width}, {"u2": 0.25})
    for width in ELASTIC.widths
]


def test_the_front_of_two_widths_is_that_of_the_whole_space(noisy_params, tmp_path):
    """Against every arch of it, which are evaluated at once."""
    params, table = noisy_params(ELASTIC), LatencyTable({}, tuple(WIDE_TERMS), {}, "")
    net = make_supernet(ELASTIC, "float32")
    config = dataclasses.replace(CONFIG, population=8, generations=5)
    lr = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    best = jax.jit(frame_program(net), static_argnums=2)(params, jnp.asarray(lr), largest_arch(ELASTIC))
    hr = np.asarray(best) ^ 3  # near to what the largest arch makes, so that the front has a length
    patches = Patches(lr=jnp.asarray(lr), hr=jnp.asarray(hr), image=jnp.arange(2))
    mesh = parallel.device_mesh(2)
    archive = search(jax.random.key(0), net, params, patches, table, config, mesh, tmp_path)
    every = evaluate_space(net, params, patches, table, parallel.device_mesh(1))
    assert len(archive.records) < 0.75 * len(every) == 0.75 * space_size(ELASTIC)
    for record in every:
        if record.arch in archive.records:
            seen = archive.records[record.arch]
            assert seen.psnr_y == pytest.approx(record.psnr_y, abs=1e-4)
            assert (seen.name, seen.latency_ms) == (record.name, record.latency_ms)
    truth = front_records(every)
    assert len({record.arch[-1] for record in truth}) > 1
    points, seen = (quality_points(records) for records in (every, archive.records.values()))
    reference = float(points[:, 0].max()), float(points[:, 1].min())
    assert front_hypervolume(seen, reference) > 0.95 * front_hypervolume(points, reference)
    assert {record.name.split("-")[0] for record in every} == {"w4", "w9"}


# --- objectives and constraints ---------------------------------------------------------------------


class Formula:
    """A quality that each gene adds to; no device work. Counts what it evaluates."""

    def __init__(self):
        self.evaluated = []

    def prepare(self, params, genes):
        pass

    def __call__(self, params, genes):
        self.evaluated += dict.fromkeys(map(tuple, np.asarray(genes).tolist()))
        rows = np.asarray(genes, float)
        return (20 + rows.sum(1) + 0.1 * np.sin(rows @ [1.0, 2.0, 3.0, 5.0][: rows.shape[1]])).astype(
            np.float32
        )


WIDER = uniform_space(slots=3, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))
WIDER_NET = make_supernet(WIDER, "float32")


@pytest.fixture
def formula(monkeypatch):
    found = Formula()
    monkeypatch.setattr(loop, "Evaluator", lambda *_, **__: found)
    return found


def search_formula(folder, net=NET, *, write=True, **fields):
    config, mesh = dataclasses.replace(CONFIG, **fields), parallel.device_mesh(1)
    return search(jax.random.key(3), net, {}, None, TABLE, config, mesh, folder, write=write)


def test_a_bound_draws_the_population_into_it(formula, tmp_path):
    slowest = {}
    for bound in (None, 1.5):
        folder = tmp_path / str(bound)
        folder.mkdir()
        archive = search_formula(folder, WIDER_NET, population=24, generations=8, max_latency_ms=bound)
        state = resume.load(folder, fresh_state(24)).state
        assert np.all(np.asarray(state.violation) == 0)
        last = [archive.records[arch] for arch in to_archs(WIDER, state.genes)]
        slowest[bound] = max(record.latency_ms for record in last)
    assert slowest[1.5] <= 1.5 < slowest[None]


def test_more_objectives_keep_more_candidates(formula, tmp_path):
    every = ("psnr_y", "latency_ms", "params", "mult_adds")
    sizes = []
    for name in (every[:2], every):
        folder = tmp_path / str(len(name))
        folder.mkdir()
        search_formula(folder, WIDER_NET, population=24, objectives=name)
        state = resume.load(folder, fresh_state(24, len(name))).state
        assert state.objectives.shape == (24, len(name))
        sizes.append(int(np.sum(np.asarray(state.rank) == 0)))
    assert sizes[0] < sizes[1]


def fresh_state(population, objectives=2):
    operators = nsga2.Operators(WIDER)
    return nsga2.init(jax.random.key(3), operators, population, objectives)


# --- going on ---------------------------------------------------------------------------------------


def records_in(folder):
    lines = Archive(folder / FILE).records.values()
    return [record._replace(seconds=0.0) for record in lines]


def test_a_restart_does_not_go_through_what_was_told(formula, tmp_path, monkeypatch):
    search_formula(tmp_path)
    monkeypatch.setattr(nsga2, "ask", lambda *_: pytest.fail("asked again"))
    search_formula(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"not a state", None])
def test_without_a_whole_state_the_archive_is_replayed(formula, tmp_path, damage):
    search_formula(tmp_path)
    whole, state = (tmp_path / FILE).read_bytes(), (tmp_path / resume.FILE).read_bytes()
    count = len(formula.evaluated)
    (tmp_path / resume.FILE).write_bytes(state[:-9] if damage is None else damage)
    search_formula(tmp_path)
    assert len(formula.evaluated) == count
    assert (tmp_path / FILE).read_bytes() == whole
    assert (tmp_path / resume.FILE).read_bytes() == state


def test_a_state_whose_archive_is_gone_is_not_believed(formula, tmp_path):
    search_formula(tmp_path)
    expected = records_in(tmp_path)
    (tmp_path / FILE).unlink()
    search_formula(tmp_path)
    assert records_in(tmp_path) == expected


def test_who_does_not_write_finds_the_same(formula, tmp_path, capsys):
    (tmp_path / "writer").mkdir()
    (tmp_path / "reader").mkdir()
    writer = search_formula(tmp_path / "writer")
    bar = capsys.readouterr().err
    assert (
        f"best={max(record.psnr_y for record in writer.records.values()):.2f} dB" in bar and "front=" in bar
    )
    reader = search_formula(tmp_path / "reader", write=False)
    assert list(reader.records) == list(writer.records)
    assert list((tmp_path / "reader").iterdir()) == []
    assert capsys.readouterr().err == ""
