"""Whatever the figure: text of 8 points, all of it on the page, none of it on other text."""

import itertools

import pytest
from matplotlib.text import Text

from dysr_jax.bundle.bundle import make_member
from dysr_jax.model.space import largest_arch, smallest_arch, uniform_space
from dysr_jax.report.plots.members import _ink, strips_figure
from dysr_jax.report.plots.style import COLOURS, COLUMN, PAGE

NAMES = {
    **dict.fromkeys(("training", "candidates", "hypervolume", "members", "memory"), COLUMN),
    **dict.fromkeys(("latency", "switch"), COLUMN),
    **dict.fromkeys(("strips", "comparison", "timeline_adaptive"), PAGE),
}


def spans(axis, side):
    """Where the labels of an axis begin and end along it; ticks outside its limits are never drawn."""
    low, high = getattr(axis.axes.bbox, f"interval{side}")
    boxes = [getattr(label.get_window_extent(), f"interval{side}") for label in named(axis)]
    return sorted((span for span in boxes if low - 1 <= span.mean() <= high + 1), key=min)


def named(axis):
    return [label for label in axis.get_ticklabels(which="both") if label.get_text()]


def assert_readable(figure):
    ticks = set()
    for axes in figure.axes:
        for axis, side in ((axes.xaxis, "x"), (axes.yaxis, "y")):
            ticks |= {*named(axis)}
            for before, after in itertools.pairwise(spans(axis, side)):
                assert max(before) <= min(after) + 1, [t.get_text() for t in named(axis)]
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= 8
    page = figure.bbox.padded(1)
    for text in {*texts} - ticks:
        box = text.get_window_extent()
        assert page.contains(*box.min) and page.contains(*box.max), text.get_text()


def test_there_is_a_figure_of_everything(drawn):
    assert {name: figure.get_figwidth() for name, figure in drawn.items()} == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_text_is_readable(drawn, name):
    assert_readable(drawn[name])


@pytest.mark.parametrize("name", sorted({*NAMES} - {"strips", "comparison"}))
def test_axes_say_what_they_show_and_in_which_unit(drawn, name):
    for axes in drawn[name].axes:
        assert axes.get_ylabel() or name == "switch"
    assert drawn[name].axes[-1].get_xlabel()
    units = " ".join(axes.get_xlabel() + axes.get_ylabel() for axes in drawn[name].axes)
    assert any(unit in units for unit in ("ms", "dB", "KB", "step", "seconds"))


def luminance(colour):
    """WCAG 2's, written once more."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("colour", [*COLOURS, "#EEEEEE"])
def test_names_contrast_with_their_cells(colour):
    paper = luminance(colour)
    ratio = (paper + 0.05) / 0.05 if _ink(colour) == "black" else 1.05 / (paper + 0.05)
    assert ratio >= 4.5


def test_strips_of_more_slots_than_names_have_room_for():
    space = uniform_space(slots=60, widths=4, scale=2)
    archs = [smallest_arch(space), largest_arch(space)]
    figure = strips_figure(space, [make_member(space, arch, 30.0, 1.0) for arch in archs])
    (axes,) = figure.axes
    assert not axes.texts
    listed = [text.get_text() for text in axes.get_legend().get_texts()]
    used = {space.slots[slot][index] for arch in archs for slot, index in enumerate(arch)}
    assert set(listed) == used
