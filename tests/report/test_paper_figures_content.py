"""What the figures show is what the run holds."""

import dataclasses

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from numpy.testing import assert_allclose

from dysr_jax.bench.switch.result import FailedStrategy
from dysr_jax.bundle.bundle import make_member
from dysr_jax.bundle.members import member_steps
from dysr_jax.model.space import uniform_space
from dysr_jax.report.plots.latency import predictions_figure
from dysr_jax.report.plots.members import contributions_figure, memory_figure, strips_figure
from dysr_jax.report.plots.progress import training_figure
from dysr_jax.report.plots.stream import switch_figure
from dysr_jax.report.plots.style import paper_style
from dysr_jax.train.log import Curve


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def test_every_candidate_and_the_front(drawn, data):
    (axes,) = drawn["candidates"].axes
    found = data.candidates
    points = np.stack([found.latency_ms, found.psnr_y], 1)
    assert_allclose(axes.collections[0].get_offsets(), points)
    (front,) = axes.lines
    assert_allclose(front.get_xydata(), points[found.front])
    for point in front.get_xydata():  # the definition: nothing is as fast and better
        better = (points[:, 0] <= point[0]) & (points[:, 1] > point[1])
        assert not better.any()


def test_the_members_and_bicubic(drawn, data):
    (axes,) = drawn["members"].axes
    members = data.results.members
    line = axes.lines[0]
    assert_allclose(line.get_xydata(), [(m.latency_ms, m.psnr_y) for m in members])
    assert [text.get_text() for text in axes.texts] == [str(n + 1) for n in range(len(members))]
    assert_allclose(lines(axes)["bicubic"].get_ydata(), data.results.bicubic_psnr_y)


def test_hypervolume_by_generation(drawn, data):
    (axes,) = drawn["hypervolume"].axes
    assert len(axes.lines[0].get_ydata()) == data.config.search.generations
    assert f"{len(data.candidates.psnr_y):,} candidates" in axes.texts[0].get_text()


def test_short_curves_are_drawn_as_they_are(drawn, data):
    losses, gradient = drawn["training"].axes
    assert set(lines(losses)) == {"loss", "L1, largest", "L1, smallest", "L1, random"}
    for name, line in {**lines(losses), "L1, gradient_norm": gradient.lines[0]}.items():
        curve = data.training[name.removeprefix("L1, ")]
        assert_allclose(line.get_xydata(), np.stack([curve.step, curve.value], 1))


def test_long_curves_are_means_of_equal_parts():
    steps_, values = np.arange(1, 1001), np.random.default_rng(0).normal(5, 1, 1000)
    (axes,) = training_figure({"loss": Curve(steps_, values)}).axes
    assert_allclose(axes.lines[0].get_xdata(), steps_.reshape(50, 20).mean(1))
    assert_allclose(axes.lines[0].get_ydata(), values.reshape(50, 20).mean(1))


def framed(axes):
    """Slots with a frame, by row."""
    found = {}
    for patch in axes.patches:
        if isinstance(patch, Rectangle) and not patch.get_fill():
            found.setdefault(int(patch.get_y()), set()).add(int(patch.get_x()))
    return found


def test_strips_frame_the_slots_of_each_step():
    space = uniform_space(slots=3, widths=4, scale=2, branches=("id", "s3", "r1"))
    archs = [(0, 0, 0, 0), (0, 2, 0, 0), (0, 2, 0, 0), (1, 0, 2, 1)]
    members = [make_member(space, arch, 30.0 + i, 1.0 + i) for i, arch in enumerate(archs)]
    (axes,) = strips_figure(space, members).axes
    ladder = member_steps(space, archs)
    expected = {row: {c.slot for c in step.slots} for row, step in enumerate(ladder, 1)}
    assert framed(axes) == {row: slots for row, slots in expected.items() if slots}
    cells = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in axes.texts}
    names = {
        (row, slot): space.slots[slot][index]
        for row, arch in enumerate(archs)
        for slot, index in enumerate(arch)
    }
    assert cells == names
    filled = {
        (int(p.get_y()), int(p.get_x())): to_hex(p.get_facecolor()) for p in axes.patches if p.get_fill()
    }
    # One colour a branch, wherever it stands, and no two branches share one.
    assert len({(names[place], colour) for place, colour in filled.items()}) == 5
    assert len(set(filled.values())) == 5


def test_strips_and_contributions_have_the_width():
    space = uniform_space(slots=2, widths=(4, 8), scale=2, branches=("id", "r1"))
    archs = [(0, 1, 0, 0), (0, 1, 0, 1), (1, 1, 1, 1)]
    members = [make_member(space, arch, 30.0 + i, 1.0 + i) for i, arch in enumerate(archs)]
    (axes,) = strips_figure(space, members).axes
    assert framed(axes) == {1: {3}, 2: {0, 2}}
    assert [t.get_text() for t in axes.texts if t.get_position()[0] == 3.5] == ["w4", "w8", "w8"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "up", "w"]
    (axes,) = contributions_figure(space, archs[-1], ("id", "id", "u1", "w4"), [0.1, 0.2, -0.1, 0.4]).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["r1\nid", "r1\nid", "u2\nu1", "w8\nw4"]


def test_memory_ends_with_what_the_run_says(drawn, data):
    (axes,) = drawn["memory"].axes
    found, results = lines(axes), data.results
    last = {name: line.get_ydata()[-1] for name, line in found.items()}
    assert last["separate models"] * 1e3 == results.ensemble_weight_bytes
    assert last["shared and resident"] * 1e3 == results.union_weight_bytes
    saved = 100 * (1 - results.union_weight_bytes / results.ensemble_weight_bytes)
    assert axes.texts[0].get_text() == f"{saved:.0f} % less"
    assert axes.get_ylabel() == "weights, KB"


def test_memory_of_large_models_is_in_megabytes():
    space = uniform_space(slots=4, widths=64, scale=4)
    archs = [(3, 3, 3, 3, 0), (8, 8, 8, 8, 1)]
    members = [make_member(space, arch, 30.0, 1.0) for arch in archs]
    (axes,) = memory_figure(space, members).axes
    total = sum(member.parameters for member in members) * 4 / 1e6
    assert axes.get_ylabel() == "weights, MB"
    assert lines(axes)["separate models"].get_ydata()[-1] == pytest.approx(total)


def test_predicted_against_measured(drawn, data):
    (axes,) = drawn["latency"].axes
    offsets = [np.asarray(group.get_offsets()) for group in axes.collections]
    measured = [*data.table.measured_ms.values()], [m.latency_ms for m in data.results.members]
    for found, times in zip(offsets, measured, strict=True):
        assert_allclose(found[:, 0], times)
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend[0] == "exact" and len(legend) == 3
    error = 100 * np.mean(np.abs(offsets[1][:, 1] - offsets[1][:, 0]) / offsets[1][:, 0])
    assert legend[2] == f"members, measured later ({len(measured[1])}), error {error:.1f} %"


def test_a_table_without_members(data):
    from dysr_jax.results import latency_predictions

    with paper_style():
        (axes,) = predictions_figure(latency_predictions(data.space, data.table, None)).axes
    assert len(axes.collections) == 1


def test_switches_by_strategy(drawn, data):
    (axes,) = drawn["switch"].axes
    rows = data.switch.strategies
    assert [label.get_text() for label in axes.get_yticklabels()] == [row.name for row in rows]
    found = lines(axes)
    for label, kind in (("steady frame", "steady"), ("first frame after a switch", "switch")):
        assert_allclose(found[label].get_xdata(), [getattr(row, f"{kind}_ms_p50") for row in rows])
    ends = [path.vertices[:, 0].tolist() for lines_ in axes.collections for path in lines_.get_paths()]
    spans = [
        [getattr(row, f"{kind}_ms_p{q}") for q in (50, 99)] for kind in ("steady", "switch") for row in rows
    ]
    assert_allclose(ends, spans)


def test_a_strategy_that_failed_has_no_row(data):
    failed = (FailedStrategy("ensemble", "no memory"), *data.switch.strategies[:2])
    (axes,) = switch_figure(dataclasses.replace(data.switch, strategies=failed)).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [row.name for row in data.switch.strategies[:2]]


def test_the_compared_pictures_are_the_runs(drawn, data):
    panels = drawn["comparison"].axes
    titles = [axes.get_title() for axes in panels]
    assert titles[0].startswith("LR") and titles[-1].startswith("HR")
    found = data.comparison
    quality = [float(title.split("\n")[1].removesuffix(" dB")) for title in titles[1:-1]]
    members = [name for name in found.pictures if name in {m.name for m in data.results.members}]
    # Latencies are measured, so this run's front may have one member alone.
    shown = dict.fromkeys(("bicubic", members[0], members[-1]))
    expected = [found.psnr_y[name] for name in shown]
    assert quality == pytest.approx(expected, abs=0.006)
    low, high = (axes.images[0].get_array() for axes in (panels[0], panels[-1]))
    assert [side * found.scale for side in low.shape[:2]] == [*high.shape[:2]]


def test_one_member_is_fastest_and_best(data):
    from dysr_jax.report.plots.members import comparison_figure

    pictures = dict(data.comparison.pictures)
    names = [name for name in pictures if name not in ("LR", "bicubic", "HR")]
    for name in names[1:]:
        del pictures[name]
    figure = comparison_figure(data.comparison._replace(pictures=pictures))
    assert len(figure.axes) == 4
    assert dataclasses.is_dataclass(data)
