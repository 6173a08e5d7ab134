"""`dysr profile`, and searches with a table that a user names."""

import dataclasses
import json

import jax
import pytest

import dysr_jax.cli
import dysr_jax.commands.bench
import dysr_jax.commands.images
import dysr_jax.commands.runs
import dysr_jax.run
from dysr_jax.cli import main
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import init_params
from dysr_jax.model.weights import params_to_bytes
from dysr_jax.search.latency import LatencyTable, WidthTerms, load_table, save_table, table_key


def dysr(*args: object) -> int:
    return main([str(arg) for arg in args])


def snapshot(folder) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("name", ["table", "table.txt", "table.json.gz"])
def test_a_profile_is_a_json_file(refused, unworked, small, tmp_path, name):
    before = snapshot(tmp_path)
    line = refused("profile", *small, "--out", tmp_path / name)
    assert f"out '{tmp_path / name}': must be a .json file" in line
    assert snapshot(tmp_path) == before


def test_a_profile_needs_two_archs(refused, small, tmp_path):
    before = snapshot(tmp_path)
    line = refused("profile", *small, "--out", tmp_path / "table.json", "--archs", 1)
    assert "archs 1: must be at least 2" in line
    assert snapshot(tmp_path) == before


@pytest.fixture
def weights(tmp_path):
    """Options by which nothing is trained."""
    params = init_params(jax.random.key(0), uniform_space(slots=1, widths=4, scale=2, branches=("id", "c3")))
    (tmp_path / "weights").write_bytes(params_to_bytes(params))
    return ["--weights", tmp_path / "weights"]


@pytest.fixture
def planted(tmp_path, tiny):
    """A latency table of the small config on this device, of costs that nobody would measure."""
    space = uniform_space(slots=1, widths=4, scale=2, branches=("id", "c3"))
    key = table_key(space, "float32", tiny.search.frame)
    table = LatencyTable(
        key, (WidthTerms(4, 100.0, {"c3": 30.0}, {"u2": 7.0}),), {"id-u1": 100.0}, "in a test"
    )
    path = tmp_path / "planted.json"
    save_table(path, table)
    return path, table, space


@pytest.mark.long
def test_a_search_uses_the_table_that_is_named(planted, small, weights, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    # What is searched for is what counts, not what is made of it.
    monkeypatch.setattr(dysr_jax.run, "_write_results", interrupted)
    monkeypatch.setattr(dysr_jax.run, "device_table", lambda *_, **__: pytest.fail("it measured"))
    (path, table, _), out = planted, tmp_path / "run"
    assert dysr("search", "--out", out, *small, *weights, "--search.latency", path) == 130
    assert f": from {path}, " in capsys.readouterr().out
    assert load_table(out / "latency.json", table.key) == table
    records = [json.loads(line) for line in (out / "archive.jsonl").read_text().splitlines()]
    assert len(records) == 4
    found = {record["name"]: record["latency_ms"] for record in records}
    assert found == {"id-u1": 100.0, "c3-u1": 130.0, "id-u2": 107.0, "c3-u2": 137.0}


def test_constraints_that_nothing_satisfies(planted, small, weights, tmp_path, capsys):
    """The search is over by then; three of its four archs take longer than 105 ms."""
    bounds = ["--search.max-latency-ms", 105, "--search.min-psnr-y", 90]
    out, options = tmp_path / "run", [*small, *weights, "--search.latency", planted[0]]
    assert dysr("search", "--out", out, *options, *bounds) == 2
    error = capsys.readouterr().err.splitlines()[-1]  # below the search's progress
    assert error == (
        "dysr: error: no evaluated arch satisfies the constraints: search.max_latency_ms 105.0 excludes "
        "3 of 4, search.min_psnr_y 90.0 excludes 4 of 4, together 4; "
        f"dysr search --from {out} --out OTHER takes other bounds without training"
    )
    assert not (out / "bundle").exists()
    assert not (out / "pareto.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda key: key.update(frame=[32, 24]), "is for frame [32, 24]; needed is [24, 32]"),
        (lambda key: key.update(dtype="bfloat16"), "is for dtype 'bfloat16'; needed is 'float32'"),
        (lambda key: key.update(device="a toaster"), "is for device 'a toaster'; needed is "),
        (lambda key: key.update(widths=[8]), "is for widths [8]; needed is [4]"),
        (lambda key: key.pop("jax"), "is for jax None; needed is "),
    ],
    ids=["frame", "dtype", "device", "widths", "no version"],
)
def test_tables_of_something_else(refused, planted, small, tmp_path, change, message):
    path, table, _ = planted
    key = dict(table.key)
    change(key)
    save_table(path, dataclasses.replace(table, key=key))
    line = refused("search", "--out", tmp_path / "run", *small, "--search.latency", path)
    assert f"latency table '{path}' {message}" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"format_version": 1}'])
def test_tables_that_cannot_be_read(refused, planted, small, tmp_path, content):
    path, _, _ = planted
    path.unlink() if content is None else path.write_bytes(content)
    line = refused("search", "--out", tmp_path / "run", *small, "--search.latency", path)
    assert f"latency table '{path}' is missing or damaged" in line
    assert not (tmp_path / "run").exists()
