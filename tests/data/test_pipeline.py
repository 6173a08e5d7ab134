"""The pool or Grain: what is chosen by the bytes of a pool, and what is said of it."""

import dataclasses

import numpy as np
import pytest

from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import Example
from dysr_jax.data.pipeline import PoolNeed, choose_pipeline, describe_pipeline, pool_need
from dysr_jax.data.pool import MAX_CROPS
from dysr_jax.data.training import TrainingImages

GB = 10**9


class Unsized:
    """Images that only decoding tells the size of; counts how many were."""

    def __init__(self, shapes):
        self.shapes, self.decoded = shapes, 0
        self.names = [str(number) for number in range(len(shapes))]

    def __len__(self):
        return len(self.shapes)

    def __getitem__(self, index):
        self.decoded += 1
        return Example(self.names[index], np.zeros((*self.shapes[index], 3), np.uint8), None)


def test_without_sizes_the_need_is_estimated_from_a_few_images():
    source = Unsized([(16, 24)] * 400)
    config = DataConfig(patch=4)
    images = TrainingImages(source, None, config, 2)
    need = pool_need(images)
    assert source.decoded <= 16
    assert need == PoolNeed(400 * 8 * 12 * 3 * 5, 400 * 5 * 9, False)
    assert "about 0.6 MB" in describe_pipeline(dataclasses.replace(config, pipeline="pool"), need, GB)


@pytest.mark.parametrize(
    ("asked", "need", "chosen"),
    [
        ("auto", PoolNeed(GB // 4, 9, True), "pool"),
        ("auto", PoolNeed(GB // 4 + 1, 9, True), "grain"),
        ("auto", PoolNeed(1, MAX_CROPS + 1, True), "grain"),
        ("pool", PoolNeed(9 * GB, 9, True), "pool"),
        ("grain", PoolNeed(1, 9, True), "grain"),
    ],
)
def test_auto_takes_the_pool_where_it_fits(asked, need, chosen):
    config = DataConfig(pipeline=asked, pool_share=0.25)
    assert choose_pipeline(config, need, GB) == chosen


def test_the_choice_is_said_with_its_bytes():
    need = PoolNeed(12_345_678, 9, True)
    pool, grain = (
        describe_pipeline(DataConfig(pipeline=name, pool_share=0.3), need, 8 * GB)
        for name in ("pool", "grain")
    )
    for said in (pool, grain):
        assert "12.3 MB" in said
        assert "30 % of its 8.0 GB" in said
    assert "data.pipeline pool" in pool
    assert "data.pipeline grain" in grain
