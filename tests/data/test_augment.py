"""Augmentation: the symmetries of the square, the same of both patches, each pair on its own."""

import itertools

import jax
import numpy as np
import pytest

from dysr_jax.data.augment import augment, jitter_colors, prepare, shuffle_channels, symmetry, vary_batch
from dysr_jax.data.examples import Example, make_pair
from dysr_jax.metrics import to_pixels

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
    made = jax.jit(jax.vmap(augment, (0, None, None)))(jax.random.split(jax.random.key(0), 32), lr, hr)
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


# --- colours and noise ------------------------------------------------------------------------------

BATCH = 24


@pytest.fixture(scope="module")
def pairs():
    """Noise that overshoots nowhere and the LR images that the degradation makes of it, in [0, 1]."""
    rng = np.random.default_rng(0)
    made = [make_pair(Example("", rng.integers(64, 192, (8, 8, 3), np.uint8), None), 2) for _ in range(BATCH)]
    return [np.stack([getattr(p, side) for p in made]) / np.float32(255) for side in ("lr", "hr")]


def orders_of(before, after):
    """Of each patch: the one order of its channels that makes the one of the other."""
    found = []
    for old, new in zip(before, np.asarray(after), strict=True):
        (order,) = [
            order for order in itertools.permutations(range(3)) if np.array_equal(old[..., list(order)], new)
        ]
        found.append(order)
    return found


def test_channels_are_shuffled_alike_in_both_images(pairs):
    lr, hr = jax.jit(shuffle_channels)(jax.random.key(0), *pairs)
    orders = orders_of(pairs[0], lr)
    assert orders == orders_of(pairs[1], hr)
    assert len(set(orders)) == 6


def test_all_orders_are_equally_likely():
    image = np.broadcast_to(np.arange(3, dtype=np.float32), (3000, 1, 1, 3))
    (found,) = shuffle_channels(jax.random.key(1), image)
    _, count = np.unique(np.asarray(found)[:, 0, 0], axis=0, return_counts=True)
    assert len(count) == 6
    assert np.abs(count - 500).max() < 5 * np.sqrt(500)


@pytest.mark.parametrize("channel_shuffle", [False, True])
def test_a_batch_is_varied_as_it_is_told(pairs, channel_shuffle, strict_dtypes):
    options = {"channel_shuffle": channel_shuffle, "color_jitter": 0.0, "noise": 0.0}
    lr, hr = vary_batch(jax.random.key(3), *pairs, **options)
    assert lr.dtype == hr.dtype == np.float32
    changed = {n for n in range(BATCH) if not np.array_equal(lr[n], pairs[0][n])}
    assert bool(changed) == channel_shuffle
    assert orders_of(pairs[0], lr) == orders_of(pairs[1], hr)


def test_color_jitter_is_one_affine_map_for_both_images(pairs):
    lr, hr = map(np.asarray, jax.jit(jitter_colors)(jax.random.key(0), 0.6, *pairs))
    assert 0 <= hr.min() < hr.max() <= 1
    changed = np.array([not np.array_equal(a, b) for a, b in zip(hr, pairs[1], strict=True)])
    assert BATCH / 4 < changed.sum() < BATCH
    signs = set()
    for n in np.flatnonzero(changed):
        # The oracle: least squares of the HR pixels say what happens to those of LR.
        ones = [np.c_[x[n].reshape(-1, 3), np.ones(x[n].size // 3)] for x in pairs]
        map_, *_ = np.linalg.lstsq(ones[1], hr[n].reshape(-1, 3), rcond=None)
        np.testing.assert_allclose(ones[1] @ map_, hr[n].reshape(-1, 3), atol=1e-4)
        np.testing.assert_allclose(ones[0] @ map_, lr[n].reshape(-1, 3), atol=1e-4)
        signs.add(np.sign(map_[:3].sum()))
        assert 0.5 - 1e-3 <= abs(map_[:3].sum()) / 3 <= 1 + 1e-3  # contrast: what grey keeps
    assert signs == {-1.0, 1.0}


def test_the_recipe_reaches_the_color_jitter(pairs):
    key = jax.random.key(3)
    found = vary_batch(key, *pairs, channel_shuffle=False, color_jitter=1.0, noise=0.0)
    expected = jitter_colors(jax.random.split(key, 4)[1], 1.0, *pairs)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_noise_is_on_lr_alone_and_as_strong_as_it_is_told(pairs):
    options = {"channel_shuffle": False, "color_jitter": 0.0}
    lr, hr = vary_batch(jax.random.key(3), *pairs, **options, noise=2.0)
    np.testing.assert_array_equal(hr, pairs[1])
    added = (np.asarray(lr) - pairs[0]) * 255
    count = added.size
    assert abs(added.mean()) < 5 * 2 / np.sqrt(count)
    assert abs(added.std() - 2) < 5 * 2 / np.sqrt(2 * count)
