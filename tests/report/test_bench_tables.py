"""What the tables of the switch experiment say, on the results that the repository keeps."""

import json
import pathlib

import pytest

from dysr_jax.bench.switch import SwitchResult
from dysr_jax.report.bench_tables import switch_tables

RECORDED = pathlib.Path(__file__).parents[2] / "experiments/results/switch_quickstart_cpu.json"


@pytest.fixture
def result():
    return json.loads(RECORDED.read_text())


def printed(result):
    return switch_tables(SwitchResult.from_json(result))


def table(lines, heading):
    """The rows under a heading, by their first cell."""
    start = next(i for i, line in enumerate(lines) if line.startswith(heading))
    rows = [line.split("  ") for line in lines[start + 3 :]]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    return {row[0]: row[1:] for row in cells if row}


def test_a_row_a_strategy(result):
    lines = printed(result).splitlines()
    assert lines[0].startswith(f"{result['device']}, float32; 160x90 -> 640x360 at 30 fps")
    times = table(lines[: lines.index("", 4)], "ms per frame")
    sizes = table(lines, "MB (1,000,000 bytes)")
    names = [row["name"] for row in result["strategies"]]
    assert list(times) == list(sizes) == names
    for row in result["strategies"]:
        cells = times[row["name"]]
        assert float(cells[0]) == pytest.approx(row["steady_ms_p50"], abs=0.01)
        assert float(cells[3]) == pytest.approx(row["switch_ms_p99"], abs=0.01)
        assert cells[7] == f"{row['missed_frames']} in {row['switches'] + row['steady_frames']}"
        assert float(sizes[row["name"]][0]) == pytest.approx(row["weight_bytes"] / 1e6, rel=0.01)
        assert float(sizes[row["name"]][6]) == pytest.approx(row["ready_s"], abs=0.01)


def test_what_failed_has_a_line_and_no_row(result):
    failed = {"name": "fused", "failed": "MemoryError"}
    result["strategies"] = [failed, *result["strategies"][1:]]
    lines = printed(result).splitlines()
    assert lines[-1] == "fused: failed, MemoryError"
    assert not any(line.startswith("fused ") for line in lines)
    assert "strategy" not in printed({**result, "strategies": [failed]})
