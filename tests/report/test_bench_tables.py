"""What tables say: of the switch experiment, on the results that the repository keeps; of latencies."""

import dataclasses
import json
import pathlib

import pytest

from dysr_jax.bench.latency import LatencyProfile
from dysr_jax.bench.steady_result import SteadyResult
from dysr_jax.bench.switch import SwitchResult
from dysr_jax.report.bench_tables import profile_table, steady_table, switch_tables, write_timelines
from dysr_jax.search.latency import LatencyTable, WidthTerms
from dysr_jax.search.probing import Fidelity

RESULTS = pathlib.Path(__file__).parents[2] / "experiments" / "results"
RECORDED, STEADY = RESULTS / "switch_quickstart_cpu.json", RESULTS / "steady_quickstart_cpu.json"


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


# --- streams ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def steady():
    """Four recorded streams, and as another bundle's the same in another order."""
    found = SteadyResult.from_json(json.loads(STEADY.read_text()))
    return dataclasses.replace(
        found, against=dataclasses.replace(found, member_psnr_y={**found.member_psnr_y})
    )


def test_streams_of_two_bundles_stand_in_pairs(steady):
    lines = steady_table(steady).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("stream "))
    assert "on-time PSNR-Y dB" in lines[start]
    rows = [
        [cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[start + 2 : start + 10]
    ]
    names = [stream.name for stream in steady.strategies]
    assert [row[0] for row in rows] == [name + end for name in names for end in ("", ", against")]
    for row, other in zip(rows[::2], rows[1::2], strict=True):
        assert row[1:] == other[1:]
    last = lines[-1].split("made each frame: ")[1]
    own, other = last.split(", against ")
    assert own == other
    assert (
        min(steady.member_psnr_y.values()) * 0.9 < float(own.split()[0]) < max(steady.member_psnr_y.values())
    )


def test_one_bundle_is_compared_with_none(steady):
    assert "against" not in steady_table(dataclasses.replace(steady, against=None))


def test_a_late_frame_counts_nothing(steady):
    stream = dataclasses.replace(steady.adaptive, on_time_psnr_y=26.125)
    found = dataclasses.replace(steady, strategies=(stream,), against=None)
    assert next(line for line in steady_table(found).splitlines() if line.startswith("adaptive ")).endswith(
        "26.12"
    )


def test_timelines_of_two_bundles_are_apart(steady, tmp_path):
    paths = write_timelines(tmp_path, steady)
    assert len({path.name for path in paths}) == 8
    assert paths[4].name == "steady_adaptive_against.png"
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


# --- a latency table --------------------------------------------------------------------------------

FIDELITY = Fidelity(["r1-u1", "c3-u2"], [1.0, 2.0], [1.5, 2.5], 0.875, 0.0625)
NARROW = WidthTerms(4, 1.25, {"c3": 0.5, "r1": 0.75}, {"u2": 0.125})
WIDE = WidthTerms(8, 2.0, {"c3": 0.625, "s3": 1.5}, {"u2": 0.25})


def profiled(*terms):
    found = LatencyProfile(LatencyTable({}, terms, {"id-u1": 1.0, "r1-u1": 2.0}, ""), FIDELITY)
    *rows, last = profile_table(found).splitlines()
    assert last.startswith("fitted to 2 executables; 2 of them")
    assert "tau 0.875, mean error 6.2 %" in last
    return rows


def test_a_profile_of_one_width():
    head, _, *rows = profiled(NARROW)
    assert head.split("  ")[-1].strip() == "ms per frame"
    assert [row.split() for row in rows] == [
        ["(every", "frame)", "1.2500"],
        ["c3", "0.5000"],
        ["r1", "0.7500"],
        ["u2", "0.1250"],
    ]


def test_a_profile_has_a_column_for_each_width():
    """A branch that is the cheapest at one width only costs nothing there."""
    head, _, *rows = profiled(NARROW, WIDE)
    assert "ms per frame, width 4" in head and "ms per frame, width 8" in head
    assert [row.split() for row in rows] == [
        ["(every", "frame)", "1.2500", "2.0000"],
        ["c3", "0.5000", "0.6250"],
        ["r1", "0.7500", "0.0000"],
        ["u2", "0.1250", "0.2500"],
        ["s3", "0.0000", "1.5000"],
    ]
