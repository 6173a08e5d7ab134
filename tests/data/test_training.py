"""Training images that are known before they are decoded: which, how large, what a pool of them takes."""

import dataclasses

import numpy as np
import pytest

from dysr_jax.data import folders
from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import Subset, make_pairs
from dysr_jax.data.images.write import write_image
from dysr_jax.data.pipeline import PoolNeed, pool_need
from dysr_jax.data.pool import build_pool
from dysr_jax.data.records import RecordImages
from dysr_jax.data.sources import split_source
from dysr_jax.data.training import load_pairs, open_training_images
from dysr_jax.errors import InputError

SCALE, PATCH = 2, 4
SHAPES = ((16, 20), (21, 13), (12, 12), (30, 16), (8, 9))


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


@pytest.mark.parametrize("validation", [None, "embedded", "the same folder"])
def test_the_images_are_those_of_the_split(config, validation):
    if validation == "the same folder":
        validation = config.source
    config = dataclasses.replace(config, validation=validation)
    images, held = open_training_images(config, SCALE)
    training, expected = (make_pairs(source, SCALE) for source in split_source(config, SCALE))
    same_pairs(held, expected)
    same_pairs(images.load(), training)
    for loaded, pairs in zip(load_pairs(config, SCALE), (training, expected), strict=True):
        same_pairs(loaded, pairs)
    assert list(images.source.names) == [pair.name for pair in training]
    np.testing.assert_array_equal(images.sizes, [pair.lr.shape[:2] for pair in training])


def test_the_embedded_photographs():
    images, held = open_training_images(DataConfig(), 4)
    assert list(images.source.names) == ["chelsea", "coffee", "motorcycle", "rocket"]
    assert [pair.name for pair in held] == ["astronaut"]


def test_images_are_not_decoded_before_they_are_asked_for(config, monkeypatch):
    decoded, real = [], folders.read_image

    def counted(file):
        decoded.append(file.name)
        return real(file)

    monkeypatch.setattr(folders, "read_image", counted)
    images, held = open_training_images(config, SCALE)
    assert pool_need(images).exact
    assert decoded == [pair.name for pair in held]
    images.source[0]
    assert decoded[1:] == images.source.names[:1]


def test_small_images_are_found_by_their_headers(config):
    config = dataclasses.replace(config, patch=5)
    with pytest.raises(InputError, match=r"'4\.png' of 8x8 is smaller.*10x10.*--data\.small skip"):
        open_training_images(config, SCALE)
    images, _ = open_training_images(dataclasses.replace(config, small="skip"), SCALE)
    assert "4.png" not in images.source.names
    config = dataclasses.replace(config, small="skip", patch=99)
    with pytest.raises(InputError, match=r"data\.patch 99: no image of 'folder:.*large enough"):
        open_training_images(config, SCALE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch": 0}, "data.patch 0: must be at least 1"),
        ({"source": "nothing"}, "'nothing': must be embedded, folder:PATH"),
        ({"holdout": 5}, r"data\.holdout 5:.*must be 1 to 4"),
    ],
)
def test_sources_that_cannot_be(config, change, message):
    with pytest.raises(InputError, match=message):
        open_training_images(dataclasses.replace(config, **change), SCALE)


def test_the_need_is_what_a_pool_takes(config):
    images, _ = open_training_images(config, SCALE)
    pool = build_pool(images.load(), PATCH)
    assert pool_need(images) == PoolNeed(pool.nbytes, int(pool.last[-1]), True)


def test_records_without_stored_sizes_are_not_decoded_for_them(tmp_path):
    """Nothing is at the path: decoding would fail."""
    records = RecordImages(tmp_path, "train", SCALE, ("a", "b"), "hr", None)
    assert Subset(records, (1,)).sizes is None
    stored = dataclasses.replace(records, sizes=np.array([(8, 9), (10, 11)]))
    np.testing.assert_array_equal(Subset(stored, (1,)).sizes, [(10, 11)])
