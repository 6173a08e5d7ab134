"""The scripts that draw what benchmarks recorded, on the results that the repository keeps."""

import importlib.util
import json
import pathlib
import re
import sys

import pytest

EXPERIMENTS = pathlib.Path(__file__).parents[2] / "experiments"
RESULTS = EXPERIMENTS / "results"
PNG = b"\x89PNG\r\n"


def run(name, monkeypatch, *options):
    """The script's `main`, as from a shell."""
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", [name, *map(str, options)])
    module.main()


@pytest.mark.parametrize("name", ["search_full_h200", "search_8slots_h200"])
def test_throughput_is_printed_and_drawn(name, monkeypatch, tmp_path, capsys):
    recorded = RESULTS / f"{name}.json"
    run("search_throughput", monkeypatch, "--out", tmp_path / "out", "--recorded", recorded)
    result = json.loads(recorded.read_text())
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| ")][2:]
    assert [row[0].removeprefix("| ") for row in rows] == [r["name"] for r in result["methods"]]
    for row, method in zip(rows, result["methods"], strict=True):
        printed = float(row[3].replace(",", ""))
        assert printed == pytest.approx(method["candidates_per_second"], rel=0.01)
    assert (tmp_path / "out" / "search_throughput.png").read_bytes().startswith(PNG)
    assert json.loads((tmp_path / "out" / "search_throughput.json").read_text()) == result


@pytest.mark.parametrize(
    ("name", "config"), [("latency_full_h200", "full"), ("latency_quickstart_cpu", "quickstart")]
)
def test_recorded_latency_tables_predict(name, config, monkeypatch, tmp_path, capsys):
    table, figure = RESULTS / f"{name}.json", tmp_path / "figure.png"
    options = ("--table", table, "--out", figure, "--config", config)
    run("latency_fidelity", monkeypatch, *options)
    out = capsys.readouterr().out
    words = out.split("Kendall's tau ")[1].replace(",", "").split()
    assert float(words[0]) > 0.95
    assert float(words[3]) < 10.0  # per cent
    assert figure.read_bytes().startswith(PNG)


def test_switch_latencies_are_printed_and_drawn(monkeypatch, tmp_path, capsys):
    recorded = RESULTS / "switch_quickstart_cpu.json"
    run("switch_latency", monkeypatch, "--out", tmp_path / "out", "--recorded", recorded)
    result = json.loads(recorded.read_text())
    rows = {row["name"]: row for row in result["strategies"]}
    printed = dict(re.findall(r"^(.* / \w+): ([\d.,]+)$", capsys.readouterr().out, re.M))
    for name, key, other in (
        ("reload_compiled", "switch_ms_p99", "fused"),
        ("fused", "weight_bytes", "ensemble"),
        ("fused", "device_bytes", "ensemble"),
    ):
        what = {"switch": "first frame, p99", "weight": "weights"}.get(
            key.split("_")[0], "memory of the device"
        )
        ratio = float(printed[f"{what}, {name} / {other}"].replace(",", ""))
        assert ratio == pytest.approx(rows[name][key] / rows[other][key], rel=0.01)
    assert (tmp_path / "out" / "switch_latency.png").read_bytes().startswith(PNG)
    assert json.loads((tmp_path / "out" / "switch_latency.json").read_text()) == result


def test_steady_streams_are_printed_and_drawn(monkeypatch, tmp_path, capsys):
    recorded = RESULTS / "steady_quickstart_cpu.json"
    run("steady_fps", monkeypatch, "--out", tmp_path / "out", "--recorded", recorded)
    result = json.loads(recorded.read_text())
    out = capsys.readouterr().out
    for row in result["strategies"]:
        late = sum(row["trace"]["late"])
        assert late == row["late"]
        assert re.search(rf"^{row['name']} +{100 * row['on_time']:.1f} % +{late} ", out, re.M)
    drawn = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(drawn) == 4
    assert all((tmp_path / "out" / name).read_bytes().startswith(PNG) for name in drawn)
