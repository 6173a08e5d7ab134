"""Every Python block in the documents runs as it stands; hours of training are replaced by a small run."""

import importlib
import json
import pathlib

import numpy as np
import PIL.Image
import pytest

import dysr_jax
from dysr_jax.bench import switch
from dysr_jax.data.builders.datasets import DATASETS
from dysr_jax.data.builders.tfds_builders import BUILDERS
from dysr_jax.model import BODY, lower_static
from dysr_jax.runtime import policy as policies

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "experiments" / "results"


@pytest.fixture
def run(blocks, workplace, monkeypatch, tiny_run):
    """`(page) -> names`: a page's blocks, one after the other, as one program."""
    searched = []

    def run_search(config, out):
        searched.append((config, out))
        return tiny_run.bundle

    monkeypatch.setattr(dysr_jax, "run_search", run_search)

    def execute(page):
        names = {"__name__": "__main__"}
        texts = blocks(page, "python")
        assert texts
        for text in texts:
            exec(compile(text, page, "exec"), names)
        return {**names, "searched": searched}

    return execute


@pytest.fixture
def scale(tiny_run):
    return tiny_run.bundle.space.scale


def test_every_page_with_python_has_a_test():
    tests = pathlib.Path(__file__).read_text()
    pages = [
        path
        for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
        if "```python\n" in path.read_text()
    ]
    missing = [
        str(path.relative_to(ROOT)) for path in pages if f'"{path.relative_to(ROOT).as_posix()}"' not in tests
    ]
    assert missing == []


def test_readme(run, capsys, monkeypatch, tiny_run):
    monkeypatch.setattr(dysr_jax, "load_pretrained", lambda name: tiny_run.bundle)
    names = run("README.md")
    ((config, out),) = names["searched"]
    assert (config.data.source, out) == ("folder:photos", "gs://bucket/run")
    assert config.space == dysr_jax.load_config("base").space
    assert capsys.readouterr().out.endswith("on time\n")
    assert pathlib.Path("big.mp4").stat().st_size > 0


def test_readme_begins_with_a_photograph(blocks):
    """With the weights that come with the package."""
    names: dict = {}
    exec(blocks("README.md", "python")[0], names)
    assert names["big"].shape == (80, 120, 3)


def test_a_demo(run, monkeypatch, tiny_run):
    monkeypatch.setattr(dysr_jax, "load_pretrained", lambda name: tiny_run.bundle)
    names = run("docs/howto/demo.md")
    assert names["page"].name == "index.html" and names["page"].exists()


def test_a_photograph(run, scale, monkeypatch, tiny_run):
    monkeypatch.setattr(dysr_jax, "load_pretrained", lambda name: tiny_run.bundle)
    names = run("docs/tutorials/photograph.md")
    assert names["big"].shape == names["quick"].shape == (20 * scale, 30 * scale, 3)


def test_a_video(run, capsys):
    names = run("docs/tutorials/video.md")
    assert len(names["trace"].frames) == 4
    assert "on time" in capsys.readouterr().out


def test_a_search(run, scale):
    names = run("docs/tutorials/search.md")
    assert names["searched"] == [(dysr_jax.load_config("quickstart"), "runs/mine")]
    assert names["a"].shape == names["b"].shape == (180 * scale, 320 * scale, 3)


def test_a_configuration(run):
    config = run("docs/reference/configuration.md")["config"]
    assert (config.seed, config.search.max_latency_ms) == (1, 16.0)


def test_a_source(run, capsys):
    run("docs/reference/datasets.md")
    assert "astronaut" in capsys.readouterr().out


def test_a_report(run):
    names = run("docs/howto/report.md")
    assert pathlib.Path(str(names["page"])).read_text().lower().startswith("<!doctype html>")
    assert any(str(path).endswith(".svg") for path in names["drawn"].paths)


def test_a_bench(run, monkeypatch, capsys):
    """What a real experiment wrote, in place of its minutes."""
    fields = json.loads((RESULTS / "switch_quickstart_cpu.json").read_text())
    result = switch.SwitchResult.from_json(fields)
    monkeypatch.setattr(switch, "bench_switch", lambda bundle, frame: result)
    run("docs/howto/measure.md")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*switch.STRATEGIES]


def test_a_branch(run):
    try:
        names = run("docs/howto/branch.md")
        ((config, out),) = names["searched"]
        assert out == "runs/with_p1"
        space = config.space.build()
        assert "p1" in space.body[0]
        index = space.body[0].index("p1")
        assert dysr_jax.parse_arch(space, "p1-3id-u1") == (index, 0, 0, 0, 0)
    finally:
        BODY.pop("p1", None)


def test_a_data_set(run):
    try:
        source = run("docs/howto/dataset.md")["source"]
        assert [source[i].name for i in range(len(source))] == ["1.png", "2.png"]
        with pytest.raises(dysr_jax.InputError, match="'my_photos' is "):
            dysr_jax.register_dataset("my_photos", DATASETS["my_photos"])
        with pytest.raises(dysr_jax.InputError, match="'My photos'"):
            dysr_jax.register_dataset("My photos", DATASETS["my_photos"])
    finally:
        DATASETS.pop("my_photos", None)
        BUILDERS.pop("my_photos", None)


def test_a_policy(run, capsys):
    names = run("docs/howto/policy.md")
    assert len(capsys.readouterr().out.splitlines()) == 2
    policy = policies.CheckedPolicy(names["Cautious"](), names["timings"])
    state, member = policy.start(40.0)
    assert member == "small"
    assert policy(state, dysr_jax.Observation(8.0, "small", 40.0))[1] == "large"


def test_a_server(run, scale):
    names = run("docs/howto/server.md")
    assert names["big"].shape == (90 * scale, 160 * scale, 3)
    with pytest.raises(dysr_jax.InputError, match="nobody"):
        names["server"](names["frame"], "nobody")


def test_a_layer_backend(run, scale):
    try:
        names = run("docs/howto/backend.md")
        assert names["big"].shape == (90 * scale, 160 * scale, 3)
        bundle = names["bank"].bundle
        lowered = lower_static(bundle.net, bundle.member("best").arch, bundle.params, (90, 160))
        assert "HIGHEST" in lowered.as_text()
    finally:
        importlib.import_module("dysr_jax.model.backend")._BACKENDS.pop("highest", None)


def test_members_in_other_programs(run, scale):
    names = run("docs/howto/export.md")
    assert names["big"].shape == (90 * scale, 160 * scale, 3)
    made = np.asarray(PIL.Image.open("photo_big.png")).astype(int)
    photo = np.asarray(PIL.Image.open("photo.jpg"))
    assert np.abs(made - dysr_jax.Upscaler(names["bundle"])(photo)).max() <= 1
