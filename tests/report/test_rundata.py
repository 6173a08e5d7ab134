"""A run read back: finished, unfinished, interrupted, damaged, and no run at all."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from pymoo.indicators.hv import HV

from dysr_jax.data.examples import Pair
from dysr_jax.errors import InputError
from dysr_jax.metrics import PSNR_CAP_DB
from dysr_jax.model.names import parse_arch
from dysr_jax.report.candidates import growth
from dysr_jax.report.comparison import compare
from dysr_jax.report.rundata import read_run
from dysr_jax.results import latency_predictions
from dysr_jax.runtime.trace import FrameRecord, Trace
from dysr_jax.search.latency import load_table, predict
from dysr_jax.search.select import front_records

RESULTS = pathlib.Path(__file__).parents[2] / "experiments" / "results"
SWITCH, STEADY = RESULTS / "switch_quickstart_cpu.json", RESULTS / "steady_quickstart_cpu.json"


@pytest.fixture(scope="module")
def records(tiny_run):
    return [json.loads(line) for line in (tiny_run.path / "archive.jsonl").read_text().splitlines()]


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy that may be changed."""
    ignored = shutil.ignore_patterns("checkpoints")
    return pathlib.Path(shutil.copytree(tiny_run.path, tmp_path / "run", ignore=ignored))


def absent(data):
    return {line.partition(":")[0]: line for line in data.missing}


def test_a_finished_run(tiny_run, tiny, records):
    data = read_run(tiny_run.path)
    assert data.finished and data.config.search == tiny.search
    assert set(absent(data)) == {"switch latencies", "steady rate"}
    assert data.switch is None and data.steady == ()
    found = data.candidates
    assert found.genes.tolist() == [record["arch"] for record in records]
    for name in ("psnr_y", "latency_ms", "generation", "seconds"):
        assert getattr(found, name).tolist() == [record[name] for record in records]
    assert found.feasible.all()
    assert data.results.members == tiny_run.bundle.members
    assert data.results.bicubic_psnr_y == tiny_run.bundle.bicubic_psnr_y
    assert data.training["loss"].step.tolist() == [5, 10, 15, 20]
    assert data.table == load_table(tiny_run.path / "latency.json")


def test_the_front_is_the_searchs(tiny_run):
    from dysr_jax.search.archive import Archive

    found = read_run(tiny_run.path).candidates
    archs = [
        record.arch
        for record in front_records(Archive(tiny_run.path / "archive.jsonl", write=False).records.values())
    ]
    assert found.genes[found.front].tolist() == [list(arch) for arch in archs]


def test_candidates_outside_the_constraints_are_not_on_the_front(run):
    found = read_run(run).candidates
    fields = json.loads((run / "config.json").read_text())
    bound = float(np.median(found.latency_ms))
    fields["search"]["max_latency_ms"] = bound
    (run / "config.json").write_text(json.dumps(fields))
    bounded = read_run(run).candidates
    assert 0 < bounded.feasible.sum() < len(bounded.feasible)
    assert (bounded.latency_ms[bounded.front] <= bound).all()
    assert (bounded.feasible == (bounded.latency_ms <= bound)).all()


def test_hypervolume_by_generation(tiny_run):
    found = read_run(tiny_run.path).candidates
    grown = growth(found)
    slowest, worst = grown.reference
    assert (slowest, worst) == (found.latency_ms.max(), found.psnr_y.min())
    for generation in range(found.generation.max() + 1):
        until = found.generation <= generation
        points = np.stack([found.latency_ms[until], -found.psnr_y[until]], 1)
        assert grown.evaluated[generation] == until.sum()
        volume = HV(ref_point=np.array([slowest, -worst]))(points)
        assert grown.hypervolume[generation] == pytest.approx(volume)
    assert grown.hypervolume[-1] > 0
    assert (np.diff(grown.hypervolume) >= 0).all()


def test_predictions(tiny_run):
    data = read_run(tiny_run.path)
    found = latency_predictions(data.space, data.table, data.results)
    fitted = [point for point in found if point.kind == "fitted"]
    members = [point for point in found if point.kind == "member"]
    assert {point.name: point.measured_ms for point in fitted} == data.table.measured_ms
    assert [p.measured_ms for p in members] == [m.latency_ms for m in data.results.members]
    for point in found:
        arch = parse_arch(data.space, point.name)
        assert point.predicted_ms == predict(data.table, data.space, np.array([arch]))[0]
    assert [p.kind for p in latency_predictions(data.space, data.table, None)] == ["fitted"] * len(fitted)


def test_a_run_that_was_interrupted_in_the_search(run):
    (run / "pareto.json").unlink()
    shutil.rmtree(run / "comparison")
    archive = run / "archive.jsonl"
    lines = archive.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["generation"] < 2]
    cut = b"".join(kept) + lines[len(kept)][:20]
    archive.write_bytes(cut)
    data = read_run(run)
    assert not data.finished and data.results is None and data.comparison is None
    assert len(data.candidates.psnr_y) == len(kept)
    assert "came to generation 2 of 3" in absent(data)["members"]
    assert archive.read_bytes() == cut


def test_a_run_that_was_interrupted_in_the_training(run):
    for name in ("pareto.json", "archive.jsonl", "search_state.msgpack"):
        (run / name).unlink()
    data = read_run(run)
    assert data.candidates is None and data.training
    assert "came to step 20 of 20 of the training" in absent(data)["members"]
    assert "no archive.jsonl" in absent(data)["candidates"]


def test_a_run_that_only_began(run, tmp_path):
    (tmp_path / "begun").mkdir()
    shutil.copy(run / "config.json", tmp_path / "begun")
    data = read_run(tmp_path / "begun")
    assert len(data.missing) == 8
    assert absent(data)["time of the search"].endswith("no search_clock.jsonl")
    assert "neither training nor search left anything" in absent(data)["members"]
    assert (data.training, data.table, data.candidates) == ({}, None, None)


def test_a_run_with_given_weights_says_that_nothing_was_trained(run):
    fields = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**fields, "weights": "w.safetensors"}))
    shutil.rmtree(run / "tensorboard")
    assert "nothing was trained" in absent(read_run(run))["training curves"]


@pytest.mark.parametrize(
    ("name", "content", "part", "said"),
    [
        ("archive.jsonl", "{}\n", "candidates", "line 1 is damaged"),
        ("archive.jsonl", "", "candidates", "is empty"),
        ("search_clock.jsonl", "{}\n", "time of the search", "line 1 is damaged"),
        ("latency.json", "{", "latency table", "missing or damaged"),
        ("pareto.json", "{", "members", "damaged"),
        ("pareto.json", "[]", "members", "damaged"),
        ("pareto.json", "[" * 100_000, "members", "damaged"),
        ("latency.json", "[" * 100_000, "latency table", "damaged"),
        ("comparison/comparison.json", '{"pictures": {}}', "images", "damaged"),
        ("comparison/comparison.json", "{", "images", "damaged"),
        ("comparison/00.png", "no picture", "images", "damaged"),
    ],
)
def test_a_damaged_part_is_said_and_the_others_are_read(run, name, content, part, said):
    (run / name).write_text(content)
    data = read_run(run)
    assert said in absent(data)[part]
    assert set(absent(data)) == {part, "switch latencies", "steady rate"}


@pytest.mark.parametrize("value", [None, "x", [], {}, True, 1e400])
def test_a_member_with_a_value_of_another_type_is_damage(run, value):
    """Each of them once ended in a trace while the page was made."""
    whole = json.loads((run / "pareto.json").read_text())
    for key in ("name", "psnr_y", "latency_ms", "fps", "params"):
        if key == "name" and value == "x":
            continue
        members = [{**whole["members"][0], key: value}, *whole["members"][1:]]
        (run / "pareto.json").write_text(json.dumps({**whole, "members": members}))
        assert absent(read_run(run))["members"].startswith("members: pareto.json")


def test_an_exact_picture_has_a_finite_psnr(tiny_run):
    """JSON has no infinity, and a flat image is upscaled exactly."""
    hr = np.zeros((24, 32, 3), np.uint8)
    found = compare(tiny_run.bundle, Pair("black", hr[::2, ::2], hr))
    assert found.psnr_y["bicubic"] == PSNR_CAP_DB


def test_records_of_another_space(run):
    archive = run / "archive.jsonl"
    record = json.loads(archive.read_text().splitlines()[0])
    for arch in ([9, 0, 0], [0, 0], [0, 0, 0, 0]):
        archive.write_text(json.dumps({**record, "arch": arch}) + "\n")
        assert "arch" in absent(read_run(run))["candidates"]


@pytest.mark.parametrize("name", ["pareto.json", "latency.json", "bundle/manifest.json"])
def test_a_newer_format_is_refused(run, name):
    fields = json.loads((run / name).read_text())
    newer = fields["format_version"] + 1
    (run / name).write_text(json.dumps({**fields, "format_version": newer}))
    with pytest.raises(InputError, match=rf"{name} has format {newer}; this version .* up to {newer - 1}"):
        read_run(run)


def test_a_newer_config_is_refused(run):
    fields = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**fields, "novelty": 1}))
    with pytest.raises(InputError, match="unknown key 'novelty'"):
        read_run(run)


def test_what_is_no_run(run, tmp_path):
    for path in (tmp_path / "gone", tmp_path, run / "bundle", run / "config.json"):
        with pytest.raises(InputError, match=r"no config\.json|cannot be read"):
            read_run(path)
    (run / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json' is not JSON"):
        read_run(run)
    with pytest.raises(InputError, match="'foo://run' cannot be read"):
        read_run("foo://run")


# --- switches and streams ---------------------------------------------------------------------------


def test_given_measurements(tiny_run):
    data = read_run(tiny_run.path, switch=SWITCH, steady=STEADY)
    assert data.missing == []
    assert data.switch.to_json() == json.loads(SWITCH.read_text())
    cases = json.loads(STEADY.read_text())["strategies"]
    for stream, case in zip(data.steady, cases, strict=True):
        assert (stream.name, stream.true_psnr_y) == (case["name"], case["true_psnr_y"])
        assert stream.trace.summary()["late"] == case["late"]
        assert [list(point) for point in stream.load] == case["load"]


def test_streams_of_another_bundle_are_named_so(tiny_run, tmp_path):
    own = json.loads(STEADY.read_text())
    (tmp_path / "both.json").write_text(json.dumps({**own, "against": own}))
    names = [stream.name for stream in read_run(tiny_run.path, steady=tmp_path / "both.json").steady]
    assert names == [row["name"] + end for end in ("", ", against") for row in own["strategies"]]


def test_a_runs_own_measurements(run):
    frames = [FrameRecord(i, i / 30, i / 30, i / 30 + 0.01, 10.0, "a", False, 0) for i in range(5)]
    trace = Trace(30.0, True, {"a": 27.0}, frames)
    (run / "steady.json").write_text(json.dumps(trace.to_json()))
    shutil.copy(SWITCH, run / "switch.json")
    data = read_run(run)
    assert data.missing == []
    (stream,) = data.steady
    assert (len(stream.trace.frames), stream.load, stream.true_psnr_y) == (5, [], None)


@pytest.mark.parametrize("option", ["switch", "steady"])
def test_given_files_that_are_something_else(tiny_run, tmp_path, option):
    for content in ("{", "[]", "{}", '{"strategies": [{"name": "a"}]}', "3", '{"trace": {}}'):
        (tmp_path / "file.json").write_text(content)
        with pytest.raises(InputError, match=rf"^{option} '.*file\.json'"):
            read_run(tiny_run.path, **{option: tmp_path / "file.json"})
    with pytest.raises(InputError, match="cannot be read"):
        read_run(tiny_run.path, **{option: tmp_path / "gone.json"})


def test_a_run_in_a_bucket(run, bucket):
    from etils import epath

    for file in run.rglob("*"):
        if file.is_file():
            target = epath.Path(f"{bucket}/run") / file.relative_to(run).as_posix()
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    here, there = read_run(run), read_run(f"{bucket}/run")
    assert there.missing == here.missing
    assert there.results == here.results
    assert set(there.training) == set(here.training)
    assert list(there.comparison.pictures) == list(here.comparison.pictures)
