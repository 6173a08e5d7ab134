"""Rates are those of the measured times; each pipeline has a row."""

import dataclasses

import pytest

from dysr_jax.bench import data as bench
from dysr_jax.bench.data import bench_data
from dysr_jax.config import SpaceConfig
from dysr_jax.errors import InputError

BATCH, STEPS = 2, 3


@pytest.fixture(scope="module")
def config(tiny):
    """Of two archs and the plainest recipe, because two training chunks are compiled."""
    space = SpaceConfig(slots=1, widths=(4,), scale=2, branches=("id", "c3"), upsamplers=("u1",))
    train = dataclasses.replace(tiny.train, batch=BATCH, distill=0.0)
    search = dataclasses.replace(tiny.search, population=2)
    return dataclasses.replace(tiny, space=space, train=train, search=search)


@pytest.mark.long
def test_every_pipeline_is_measured(config):
    result = bench_data(config, workers=(0,), steps=STEPS, rounds=1, seconds=0.01).to_json()
    rows = result.pop("pipelines")
    assert set(result) == {"device", "space", "images", "batch", "crops_per_image", "dtype"}
    assert result["batch"] == "2 patches of 12x12, 3 steps per dispatch"
    assert [row["name"] for row in rows] == ["training step", "pool", "grain, 0 workers"]
    step = rows[0]["patches_per_second"]
    for row in rows:
        for name in ("patches_per_second", "training_patches_per_second"):
            assert row[name] > 0
        assert row["ratio"] == pytest.approx(row["patches_per_second"] / step)
        assert row["training_ratio"] == pytest.approx(row["training_patches_per_second"] / step)


@pytest.fixture
def planted(monkeypatch):
    """No device works: milliseconds of a chunk and seconds of Grain's are made up."""
    ms = {"step": 6.0, "draw": 1.0, "pooled": 8.0}

    class Chunks:
        def close(self):
            pass

    monkeypatch.setattr(bench, "chunk_trainer", lambda *_, **__: "train")
    monkeypatch.setattr(bench, "_draws", lambda *_: None)
    monkeypatch.setattr(bench, "median_ms", lambda calls, *_, **__: {k: ms[k] for k in calls})
    monkeypatch.setattr(bench.GrainStream, "chunks", lambda *_, **__: Chunks())
    monkeypatch.setattr(bench, "_chunk_s", lambda chunks, use, least: 0.012 if use == "train" else 0.003)


def test_rates_of_planted_times(config, planted):
    rows = bench_data(config, workers=(0, 1), steps=STEPS).to_json()["pipelines"]
    found = {row.pop("name"): tuple(row.values()) for row in rows}
    assert found == {
        "training step": pytest.approx((1000, 1, 1000, 1)),
        "pool": pytest.approx((6000, 6, 750, 0.75)),
        "grain, 0 workers": pytest.approx((2000, 2, 500, 0.5)),
        "grain, 1 worker": pytest.approx((2000, 2, 500, 0.5)),
    }


def test_images_that_do_not_fit_have_no_pool(config, planted):
    data = dataclasses.replace(config.data, pool_share=1e-6)
    result = bench_data(dataclasses.replace(config, data=data), workers=(0,), steps=STEPS)
    assert [row.name for row in result.pipelines] == ["training step", "grain, 0 workers"]
    assert "data.pipeline grain" in result.images


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"rounds": 0}, "^rounds 0: must be at least 1$"),
        ({"steps": 0}, "^steps 0: must be at least 1$"),
        ({"seconds": 0.0}, "^seconds 0.0: must be above 0$"),
        ({"workers": (0, -1)}, "^workers -1: must be at least 0$"),
    ],
)
def test_what_cannot_be_measured(config, asked, message):
    with pytest.raises(InputError, match=message):
        bench_data(config, **asked)
