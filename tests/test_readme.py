"""What the README shows in Python runs as it stands."""

import json
import pathlib
import re
from fractions import Fraction

import numpy as np
import PIL.Image
import pytest

import dysr_jax
from dysr_jax.bench.switch.servers import STRATEGIES
from dysr_jax.data.builders.datasets import DATASETS
from dysr_jax.data.builders.tfds_builders import BUILDERS
from dysr_jax.model.branches import BODY

README = pathlib.Path(__file__).parents[1] / "README.md"
RESULTS = README.parent / "experiments" / "results"


@pytest.fixture(scope="module")
def blocks():
    found = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(found) == 10
    return found


def test_upscaling_with_the_weights_of_the_package(blocks):
    names: dict = {}
    exec(blocks[0], names)
    assert names["big"].shape == (80, 120, 3)


def test_a_search_on_all_devices(blocks, monkeypatch):
    searched = []
    monkeypatch.setattr(dysr_jax, "run_search", lambda *given: searched.append(given))
    exec(blocks[1], {})
    ((config, out),) = searched
    assert (config.data.source, out) == ("folder:photos", "gs://bucket/run")
    assert config.space == dysr_jax.load_config("base").space


def test_a_look_at_switches(blocks, monkeypatch, capsys):
    """What a real experiment wrote, in place of its minutes."""
    result = json.loads((RESULTS / "switch_quickstart_cpu.json").read_text())
    monkeypatch.setattr(dysr_jax, "bench_switch", lambda bundle, frame: result)
    exec(blocks[2], {"__name__": "__main__"})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*STRATEGIES]


def test_a_video_at_a_frame_rate(blocks, tiny_run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dysr_jax, "load_bundle", lambda path: tiny_run.bundle)
    with dysr_jax.open_writer("film.mp4", width=24, height=16, rate=Fraction(30)) as writer:
        for number in range(4):
            writer.write(np.full((16, 24, 3), 40 * number, np.uint8), Fraction(number, 30))
    exec(blocks[3], {})
    assert capsys.readouterr().out.endswith("on time\n")
    with dysr_jax.open_video("big.mp4") as reader:
        scale = tiny_run.bundle.space.scale
        shapes = [frame.image.shape for frame in reader.frames()]
    assert shapes == 4 * [(16 * scale, 24 * scale, 3)]


def test_a_data_set_of_ones_own(blocks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    images = {f"{n}.png": np.random.default_rng(n).integers(0, 256, (16, 24, 3), np.uint8) for n in (1, 2)}
    for folder, shrink in (("large", 1), ("small_x4", 4)):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for name, image in images.items():
            PIL.Image.fromarray(image[::shrink, ::shrink]).save(tmp_path / "photos" / folder / name)
    try:
        exec(blocks[7], {})
        source = dysr_jax.open_source("tfds:my_photos", 4)
        assert [source[i].name for i in range(len(source))] == [*images]
        assert all((source[i].hr == image).all() for i, image in enumerate(images.values()))
        with pytest.raises(dysr_jax.InputError, match="'my_photos' is there already"):
            dysr_jax.register_dataset("my_photos", DATASETS["my_photos"])
        with pytest.raises(dysr_jax.InputError, match="'My photos': allowed are lower case"):
            dysr_jax.register_dataset("My photos", DATASETS["my_photos"])
    finally:
        DATASETS.pop("my_photos", None)
        BUILDERS.pop("my_photos", None)


def test_a_policy_of_ones_own(blocks, capsys):
    names: dict = {}
    exec(blocks[8], names)
    exec(blocks[9], names)
    assert len(capsys.readouterr().out.splitlines()) == 2
    rungs = names["rungs"]
    policy = dysr_jax.runtime.policy.base.CheckedPolicy(names["Cautious"](), rungs)
    state, member = policy.start(40.0)
    assert member == "small"
    assert policy(state, dysr_jax.Observation(8.0, "small", 40.0))[1] == "middle"


def test_the_tour_of_the_api(blocks, tiny_run, monkeypatch):
    """With the tests' small run in place of the minutes of a whole one."""
    asked = []

    def run_search(config, out):
        asked.append((config, out))
        return tiny_run.bundle

    monkeypatch.setattr(dysr_jax, "run_search", run_search)
    names: dict = {}
    exec(blocks[4], names)
    assert asked == [(dysr_jax.load_config("quickstart"), "runs/mine")]
    scale = tiny_run.bundle.space.scale
    assert names["a"].shape == names["b"].shape == (180 * scale, 320 * scale, 3)


def test_adding_a_branch_and_searching_with_it(blocks, monkeypatch):
    searched = []
    monkeypatch.setattr(dysr_jax, "run_search", lambda *given: searched.append(given))
    names: dict = {}
    try:
        exec(blocks[5], names)
        exec(blocks[6], names)
        ((config, out),) = searched
        assert out == "runs/with_p1"
        assert "p1" in config.space.build().body[0]
        space = dysr_jax.uniform(slots=1, width=4, scale=2, branches=("id", "p1", "s3"))
        assert dysr_jax.parse_arch(space, "p1-u1") == (1, 0)
    finally:
        BODY.pop("p1", None)


@pytest.mark.parametrize("page", ["README.md", "experiments/README.md", "experiments/FIGURES.md"])
def test_links_lead_to_files_that_are_there(page):
    path = README.parent / page
    text = re.sub("```.*?```", "", path.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []
