"""Turned and mirrored frames, against where each pixel belongs."""

import itertools

import numpy as np
import pytest

from dysr_jax.video.colour import oriented, swaps_sides

STRAIGHT = [(a, 0, 0, d) for a, d in itertools.product((1, -1), repeat=2)]
TURNED = [(0, b, c, 0) for b, c in itertools.product((1, -1), repeat=2)]


@pytest.mark.parametrize("matrix", STRAIGHT + TURNED)
def test_every_pixel_goes_where_the_matrix_says(matrix):
    a, b, c, d = matrix
    image = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
    shown = oriented(image, matrix)
    assert swaps_sides(matrix) == (matrix in TURNED)
    assert shown.shape == ((4, 3, 3) if matrix in TURNED else (3, 4, 3))
    assert shown.flags.c_contiguous
    for y, x in np.ndindex(3, 4):
        column, row = a * x + c * y, b * x + d * y  # negative ones count from the far side
        column += shown.shape[1] - 1 if a + c < 0 else 0
        row += shown.shape[0] - 1 if b + d < 0 else 0
        np.testing.assert_array_equal(shown[row, column], image[y, x])


def test_a_slight_tilt_is_no_turn():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(oriented(image, (0.99, 0.1, -0.1, 0.99)), image)
