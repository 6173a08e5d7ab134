"""The report of a finished run: figures, `pareto.json`, and the tables on the terminal."""

import dataclasses
import itertools
import json

import jax
import numpy as np
import pytest
from PIL import Image
from pymoo.indicators.hv import HV
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio

from dysr_jax.apps.upscaler import Upscaler
from dysr_jax.bundle.members import SlotChange, Step
from dysr_jax.data.degradation import bicubic_upscale
from dysr_jax.data.training import load_pairs
from dysr_jax.errors import InputError
from dysr_jax.model.names import parse_arch
from dysr_jax.model.space import arch_mult_adds, arch_parameters, largest_arch
from dysr_jax.report.tables import format_table, members_table, steps_table, switch_table
from dysr_jax.results import read_results, run_results
from dysr_jax.runtime.measuring import SwitchReport
from dysr_jax.search.archive import Archive, Record
from dysr_jax.search.clock import PARTS
from dysr_jax.search.latency import load_table, predict
from dysr_jax.search.select import SWITCH_COST_WEIGHTS, front_records, sharing_curve

KEYS = {
    "format_version",
    "scale",
    "device",
    "frame",
    "space_size",
    "bicubic_psnr_y",
    "evaluated",
    "candidates_per_second",
    "hypervolume",
    "hypervolume_reference",
    "union_weight_bytes",
    "ensemble_weight_bytes",
    "members",
    "steps",
    "sharing",
    "clock",
    "reused",
    "predicted",
}
MEMBER_KEYS = {"name", "arch", "psnr_y", "latency_ms", "fps", "params", "macs"}


@pytest.fixture(scope="module")
def results(tiny_run):
    return json.loads((tiny_run.path / "pareto.json").read_text())


@pytest.fixture(scope="module")
def records(tiny_run):
    return [json.loads(line) for line in (tiny_run.path / "archive.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def held_out(tiny):
    """The validation image of the run."""
    _, (pair,) = load_pairs(tiny.data, tiny.space.scale)
    return pair


def psnr_y(image, hr, border):
    """By scikit-image."""
    cut = slice(border, -border)
    lumas = (np.round(rgb2ycbcr(np.asarray(x))[cut, cut, 0]) for x in (hr, image))
    return peak_signal_noise_ratio(*lumas, data_range=255)


# --- files ------------------------------------------------------------------------------------------


FIGURES = ["pareto.png", "samples.png", "sharing.png"]


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_pictures(tiny_run, name):
    path = tiny_run.path / "figures" / name
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert min(pixels.shape[:2]) > 200
    assert pixels.std() > 1
    assert sorted(p.name for p in path.parent.iterdir()) == FIGURES


def test_pareto_json_has_the_documented_keys(results):
    assert set(results) == KEYS
    assert set(results["hypervolume_reference"]) == {"latency_ms", "psnr_y"}
    assert results["members"]
    assert all(set(member) == MEMBER_KEYS for member in results["members"])


def test_pareto_json_describes_the_run(tiny_run, tiny, results, records):
    assert results["format_version"] == 1
    assert results["scale"] == tiny.space.scale
    assert results["frame"] == list(tiny.search.frame)
    assert results["device"] == tiny_run.bundle.device
    assert results["space_size"] == 4**2 * 2
    assert results["evaluated"] == len(records) > tiny.search.population
    seconds = sum(record["seconds"] for record in records)
    assert results["candidates_per_second"] == pytest.approx(len(records) / seconds)


def test_where_the_time_of_the_search_went(tiny_run, tiny, results, records):
    clock = results["clock"]
    lines = (tiny_run.path / "search_clock.jsonl").read_text().splitlines()
    laps = {lap["stage"]: lap for lap in map(json.loads, lines)}
    assert list(laps) == ["latency", *range(tiny.search.generations), "members"]
    assert set(clock["seconds"]) == set(PARTS)
    for part, seconds in clock["seconds"].items():
        assert seconds == pytest.approx(sum(lap["seconds"][part] for lap in laps.values()))
    assert clock["total"] == pytest.approx(sum(clock["seconds"].values()))
    assert [part for part in PARTS if not clock["seconds"][part] > 0] == ["surrogate"]
    assert clock["evaluated"] == sum(lap["evaluated"] for lap in laps.values()) == len(records)
    assert clock["wall_candidates_per_second"] == pytest.approx(len(records) / clock["total"])
    assert clock["candidates_per_second"] == results["candidates_per_second"]
    assert clock["wall_candidates_per_second"] < clock["candidates_per_second"]


def test_the_run_prints_where_its_time_went(tiny_run, results):
    clock = results["clock"]
    head = next(i for i, line in enumerate(tiny_run.lines) if "where the search's time went" in line)
    _, names, _, *rows, last = tiny_run.lines[head].strip().splitlines()
    assert names.split() == ["part", "seconds", "share"]
    shown = {row.split()[0]: row.split()[1:] for row in rows}
    expected = {**clock["seconds"], "total": clock["total"]}
    assert list(shown) == [*PARTS, "total"]
    for name, (seconds, share, _) in shown.items():
        assert float(seconds) == pytest.approx(expected[name], abs=0.0051)
        assert float(share) == pytest.approx(100 * expected[name] / clock["total"], abs=0.051)
    assert last.startswith(f"{clock['evaluated']} candidates: ")
    assert " per second by the wall clock, " in last and last.endswith(" by the evaluator alone")


def test_results_without_a_clock_are_read(tiny_run, tmp_path, results):
    old = {name: value for name, value in results.items() if name != "clock"}
    (tmp_path / "pareto.json").write_text(json.dumps(old))
    space = tiny_run.bundle.space
    assert read_results(tmp_path, space).clock is None
    kept = read_results(tiny_run.path, space)
    assert dataclasses.asdict(kept.clock) == results["clock"]
    (tmp_path / "pareto.json").write_text(json.dumps({**results, "clock": {"total": "long"}}))
    with pytest.raises(InputError, match=r"^pareto\.json: clock"):
        read_results(tmp_path, space)


def test_weight_bytes(tiny_run, results):
    resident = sum(leaf.nbytes for leaf in jax.tree.leaves(tiny_run.bundle.params))
    assert results["union_weight_bytes"] == resident
    separate = 4 * sum(member["params"] for member in results["members"])
    assert results["ensemble_weight_bytes"] == separate >= resident


def test_members_are_a_front(tiny_run, tiny, results):
    members, space = results["members"], tiny_run.bundle.space
    for before, after in itertools.pairwise(members):
        assert before["latency_ms"] < after["latency_ms"]
        assert before["psnr_y"] < after["psnr_y"]
    assert len(members) <= tiny.search.members
    for member, kept in zip(members, tiny_run.bundle.members, strict=True):
        arch = parse_arch(space, member["name"])
        assert arch == tuple(member["arch"]) == kept.arch
        assert member["fps"] == pytest.approx(1000 / member["latency_ms"])
        assert member["params"] == arch_parameters(space, arch)
        assert member["macs"] == arch_mult_adds(space, arch)
        assert member["psnr_y"] == kept.psnr_y
        assert member["latency_ms"] == kept.latency_ms


def test_members_were_evaluated(results, records):
    archs = [tuple(record["arch"]) for record in records]
    assert {tuple(member["arch"]) for member in results["members"]} <= set(archs)
    assert len(set(archs)) == len(archs)


def hypervolume(results):
    reference = results["hypervolume_reference"]
    points = np.array([[m["latency_ms"], -m["psnr_y"]] for m in results["members"]])
    box = np.array([reference["latency_ms"], -reference["psnr_y"]])
    # pymoo's indicator wants at least one point; one on the reference has no volume.
    return HV(ref_point=box)(np.concatenate([points, [box]]))


def test_hypervolume_and_its_reference(tiny_run, results):
    reference = results["hypervolume_reference"]
    table = load_table(tiny_run.path / "latency.json", {})
    space = tiny_run.bundle.space
    slowest = predict(table, space, np.array([largest_arch(space)], np.int32))[0]
    assert reference["latency_ms"] == pytest.approx(float(slowest))
    assert reference["psnr_y"] == results["bicubic_psnr_y"]
    assert results["hypervolume"] == pytest.approx(hypervolume(results))


def test_hypervolume_of_members_better_than_bicubic(tiny_run):
    # So short a training stays below bicubic, and then there is no volume.
    bundle = dataclasses.replace(tiny_run.bundle, bicubic_psnr_y=20.0)
    table = load_table(tiny_run.path / "latency.json", {})
    table = dataclasses.replace(table, terms=(dataclasses.replace(table.terms[0], intercept_ms=1e6),))
    records = list(Archive(tiny_run.path / "archive.jsonl").records.values())
    results = run_results(bundle, records, table, []).to_json()
    assert results["hypervolume"] == pytest.approx(hypervolume(results))
    assert results["hypervolume"] > 0


def test_the_members_quality_can_be_had_again(tiny_run, results, held_out):
    upscaler, scale = Upscaler(tiny_run.bundle), results["scale"]
    for member in results["members"]:
        again = psnr_y(upscaler(held_out.lr, member["name"]), held_out.hr, scale)
        assert member["psnr_y"] == pytest.approx(again, abs=0.02)
    bicubic = psnr_y(bicubic_upscale(held_out.lr, scale), held_out.hr, scale)
    assert results["bicubic_psnr_y"] == pytest.approx(bicubic, abs=0.02)
    assert abs(bicubic - results["members"][-1]["psnr_y"]) > 0.02


def test_the_steps_of_the_members(tiny_run, results):
    steps, names = results["steps"], [member["name"] for member in results["members"]]
    assert [(step["from"], step["to"]) for step in steps] == list(itertools.pairwise(names))
    assert steps == [step.to_json() for step in tiny_run.bundle.steps]


def test_the_curve_of_sharing(tiny, results, records, tiny_run):
    weights = [point["weight"] for point in results["sharing"]]
    assert weights == sorted(weights)
    assert {*SWITCH_COST_WEIGHTS, tiny.search.switch_cost_weight} == set(weights)
    points = [Record(**{**record, "arch": tuple(record["arch"])}) for record in records]
    space, members = tiny_run.bundle.space, tiny.search.members
    assert results["sharing"] == sharing_curve(space, front_records(points), members=members, weights=weights)


# --- the terminal -----------------------------------------------------------------------------------


def assert_aligned(table):
    lines = table.splitlines()
    assert len({len(line) for line in lines}) == 1
    ends = [i for i, mark in enumerate(lines[1]) if mark == " "]
    # Between two columns nothing is written in any line.
    assert all(line[i] == " " for line in lines for i in ends)


@pytest.mark.parametrize(
    "rows", [[], [["a", "1", ""]], [["a much longer name", "1.25", "x"], ["b", "1234567.00", "yy"]]], ids=len
)
def test_format_table_is_aligned(rows):
    table = format_table(["name", "dB", "a long head"], rows)
    assert_aligned(table)
    found = [line.split("  ") for line in table.splitlines()]
    assert [cell.strip() for cell in found[0] if cell] == ["name", "dB", "a long head"]
    for row, line in zip(rows, table.splitlines()[2:], strict=True):
        assert line.startswith(row[0])
        assert [cell for cell in row if cell] == [c.strip() for c in line.split("  ") if c.strip()]


def test_members_table(tiny_run, results):
    table = members_table(tiny_run.bundle)
    assert_aligned(table)
    _, _, bicubic, *lines = table.splitlines()
    assert bicubic.split() == ["bicubic", f"{results['bicubic_psnr_y']:.2f}"]
    for line, member in zip(lines, results["members"], strict=True):
        name, psnr, latency, fps, weights, macs = line.split()
        assert name == member["name"]
        assert float(psnr) == pytest.approx(member["psnr_y"], abs=0.006)
        assert float(latency) == pytest.approx(member["latency_ms"], abs=0.006)
        assert float(fps) == pytest.approx(member["fps"], abs=0.06)
        assert float(weights.removesuffix("K")) == pytest.approx(member["params"] / 1e3, abs=0.06)
        assert float(macs.removesuffix("G")) == pytest.approx(member["macs"] / 1e9, abs=0.006)


STEP = Step(
    source="2id-u1",
    target="c3-id-u2",
    slots=(SlotChange(0, "slot00", "id", "c3"), SlotChange(2, "upsampler", "u1", "u2")),
    shared_bytes=1000,
    unshared_bytes=12_340,
    cost=0.5,
)


def test_steps_table():
    many = dataclasses.replace(
        STEP, target="a longer name", slots=tuple(SlotChange(i, f"slot{i:02d}", "r1", "id") for i in range(5))
    )
    table = steps_table([STEP, many])
    assert_aligned(table)
    head, _, two, five = table.splitlines()
    assert head.split("  ")[-1].strip() == "KB not shared"
    first, second, third = (cell.strip() for cell in two.split("  ") if cell.strip())
    assert (first, third) == ("2id-u1 -> c3-id-u2", "12.3")
    assert second == "2: slot00 id->c3, upsampler u1->u2"
    assert "  5: slot00 r1->id, slot01 r1->id, slot02 r1->id, +2  " in five
    # Both columns of text start in one place.
    assert len({head.index("slots that"), two.index("2: slot"), five.index("5: slot")}) == 1


def test_switch_table():
    report = SwitchReport({"2id-u1": 1.25, "b": 10.0}, {"2id-u1": 1.5, "b": 100.0}, 10, 3)
    *table, last = switch_table(report).splitlines()
    assert_aligned("\n".join(table))
    assert table[3].split() == ["b", "10.00", "100.00"]
    assert last == "10 switches, 3 compilations during them"


def test_the_run_ends_with_its_results(tiny_run, results):
    text = "\n".join(tiny_run.lines)
    switches = 5 * len(results["members"]) if len(results["members"]) > 1 else 0
    summary = f"{switches} switches, 0 compilations during them"
    head = format_table(["member", "steady ms", "first frame after switch ms"], [])
    table = members_table(tiny_run.bundle)
    first_cells = " ".join(head.splitlines()[0].split())
    assert first_cells in " ".join(text.split())
    assert text.count(summary) == text.count(table) == 1
    steps = steps_table(tiny_run.bundle.steps)
    assert text.count(steps) == (len(results["members"]) > 1)
    assert text.index(summary) < text.index(table)
    after = text[text.index(table) + len(table) :].splitlines()
    union, ensemble = results["union_weight_bytes"], results["ensemble_weight_bytes"]
    assert f"{results['evaluated']} of 32 archs evaluated" in after[1]
    assert f"{union / 1e3:.0f} KB, as separate models {ensemble / 1e3:.0f} KB" in after[1]
    names = [*(f"figures/{name}" for name in ("pareto.png", "sharing.png", "samples.png"))]
    names += ["pareto.json", "bundle", "report.html"]
    assert [line.strip() for line in after[-len(names) :]] == [str(tiny_run.path / name) for name in names]
    assert all((tiny_run.path / name).exists() for name in names)


def test_a_front_under_bicubic_is_said(tiny_run):
    """The tests' run is far too short to be good, which its user must hear."""
    assert tiny_run.bundle.members[-1].psnr_y < tiny_run.bundle.bicubic_psnr_y
    assert any("no member is better than bicubic" in line for line in tiny_run.lines)


def test_a_bundle_prints_its_members_and_no_weights(tiny_run):
    printed = repr(tiny_run.bundle)
    assert tiny_run.bundle.members[0].name in printed
    assert "Array(" not in printed and len(printed) < 4000
