"""Rescaled copies: their sizes and names before any is decoded, their pixels, both pipelines with them."""

import dataclasses

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax import parallel
from dysr_jax.data import folders
from dysr_jax.data.config import DataConfig
from dysr_jax.data.degradation import bicubic_downscale, resize
from dysr_jax.data.examples import Example
from dysr_jax.data.grain_stream import GrainStream
from dysr_jax.data.images.write import write_image
from dysr_jax.data.pipeline import pool_need
from dysr_jax.data.pool import build_pool
from dysr_jax.data.sources import add_rescaled, rescaled_shape, split_source
from dysr_jax.data.training import load_pairs, open_training_images
from dysr_jax.errors import InputError
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import Supernet
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.loop import train

SCALE, PATCH = 2, 4
SHAPES = ((16, 20), (21, 13), (12, 12), (30, 16), (8, 9))
FACTORS = (0.8, 0.5)


@pytest.fixture
def config(tmp_path):
    """Five images; the third of them is held out."""
    rng = np.random.default_rng(0)
    (folder := tmp_path / "images").mkdir()
    for number, shape in enumerate(SHAPES):
        write_image(folder / f"{number}.png", rng.integers(0, 256, (*shape, 3), np.uint8))
    return DataConfig(source=f"folder:{folder}", patch=PATCH, holdout=1, rescale=FACTORS)


COPIES = {
    "0.png*0.8": (13, 16),
    "1.png*0.8": (17, 10),
    "3.png*0.8": (24, 13),
    "0.png*0.5": (8, 10),
    "3.png*0.5": (15, 8),
}
"""Rounded by hand; of 8x9 nothing of 8x8 is left, and 13 halves to 6."""


def test_names_and_sizes_are_known_before_decoding(config, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(folders, "read_image", lambda file: pytest.fail(f"{file} was decoded"))
        source, held = split_source(config, SCALE)
        assert list(held.names) == ["2.png"]
        originals = ["0.png", "1.png", "3.png", "4.png"]
        assert list(source.names) == [*originals, *COPIES]
        assert len(source) == 9
        sizes = [tuple(size) for size in source.sizes.tolist()]
    assert sizes == [SHAPES[int(name[0])] for name in originals] + list(COPIES.values())
    examples = [source[index] for index in range(9)]
    assert [example.name for example in examples] == list(source.names)
    assert [example.hr.shape[:2] for example in examples] == sizes


def test_a_copy_is_matlab_s_bicubic_of_the_original(config):
    source, _ = split_source(config, SCALE)
    for boundary in ("replicate", "symmetric"):
        source = dataclasses.replace(source, boundary=boundary)
        for index, (name, shape) in enumerate(COPIES.items(), start=4):
            original = source[["0", "1", "3"].index(name[0])]
            assert original.name == name[:5]
            np.testing.assert_array_equal(source[index].hr, resize(original.hr, shape, boundary))


def test_lr_of_a_copy_is_made(config):
    for pair in load_pairs(config, SCALE)[0]:
        np.testing.assert_array_equal(pair.lr, bicubic_downscale(pair.hr, SCALE))


class Given:
    """Images with an LR image that no degradation would make."""

    names = ("a", "b")

    def __len__(self):
        return 2

    @property
    def sizes(self):
        return np.array([(20, 24)] * 2)

    def __getitem__(self, index):
        hr = np.random.default_rng(index).integers(0, 256, (20, 24, 3), np.uint8)
        return Example(self.names[index], hr, np.full((10, 12, 3), index, np.uint8))


def test_the_given_lr_image_is_the_original_s_alone():
    source = add_rescaled(Given(), DataConfig(patch=PATCH, rescale=(0.5,)), SCALE)
    assert list(source.names) == ["a", "b", "a*0.5", "b*0.5"]
    for index in range(2):
        np.testing.assert_array_equal(source[index].lr, Given()[index].lr)
        assert source[2 + index].lr is None


@settings(deadline=None, derandomize=True, database=None, max_examples=50)
@given(
    factors=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=3, unique=True).map(tuple),
    patch=st.integers(1, 8),
)
def test_a_patch_fits_into_every_copy(factors, patch):
    source = add_rescaled(Given(), DataConfig(patch=patch, rescale=factors), SCALE)
    expected = [f for f in factors if min(round(20 * f), round(24 * f)) >= patch * SCALE]
    assert len(source) == 2 + 2 * len(expected)
    assert source.sizes.min() >= patch * SCALE


def test_a_side_is_at_least_a_pixel():
    assert rescaled_shape((3, 400), 0.01) == (1, 4)


@pytest.mark.parametrize("factor", [0.0, -0.5, 1.0, 1.5, float("nan"), float("inf")])
def test_a_factor_that_does_not_shrink(config, factor):
    with pytest.raises(InputError, match=rf"data\.rescale {factor}: must be in \(0, 1\)"):
        dataclasses.replace(config, rescale=(0.5, factor))


def test_images_of_unknown_size():
    class Unsized:
        names, sizes = ("a",), None

        def __len__(self):
            return 1

    config = DataConfig(rescale=(0.5,))
    with pytest.raises(InputError, match=r"data\.rescale \(0\.5,\):.*does not tell the sizes"):
        add_rescaled(Unsized(), config, SCALE)
    unsized = Unsized()
    assert add_rescaled(unsized, DataConfig(), SCALE) is unsized


def test_the_pool_and_its_need(config):
    images, _ = open_training_images(config, SCALE)
    pairs, expected = images.load(), load_pairs(config, SCALE)[0]
    assert [pair.name for pair in pairs] == [pair.name for pair in expected] == list(images.source.names)
    for mine, theirs in zip(pairs, expected, strict=True):
        np.testing.assert_array_equal(mine.hr, theirs.hr)
    pool = build_pool(pairs, PATCH)
    assert pool_need(images)[:2] == (pool.nbytes, int(pool.last[-1]))


@pytest.mark.parametrize("workers", [0, 1])
def test_grain_cuts_from_copies_too(config, workers):
    config = dataclasses.replace(config, workers=workers, crops_per_image=4)
    images, _ = open_training_images(config, SCALE)
    real = {
        pair.name: {
            pair.hr[r : r + 8, c : c + 8].tobytes()
            for r in range(0, pair.hr.shape[0] - 7, 2)
            for c in range(0, pair.hr.shape[1] - 7, 2)
        }
        for pair in images.load()
    }
    chunks = GrainStream(images).chunks(0, parallel.device_mesh(1), chunk=9, groups=1, batch=8)
    _, hr = next(chunks)
    chunks.close()
    cut = {patch.tobytes() for patch in np.asarray(hr).reshape(-1, 8, 8, 3)}
    assert cut <= set.union(*real.values())
    assert all(cut & places for name, places in real.items() if "*" in name and len(places) > 4)


@pytest.mark.long
def test_a_training_on_copies(config, tmp_path):
    """Both pipelines, to the end."""
    space = uniform_space(slots=1, widths=4, scale=SCALE, branches=("id", "c3"), upsamplers=("u1",))
    recipe = TrainConfig(steps=2, chunk=2, batch=2, warmup=0, archs="patch")
    images, _ = open_training_images(config, SCALE)
    for data in (build_pool(images.load(), PATCH), GrainStream(images)):
        run = tmp_path / type(data).__name__
        mesh = parallel.device_mesh(1)
        state = train(jax.random.key(0), Supernet(space), data, recipe, mesh, run)
        assert int(state.step) == 2
