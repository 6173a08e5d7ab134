"""The figure of sharing: what is drawn where, and that it can be written to a bucket."""

import numpy as np
import pytest
from etils import epath

from dysr_jax.report.plots import style
from dysr_jax.report.plots.front import sharing_figure
from dysr_jax.search.select import SharingPoint


def point(weight, share, resident):
    return SharingPoint(
        weight=weight,
        hypervolume_share=share,
        resident_bytes=resident,
        ensemble_bytes=9 * resident,
        changed_slots=3,
        step_cost=resident / 1e7,
    )


CURVE = [point(0.0, 0.98, 5_700_000), point(0.1, 0.93, 4_700_000), point(1.0, 0.6, 4_400_000)]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, by file name."""
    figures = {}
    monkeypatch.setattr(style, "save_figure", lambda figure, path: figures.update({path.name: figure}))
    return figures


def test_weights_are_labelled_points_and_the_used_one_is_ringed(drawn, tmp_path):
    alike = {**CURVE[1], "weight": 0.3, "hypervolume_share": 0.9299}
    sharing_figure(tmp_path / "a.png", [*CURVE[:2], alike, CURVE[2]], used=0.1)
    left, right = drawn["a.png"].axes
    for axes, x in ((left, [5.7, 4.7, 4.7, 4.4]), (right, [0.57, 0.47, 0.47, 0.44])):
        points, ring = axes.lines
        np.testing.assert_allclose(points.get_xdata(), x)
        np.testing.assert_allclose(points.get_ydata(), [98, 93, 92.99, 60])
        np.testing.assert_allclose(ring.get_xydata(), [[x[1], 93]])
        labels = {text.get_text(): text.xy for text in axes.texts}
        assert list(labels) == ["0", "0.1, 0.3", "1"]
        assert labels["1"] == pytest.approx((x[3], 60))
    assert "MB (as separate models 39.6 to 51.3 MB)" in left.get_xlabel()
    assert left.get_ylabel() == "hypervolume, % of the whole front's"


def test_a_figure_in_a_bucket(bucket):
    path = epath.Path(bucket) / "sharing.png"
    sharing_figure(path, CURVE, used=0.1)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert [file.name for file in path.parent.iterdir()] == ["sharing.png"]


def test_weights_that_all_choose_alike_share_one_label(drawn, tmp_path):
    alike = [{**CURVE[0], "weight": weight} for weight in (0.0, 0.1, 1.0)]
    sharing_figure(tmp_path / "a.png", alike, used=0.1)
    for axes in drawn["a.png"].axes:
        assert [text.get_text() for text in axes.texts] == ["0, 0.1, 1"]
