"""Augmentation: the symmetries of the square, the same of both patches, each pair on its own."""

import itertools

import jax
import numpy as np
import pytest

from dysr_jax.data.augment import augment, prepare, symmetry, to_pixels

SYMMETRIES = tuple(itertools.product((False, True), repeat=3))


def labelled(side: int) -> np.ndarray:
    """Each pixel holds its row and column."""
    row, column = np.mgrid[:side, :side]
    return np.stack([row, column, np.zeros_like(row)], -1).astype(np.uint8)


def turned(image: np.ndarray, flags: tuple[bool, bool, bool]) -> np.ndarray:
    """NumPy's own flips and transposition."""
    flip_rows, flip_columns, transpose = flags
    image = np.flipud(image) if flip_rows else image
    image = np.fliplr(image) if flip_columns else image
    return np.transpose(image, (1, 0, 2)) if transpose else image


@pytest.mark.parametrize("flags", SYMMETRIES)
def test_a_symmetry_is_that_of_its_flags(flags):
    image = labelled(4)
    np.testing.assert_array_equal(jax.jit(symmetry)(image, *flags), turned(image, flags))


def test_symmetries_make_eight_different_images():
    image = labelled(4)
    made = {np.asarray(symmetry(image, *flags)).tobytes() for flags in SYMMETRIES}
    group = {np.rot90(start, k).tobytes() for start in (image, image[::-1]) for k in range(4)}
    assert made == group
    assert len(group) == 8


def test_both_patches_are_turned_alike():
    lr, hr = labelled(3), labelled(6)
    made = jax.jit(jax.vmap(augment, (0, None, None)))(
        jax.random.split(jax.random.key(0), 32), lr, hr
    )
    kinds = set()
    for small, large in zip(*map(np.asarray, made), strict=True):
        (flags,) = [f for f in SYMMETRIES if np.array_equal(turned(lr, f), small)]
        np.testing.assert_array_equal(large, turned(hr, flags))
        kinds.add(flags)
    assert len(kinds) > 4


def test_a_batch_is_prepared_each_on_its_own(strict_dtypes):
    lr, hr = (np.stack([labelled(side)] * 32) for side in (3, 6))
    small, large = prepare(jax.random.key(1), lr, hr)
    assert small.dtype == large.dtype == np.float32
    assert (small.shape, large.shape) == (lr.shape, hr.shape)
    assert len(np.unique(small, axis=0)) == 8


def test_to_pixels_is_the_unit_range():
    pixels = to_pixels(np.array([0, 51, 255], np.uint8))
    np.testing.assert_allclose(pixels, [0.0, 0.2, 1.0], rtol=1e-6)
