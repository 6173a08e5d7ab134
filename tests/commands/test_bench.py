"""`dysr bench`: options handed on, results printed and written."""

import dataclasses
import json
import statistics
from typing import ClassVar

import pytest

import dysr_jax.cli
import dysr_jax.commands.bench
import dysr_jax.commands.images
import dysr_jax.commands.runs
import dysr_jax.run
from dysr_jax.bench.setup import BenchResult
from dysr_jax.cli import main


def dysr(*args: object) -> int:
    return main([str(arg) for arg in args])


def snapshot(folder) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("command", "more"),
    [("step", {"batch", "recipe", "matrix_tflops"}), ("candidates", {"patches", "methods"})],
)
def test_benchmarks_report_the_median_ratio(small, tmp_path, capsys, command, more):
    path = tmp_path / "bench.json"
    assert dysr("bench", command, *small, "--rounds", 1, "--json", path) == 0
    result = json.loads(path.read_text())
    assert set(result) == {"device", "space", "dtype", "archs", "ratio"} | more
    ratios = []
    for row in result["archs"]:
        assert set(row) == {"arch", "search_ms", "static_ms", "ratio"}
        ratios.append(row["search_ms"] / row["static_ms"])
        assert row["ratio"] == pytest.approx(ratios[-1])
    assert len(ratios) > 1
    assert result["ratio"] == pytest.approx(statistics.median(ratios))
    for rate in result.get("recipe", []):
        assert rate["updates_per_second"] == pytest.approx(1e3 / rate["update_ms"])
        assert 0 < rate["matrix_share"] == pytest.approx(rate["tflops"] / result["matrix_tflops"])
    for method in result.get("methods", []):
        assert method["candidates_per_second"] > 0
    table = capsys.readouterr().out
    assert f"ratio: {result['ratio']:.3g}" in table
    # The smallest and the largest arch are always among them.
    assert {"id-u1", "c3-u2"} <= {row["arch"] for row in result["archs"]}


JOBS = {
    "bench step": "bench_step",
    "bench candidates": "bench_candidates",
    "bench search": "bench_search",
    "bench scaling": "bench_scaling",
    "bench switch": "bench_switch",
    "eval": "evaluate_set",
    "profile": "profile",
}
"""The function that does the work of a command that writes a file."""


ROOMS = {
    "eval": dysr_jax.commands.images,
    "profile": dysr_jax.commands.runs,
    "bench switch": dysr_jax.commands.bench,
}
"""Where commands are that are no benches."""


def room(command):
    return ROOMS.get(command, dysr_jax.commands.bench)


@pytest.mark.parametrize("command", JOBS)
def test_a_file_that_cannot_be_is_refused_before_the_work(
    refused, unworked, small, bundle, photos, tmp_path, command
):
    option = "--out" if command == "profile" else "--json"
    own = {"eval": ["--bundle", bundle, photos], "bench switch": ["--bundle", bundle]}
    start = [*command.split(), *own.get(command, small)]
    (tmp_path / "folder.json").mkdir()
    before = snapshot(tmp_path)
    for path in (tmp_path / "missing" / "a.json", tmp_path / "folder.json"):
        line = refused(*start, option, path)
        assert line == (
            f"dysr: error: {option.strip('-')} {str(path)!r}: must be a file in a folder that exists\n"
        )
    assert snapshot(tmp_path) == before


ASKED = {
    "bench search": (
        ["--populations", 2, 3, "--patch-counts", 1, "--compiled", 2, "--rounds", 4, "--generations", 0],
        {"populations": (2, 3), "patch_counts": (1,), "compiled": 2, "rounds": 4, "generations": 0},
    ),
    "bench scaling": (["--steps", 3, "--rounds", 4], {"steps": 3, "rounds": 4}),
}


@dataclasses.dataclass(frozen=True)
class Toasted(BenchResult):
    """A bench's result."""

    device: str
    rows: list
    search: ClassVar[None] = None


@pytest.mark.parametrize("command", ASKED)
def test_benchmarks_do_what_is_asked_and_report_it(monkeypatch, small, tmp_path, capsys, command):
    rows = [{"name": "x", "rate": 12.345}, {"name": "y", "rate": 2.0}]
    result = Toasted("a toaster", rows)
    asked = []

    def bench(config, **options):
        asked.append((config, options))
        return result

    monkeypatch.setattr(room(command), JOBS[command], bench)
    options, expected = ASKED[command]
    path = tmp_path / "bench.json"
    assert dysr(*command.split(), *small, *options, "--seed", 5, "--json", path) == 0
    ((config, given),) = asked
    assert given == expected
    assert (config.seed, config.space.slots) == (5, 1)
    assert json.loads(path.read_text()) == {"device": "a toaster", "rows": rows}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "device: a toaster"
    assert [line.split() for line in lines[3:]] == [["x", "12.3"], ["y", "2"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--populations", 5], "populations 5: must be in [1, 4]"),
        (["--populations", 0], "populations 0: must be in [1, 4]"),
        (["--patch-counts", 0], "patch_counts 0: must be at least 1"),
        (["--compiled", 0], "compiled 0: must be at least 1"),
    ],
)
def test_counts_that_bench_search_cannot_have(refused, small, options, message):
    given = options if "--populations" in options else ["--populations", 2, *options]
    assert message in refused("bench", "search", *small, *given)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--steps", 0], "steps 0: must be at least 1"), (["--devices", 9], "devices 9: must be")],
)
def test_what_bench_scaling_cannot_do(refused, small, options, message):
    assert message in refused("bench", "scaling", *small, *options)
