"""Training images that are known before they are decoded: which, how large, for which pipeline."""

import dataclasses

import numpy as np
import pytest

from dysr_jax.data import folders
from dysr_jax.data.choice import Need, choose_pipeline, describe, pool_need
from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import Example, Subset
from dysr_jax.data.images.read import write_image
from dysr_jax.data.pool import MAX_CROPS, build_pool
from dysr_jax.data.records import RecordImages
from dysr_jax.data.sources import load_pairs
from dysr_jax.data.training import TrainingImages, known_sizes, open_images
from dysr_jax.errors import InputError

SCALE, PATCH = 2, 4
SHAPES = ((16, 20), (21, 13), (12, 12), (30, 16), (8, 9))
GB = 10**9


def noise(shape, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.fixture
def config(tmp_path) -> DataConfig:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, shape in enumerate(SHAPES):
        write_image(folder / f"{number}.png", noise(shape, number))
    return DataConfig(source=f"folder:{folder}", patch=PATCH, holdout=1)


def same_pairs(found, expected):
    assert [pair.name for pair in found] == [pair.name for pair in expected]
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine.lr, theirs.lr)
        np.testing.assert_array_equal(mine.hr, theirs.hr)


@pytest.mark.parametrize("validation", ["", "embedded", "the same folder"])
def test_the_images_are_those_of_load_pairs(config, validation):
    if validation == "the same folder":
        validation = config.source
    config = dataclasses.replace(config, validation=validation)
    images, held = open_images(config, SCALE)
    training, expected = load_pairs(config, SCALE)
    same_pairs(held, expected)
    same_pairs(images.load(), training)
    assert images.names == [pair.name for pair in training]
    np.testing.assert_array_equal(images.sizes, [pair.lr.shape[:2] for pair in training])


def test_the_embedded_photographs_are_those_of_load_pairs():
    images, held = open_images(DataConfig(), 4)
    assert images.names == ["chelsea", "coffee", "motorcycle", "rocket"]
    assert [pair.name for pair in held] == ["astronaut"]


def test_training_images_are_not_decoded_before_they_are_asked_for(config, monkeypatch):
    decoded, real = [], folders.read_image

    def counted(file):
        decoded.append(file.name)
        return real(file)

    monkeypatch.setattr(folders, "read_image", counted)
    images, held = open_images(config, SCALE)
    assert pool_need(images).exact
    assert decoded == [pair.name for pair in held]
    images.source[images.indices[0]]
    assert decoded[1:] == images.names[:1]


def test_small_images_are_found_by_their_headers(config):
    config = dataclasses.replace(config, patch=5)
    with pytest.raises(InputError, match=r"'4\.png' of 8x8 is smaller.*10x10.*--data\.small skip"):
        open_images(config, SCALE)
    images, _ = open_images(dataclasses.replace(config, small="skip"), SCALE)
    assert "4.png" not in images.names
    config = dataclasses.replace(config, small="skip", patch=99)
    with pytest.raises(InputError, match=r"data\.patch 99: no image of 'folder:.*large enough"):
        open_images(config, SCALE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch": 0}, "data.patch 0: allowed is 1 or more"),
        ({"source": "nothing"}, "'nothing': allowed are embedded, folder:PATH"),
        ({"holdout": 5}, r"data\.holdout 5:.*allowed are 1 to 4"),
    ],
)
def test_sources_that_cannot_be(config, change, message):
    with pytest.raises(InputError, match=message):
        open_images(dataclasses.replace(config, **change), SCALE)


def test_the_need_is_what_a_pool_takes(config):
    images, _ = open_images(config, SCALE)
    pool = build_pool(images.load(), PATCH)
    assert pool_need(images) == Need(pool.nbytes, int(pool.last[-1]), True)


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
    source = Unsized([(16, 24)] * 500)
    config = DataConfig(patch=PATCH)
    images = TrainingImages(source, np.arange(400), None, config, SCALE)
    need = pool_need(images)
    assert source.decoded <= 16
    assert need == Need(400 * 8 * 12 * 3 * 5, 400 * 5 * 9, False)
    assert "about 0.6 MB" in describe(dataclasses.replace(config, pipeline="pool"), need, GB)


@pytest.mark.parametrize(
    ("asked", "need", "chosen"),
    [
        ("auto", Need(GB // 4, 9, True), "pool"),
        ("auto", Need(GB // 4 + 1, 9, True), "grain"),
        ("auto", Need(1, MAX_CROPS + 1, True), "grain"),
        ("pool", Need(9 * GB, 9, True), "pool"),
        ("grain", Need(1, 9, True), "grain"),
    ],
)
def test_auto_takes_the_pool_where_it_fits(asked, need, chosen):
    config = DataConfig(pipeline=asked, pool_share=0.25)
    assert choose_pipeline(config, need, GB) == chosen


def test_the_choice_is_said_with_its_bytes():
    need = Need(12_345_678, 9, True)
    pool, grain = (
        describe(DataConfig(pipeline=name, pool_share=0.3), need, 8 * GB) for name in ("pool", "grain")
    )
    for said in (pool, grain):
        assert "12.3 MB" in said
        assert "30 % of its 8.0 GB" in said
    assert "data.pipeline pool" in pool
    assert "data.pipeline grain" in grain


def test_records_without_stored_sizes_are_not_decoded_for_them(tmp_path):
    """Nothing is at the path: decoding would fail."""
    records = RecordImages(tmp_path, "train", SCALE, ("a", "b"), "hr", "")
    assert known_sizes(records) is None
    stored = dataclasses.replace(records, sizes=((8, 9), (10, 11)))
    np.testing.assert_array_equal(known_sizes(stored), stored.sizes)
    np.testing.assert_array_equal(known_sizes(Subset(stored, (1,))), [(10, 11)])
