"""What notebooks draw: the right things at the right places, read back from the figures."""

import builtins
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image
from pymoo.indicators.hv import HV

from dysr_jax.bench.front import bench_front
from dysr_jax.bench.scaling import ScalingResult, ScalingRow
from dysr_jax.bench.switch.result import FailedStrategy, StrategyResult, SwitchResult
from dysr_jax.metrics import psnr_y
from dysr_jax.model.space import gene_counts
from dysr_jax.report.comparison import cut_details
from dysr_jax.report.plots.front import constraints_figure, truth_figure
from dysr_jax.report.plots.latency import partition_figure, scaling_figure
from dysr_jax.report.plots.members import contributions_figure, details_figure, front_slider
from dysr_jax.report.plots.progress import generations_figure, generations_gif
from dysr_jax.report.plots.stream import switching_figure, walk_figure
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.measuring import SwitchReport
from dysr_jax.search.archive import Archive
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.schedule import computed_share, mult_add_costs
from dysr_jax.search.select import front_records


@pytest.fixture(scope="module")
def records(tiny_run):
    return list(Archive(tiny_run.path / "archive.jsonl", write=False).records.values())


def drawn(figure):
    """It can be made a PNG."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return Image.open(content).size


def texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


# --- details ------------------------------------------------------------------------------------------


def test_details_are_the_same_square_of_lr_and_hr():
    hr = np.zeros((64, 96, 3), np.uint8)
    hr[36:60, 52:92] = np.random.default_rng(0).integers(0, 256, (24, 40, 3))  # where there is detail
    lr = hr[::4, ::4]
    squares = cut_details({"lr": lr, "other": 255 - hr, "hr": hr}, 4, 33)
    assert [square.shape for square in squares.values()] == [(8, 8, 3), (32, 32, 3), (32, 32, 3)]
    assert squares["hr"].any()
    np.testing.assert_array_equal(squares["hr"][::4, ::4], squares["lr"])
    np.testing.assert_array_equal(squares["other"], 255 - squares["hr"])


def test_details_go_into_rows():
    images = {str(n): np.full((8, 8, 3), n, np.uint8) for n in range(5)}
    figure = details_figure(images, 4, side=8, columns=3)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["0", "1", "2", "3", "4", ""]
    drawn(figure)


# --- the front by generation --------------------------------------------------------------------------


def test_panels_show_the_candidates_of_their_generation(records, tiny):
    figure = generations_figure(records, panels=3)
    *panels, volume = figure.axes[:4]
    for generation, axes in enumerate(panels):
        known = [r for r in records if r.generation <= generation]
        assert f"generation {generation}: {len(known)} candidates" == axes.get_title()
        new = [r for r in records if r.generation == generation]
        expected = [(r.latency_ms, r.psnr_y) for r in new]
        np.testing.assert_allclose(axes.collections[1].get_offsets(), expected)
        assert list(axes.lines[0].get_xdata()) == [r.latency_ms for r in front_records(known)]
    points = np.array([[r.latency_ms, -r.psnr_y] for r in records])
    born = np.array([r.generation for r in records])
    hv = HV(ref_point=points.max(0))
    found = volume.lines[0].get_ydata()
    expected = [hv(points[born <= last]) for last in range(tiny.search.generations)]
    np.testing.assert_allclose(found, expected)


def test_the_gif_has_a_picture_a_generation(records, tiny):
    gif = Image.open(io.BytesIO(generations_gif(records, seconds=0.5)))
    assert gif.n_frames == tiny.search.generations
    assert gif.info["duration"] == 500
    gif.seek(gif.n_frames - 1)
    assert gif.info["duration"] == 1500


# --- constraints, the truth ---------------------------------------------------------------------------


def test_constraints_divide_the_candidates(records):
    bound = float(np.median([r.latency_ms for r in records]))
    figure = constraints_figure({"all": records}, SearchConfig(max_latency_ms=bound))
    (axes,) = figure.axes
    inside = [r for r in records if r.latency_ms <= bound]
    assert texts(axes)[:2] == [f"outside ({len(records) - len(inside)})", f"within ({len(inside)})"]
    assert list(axes.lines[0].get_xdata()) == [r.latency_ms for r in front_records(inside)]
    assert axes.lines[1].get_xdata()[0] == bound
    drawn(figure)


def test_the_truth_is_drawn_beside_what_was_found(tiny_run):
    check = bench_front(tiny_run.path)
    left, right = truth_figure(check).axes
    assert [len(points.get_offsets()) for points in left.collections] == [len(check.every), len(check.found)]
    assert list(left.lines[0].get_ydata()) == [r.psnr_y for r in front_records(check.every)]
    np.testing.assert_allclose(right.lines[0].get_ydata(), 100 * np.array(check.shares))


# --- members ------------------------------------------------------------------------------------------


def test_the_walk_shows_steady_and_first_frames(three_members):
    members = three_members.members
    names = [m.name for m in members]
    report = SwitchReport(
        {n: 1.0 + i for i, n in enumerate(names)}, {n: 2.0 + i for i, n in enumerate(names)}, 15, 0
    )
    quality = {n: 30.0 + i for i, n in enumerate(names)}
    left, right = walk_figure(members, report, quality, bicubic_psnr_y=29.0).axes
    assert [list(line.get_ydata()) for line in left.lines] == [[1, 2, 3], [2, 3, 4]]
    assert left.get_title() == "15 switches, 0 compilations"
    assert list(right.lines[0].get_ydata()) == [30, 31, 32]
    assert right.lines[1].get_ydata()[0] == 29.0


def test_contributions_name_both_branches(three_members):
    space = three_members.space
    figure = contributions_figure(space, (3, 2, 1), ["id", "id", "u1"], [0.5, 0.0, -0.1])
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == [0.5, 0.0, -0.1]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["r1\nid", "c3\nid", "u2\nu1"]


def test_the_slider_upscales_with_the_member_it_stands_at(three_members):
    pytest.importorskip("ipywidgets")
    bank = Bank(three_members)
    hr = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    lr = hr[::2, ::2]
    bank.prepare(lr.shape[:2])
    slider, words, picture = front_slider(bank, lr, hr, side=16).children
    shown = []
    for member in three_members.members:
        slider.value = member.name
        output = bank(lr, member.name)
        image = np.asarray(Image.open(io.BytesIO(picture.value)))
        assert any(
            np.array_equal(image, output[row : row + 16, column : column + 16])
            for row in range(0, 9)
            for column in range(0, 17)
        )
        assert words.value.startswith(f"{float(psnr_y(output, hr, 2)):.2f} dB")
        shown.append(picture.value)
    assert len(set(shown)) == len(shown)


def test_without_ipywidgets_there_is_no_slider(three_members, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "ipywidgets":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    image = np.zeros((8, 8, 3), np.uint8)
    assert front_slider(Bank(three_members), image[::2, ::2], image) is None


# --- devices ------------------------------------------------------------------------------------------


def test_all_candidates_are_shared_out_and_shared_work_is_less(full_space):
    rng = np.random.default_rng(0)
    genes = rng.integers(0, gene_counts(full_space), (40, len(gene_counts(full_space)))).astype(np.int32)
    left, right = partition_figure(mult_add_costs(full_space), genes, 4).axes
    assert sum(bar.get_height() for bar in left.patches) == 40
    alone, shared = (np.array([bar.get_height() for bar in right.patches[i : i + 4]]) for i in (0, 4))
    assert alone.mean() == pytest.approx(1.0)
    assert np.all(shared <= alone + 1e-9)
    assert computed_share(full_space, genes) < 1.0
    assert shared.sum() < alone.sum()


def test_scaling_is_drawn_as_work_of_one_device():
    rows = tuple(
        ScalingRow(n, 1.0, 1.0, e, 0.0, 1.0, 1.0, c)
        for n, e, c in ((1, 1.0, 1.0), (2, 0.9, 0.8), (4, 0.5, 0.25))
    )
    (axes,) = scaling_figure(ScalingResult("a device", "", "", "", "float32", rows)).axes
    _, step, search = (list(line.get_ydata()) for line in axes.lines)
    assert step == [1.0, 1.8, 2.0]
    assert search == [1.0, 1.6, 1.0]


def test_failed_strategies_are_left_out_of_the_figure():
    names = [field.name for field in dataclasses.fields(StrategyResult)]
    figures = {name: 1_000_000 if name.endswith("_bytes") else 1.0 for name in names}
    rows = StrategyResult(**{**figures, "name": "one", "members": ()}), FailedStrategy("two", "why")
    result = SwitchResult("a device", (8, 10), 2, "float32", 30.0, (), (), rows)
    left, right = switching_figure(result).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["one"]
    assert [bar.get_width() for bar in right.patches] == [1.0, 1.0, 1.0]
