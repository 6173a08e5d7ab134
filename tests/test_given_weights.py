"""A search with the weights of another run, for another runtime: nothing is trained, archs are as good."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from dysr_jax.bundle.bundle import load_bundle
from dysr_jax.cli import main
from dysr_jax.errors import InputError
from dysr_jax.model.space import uniform_space
from dysr_jax.model.weights import SUPERNET_FILE, load_supernet
from dysr_jax.run import run_search


@pytest.fixture(scope="module")
def again(tiny_run, tiny, tmp_path_factory):
    """The search of TINY, with the weights that TINY's run left, for another runtime, and what it said."""
    lines: list[str] = []
    path = tmp_path_factory.mktemp("given") / "run"
    search = dataclasses.replace(tiny.search, members=2)
    weights = str(tiny_run.path / SUPERNET_FILE)
    config = dataclasses.replace(tiny, weights=weights, search=search, backend="onnxruntime")
    run_search(config, path, log=lines.append)
    return path, lines


def archive(path):
    lines = (path / "archive.jsonl").read_text().splitlines()
    return {r["name"]: r["psnr_y"] for r in map(json.loads, lines)}


def test_nothing_is_trained(again):
    path, lines = again
    assert not (path / "checkpoints").exists()
    assert not any("training images" in line for line in lines)
    assert any("nothing is trained" in line for line in lines)


def test_latencies_are_those_of_the_runtime(again, tiny_run):
    path, lines = again
    table, other = (json.loads((run / "latency.json").read_text()) for run in (path, tiny_run.path))
    assert table["key"].pop("runtime").startswith("onnxruntime ")
    assert table["key"] == other["key"]
    assert table["measured_ms"].keys() == other["measured_ms"].keys()
    assert load_bundle(path / "bundle").device.endswith(" cpu")
    assert any("switching" in line for line in lines)


def test_archs_have_the_quality_of_the_first_run(again, tiny_run):
    mine, theirs = archive(again[0]), archive(tiny_run.path)
    both = mine.keys() & theirs.keys()
    assert len(both) > 4
    np.testing.assert_allclose([mine[n] for n in both], [theirs[n] for n in both], atol=1e-4)
    assert len({mine[n] for n in both}) > 4


def test_the_bundle_has_these_weights(again, tiny_run, tiny):
    whole = load_supernet(tiny_run.path / SUPERNET_FILE, tiny.space.build())
    bundle = load_bundle(again[0] / "bundle")
    np.testing.assert_array_equal(bundle.params["head"]["kernel"], whole["head"]["kernel"])
    assert any(leaf.any() for leaf in jax.tree.leaves(bundle.params))


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read"), (b"no weights", "no safetensors file")]
)
def test_files_that_are_no_weights(tmp_path, tiny, content, words):
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        load_supernet(path, tiny.space.build())


def test_weights_of_another_space(tiny_run):
    with pytest.raises(InputError, match="must be those of this space"):
        load_supernet(tiny_run.path / SUPERNET_FILE, uniform_space(slots=1, widths=4, scale=2))


def test_the_command_line_says_it_before_a_folder_is_made(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["search", "--out", str(out), "--weights", str(tmp_path / "none")]) == 2
    assert "weights" in capsys.readouterr().err
    assert not out.exists()
