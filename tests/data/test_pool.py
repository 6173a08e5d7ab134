"""Crops drawn on the device: each is a symmetry of a real crop, and every crop is drawn."""

import collections
import itertools

import jax
import numpy as np
import pytest

from dysr_jax.data import pool as pool_module
from dysr_jax.data.examples import Pair
from dysr_jax.data.pool import build_pool, draw_batch
from dysr_jax.errors import InputError

PATCH, SCALE, BATCH = 3, 2, 64
SIZES = ((5, 4), (3, 6), (4, 4))
POSITIONS = {
    (image, row, column)
    for image, (rows, columns) in enumerate(SIZES)
    for row in range(rows - PATCH + 1)
    for column in range(columns - PATCH + 1)
}
SYMMETRIES = tuple(itertools.product((False, True), repeat=3))


def labelled(image: int, rows: int, columns: int) -> np.ndarray:
    """Each pixel holds its image, row and column, from 1: the padding's zeros are none of them."""
    row, column = np.mgrid[1 : rows + 1, 1 : columns + 1]
    return np.stack([np.full_like(row, image + 1), row, column], -1).astype(np.uint8)


PAIRS = [
    Pair(str(image), labelled(image, rows, columns), labelled(image, rows * SCALE, columns * SCALE))
    for image, (rows, columns) in enumerate(SIZES)
]


# One compiled program for all tests: run op by op, each of them would compile its operations anew.
compiled = jax.jit(draw_batch, static_argnums=2)


@pytest.fixture(scope="module")
def pool():
    return build_pool(PAIRS, PATCH)


def symmetry(image: np.ndarray, flags: tuple[bool, bool, bool]) -> np.ndarray:
    """NumPy's own flips and transposition."""
    flip_rows, flip_columns, transpose = flags
    image = np.flipud(image) if flip_rows else image
    image = np.fliplr(image) if flip_columns else image
    return np.transpose(image, (1, 0, 2)) if transpose else image


def to_levels(batch) -> np.ndarray:
    return np.round(np.asarray(batch) * 255).astype(np.uint8)


def find(crop: np.ndarray) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """The one position and symmetry that an LR crop can be from."""
    found = []
    for (image, row, column), flags in itertools.product(POSITIONS, SYMMETRIES):
        real = PAIRS[image].lr[row : row + PATCH, column : column + PATCH]
        if np.array_equal(symmetry(real, flags), crop):
            found.append(((image, row, column), flags))
    assert len(found) == 1
    return found[0]


def test_every_hr_crop_is_the_place_of_its_lr_crop(pool):
    lr, hr = compiled(jax.random.key(0), pool, BATCH)
    assert lr.shape == (BATCH, PATCH, PATCH, 3)
    assert hr.shape == (BATCH, PATCH * SCALE, PATCH * SCALE, 3)
    for small, large in zip(to_levels(lr), to_levels(hr), strict=True):
        # `find` also shows that the crop lies inside its image: no zero of the padding is in it.
        (image, row, column), flags = find(small)
        rows = slice(row * SCALE, (row + PATCH) * SCALE)
        columns = slice(column * SCALE, (column + PATCH) * SCALE)
        np.testing.assert_array_equal(large, symmetry(PAIRS[image].hr[rows, columns], flags))


def test_all_crops_and_symmetries_are_equally_likely(pool):
    batches = [compiled(key, pool, BATCH)[0] for key in jax.random.split(jax.random.key(1), 60)]
    count = 60 * BATCH
    cells = {crop.tobytes(): n for crop, n in zip(*unique_crops(np.concatenate(batches)), strict=True)}
    places = collections.Counter()
    turns = collections.Counter()
    for content, number in cells.items():
        place, flags = find(np.frombuffer(content, np.uint8).reshape(PATCH, PATCH, 3))
        places[place] += number
        turns[flags] += number
    assert len(cells) == len(POSITIONS) * len(SYMMETRIES)
    for counter, kinds in ((places, len(POSITIONS)), (turns, len(SYMMETRIES))):
        expected = count / kinds
        # The key is fixed; five standard deviations leave room for another generator.
        assert max(abs(n - expected) for n in counter.values()) < 5 * np.sqrt(expected)
        assert len(counter) == kinds


def unique_crops(batch) -> tuple[np.ndarray, np.ndarray]:
    return np.unique(to_levels(batch), axis=0, return_counts=True)


def test_one_key_draws_one_batch(pool):
    first, again, other = (compiled(jax.random.key(seed), pool, BATCH) for seed in (3, 3, 4))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (np.asarray(a) != np.asarray(c)).any()
    # The crops of a batch are drawn each by itself.
    assert len(unique_crops(first[0])[0]) > 1


def test_draw_is_the_same_compiled(pool, strict_dtypes):
    plain = draw_batch(jax.random.key(5), pool, BATCH)
    for a, b in zip(plain, compiled(jax.random.key(5), pool, BATCH), strict=True):
        assert a.dtype == b.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_the_pool_knows_its_scale_and_bytes(pool):
    assert pool.scale == SCALE
    # Three images padded to 5x6 LR pixels.
    assert pool.nbytes == 3 * (5 * 6 + 10 * 12) * 3


def test_an_image_of_exactly_a_patch():
    pool = build_pool([Pair("x", labelled(0, PATCH, PATCH), labelled(0, 6, 6))], PATCH)
    crops, _ = unique_crops(compiled(jax.random.key(0), pool, BATCH)[0])
    # One place, in its eight symmetries.
    group = {symmetry(labelled(0, PATCH, PATCH), flags).tobytes() for flags in SYMMETRIES}
    assert {crop.tobytes() for crop in crops} == group


def test_an_image_under_a_patch_is_named():
    with pytest.raises(InputError, match=r"image '1': LR \(3, 6\) is under patch 4"):
        build_pool(PAIRS, 4)


def test_too_many_crops_for_an_index(monkeypatch):
    monkeypatch.setattr(pool_module, "MAX_CROPS", len(POSITIONS))
    build_pool(PAIRS, PATCH)
    monkeypatch.setattr(pool_module, "MAX_CROPS", len(POSITIONS) - 1)
    with pytest.raises(InputError, match=rf"have {len(POSITIONS)} crops"):
        build_pool(PAIRS, PATCH)
