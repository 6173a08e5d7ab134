"""Bicubic resampling against a naive MATLAB `imresize`, and the properties that any image has."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.data.degradation import (
    bicubic_downscale,
    bicubic_downscale_crop,
    bicubic_upscale,
    crop_to_scale,
)

SCALES = (2, 3, 4)
BOUNDARIES = ("replicate", "symmetric")

scales, boundaries = st.sampled_from(SCALES), st.sampled_from(BOUNDARIES)
# No deadline: a shared machine is slow at times. Derandomised: a failure is seen by everyone.
property_test = settings(deadline=None, derandomize=True, database=None, max_examples=40)


def random_image(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


def cubic(x: float) -> float:
    """Keys (1981), equation 15: a = -1/2."""
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    if x <= 2:
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return 0.0


def outside(index: int, length: int, boundary: str) -> int:
    """The pixel that stands for one beyond the image."""
    while not 0 <= index < length:
        if boundary == "replicate":
            index = 0 if index < 0 else length - 1
        else:  # the mirror runs along the pixel's outer edge, so the last pixel is repeated
            index = -1 - index if index < 0 else 2 * length - 1 - index
    return index


def resampled_line(line: list[int], out: int, boundary: str) -> list[int]:
    """One pass of `imresize` over a line: all pixels in reach, weighted, normalised, rounded."""
    scale = out / len(line)
    stretch = min(scale, 1.0)  # antialiasing: the kernel widens when the image shrinks
    reach = math.ceil(2 / stretch) + 1
    result = []
    for position in range(out):
        centre = (position + 0.5) / scale - 0.5
        total = weights = 0.0
        for index in range(math.floor(centre) - reach, math.floor(centre) + reach + 2):
            weight = stretch * cubic(stretch * (centre - index))
            total += weight * line[outside(index, len(line), boundary)]
            weights += weight
        # uint8(x) of MATLAB: halves go up, and the range is saturated.
        result.append(min(255, max(0, math.floor(total / weights + 0.5))))
    return result


def naive_imresize(
    image: np.ndarray, shape: tuple[int, int], boundary: str, axes: tuple[int, int] = (0, 1)
) -> np.ndarray:
    """Passes over the axes in turn, each rounded to uint8."""
    for axis in axes:
        lines = np.moveaxis(image, axis, -1)
        flat = [
            resampled_line(line.tolist(), shape[axis], boundary)
            for line in lines.reshape(-1, lines.shape[-1])
        ]
        out = np.array(flat, np.uint8).reshape(*lines.shape[:-1], shape[axis])
        image = np.moveaxis(out, -1, axis)
    return image


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("scale", SCALES)
def test_downscale_is_imresize(scale, boundary):
    image = random_image(7 * scale, 5 * scale, seed=scale)
    expected = naive_imresize(image, (7, 5), boundary)
    np.testing.assert_array_equal(bicubic_downscale(image, scale, boundary), expected)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("scale", SCALES)
def test_upscale_is_imresize(scale, boundary):
    image = random_image(9, 6, seed=scale)
    expected = naive_imresize(image, (9 * scale, 6 * scale), boundary)
    np.testing.assert_array_equal(bicubic_upscale(image, scale, boundary), expected)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_images_smaller_than_the_kernel(boundary):
    # A kernel of 16 pixels over 4: the boundary rule is applied several times over.
    image = random_image(4, 8)
    expected = naive_imresize(image, (1, 2), boundary)
    np.testing.assert_array_equal(bicubic_downscale(image, 4, boundary), expected)


@pytest.mark.parametrize("scale", SCALES)
def test_the_oracle_tells_the_conventions_apart(scale):
    # Otherwise the equalities above would hold for wrong conventions too.
    image, shape = random_image(7 * scale, 5 * scale, seed=scale), (7, 5)
    rows_first = naive_imresize(image, shape, "replicate")
    columns_first = naive_imresize(image, shape, "replicate", axes=(1, 0))
    symmetric = naive_imresize(image, shape, "symmetric")
    assert (rows_first != columns_first).any()
    assert (rows_first != symmetric).any()


@property_test
@given(
    level=st.integers(0, 255),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    scale=scales,
    boundary=boundaries,
)
def test_constant_images_stay_constant(level, rows, columns, scale, boundary):
    small = np.full((rows, columns, 3), level, np.uint8)
    large = np.full((rows * scale, columns * scale, 3), level, np.uint8)
    np.testing.assert_array_equal(bicubic_downscale(large, scale, boundary), small)
    np.testing.assert_array_equal(bicubic_upscale(small, scale, boundary), large)


resamples = st.sampled_from((bicubic_downscale, bicubic_upscale))


@property_test
@given(seed=st.integers(0, 99), scale=scales, boundary=boundaries, resample=resamples)
def test_flipped_images_come_out_flipped(seed, scale, boundary, resample):
    image = random_image(5 * scale, 7 * scale, seed)
    found = resample(image, scale, boundary)
    for axis in (0, 1):
        flipped = np.flip(resample(np.flip(image, axis), scale, boundary), axis)
        # The same sum in another order can be rounded the other way where it is half a level.
        different = np.abs(found.astype(int) - flipped)
        assert different.max() <= 1
        assert (different > 0).mean() < 0.01


@property_test
@given(seed=st.integers(0, 99), scale=scales, boundary=boundaries, resample=resamples)
def test_resampling_is_linear_up_to_rounding(seed, scale, boundary, resample):
    # Within the range in which the kernel's overshoot is not clipped.
    blocks = (random_image(5, 7, seed + i).repeat(scale, 0).repeat(scale, 1) for i in range(2))
    first, second = (64 + block // 4 for block in blocks)
    together = resample((first + second) // 2, scale, boundary).astype(float)
    apart = (resample(first, scale, boundary) / 2) + (resample(second, scale, boundary) / 2)
    # Half a level each: the halved sum, twice the two passes (weights sum to at most 1.3 in size).
    assert np.abs(together - apart).max() <= 3
    assert np.ptp(together) > 30  # ten times that tolerance


@property_test
@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    channels=st.sampled_from((1, 3)),
    scale=scales,
    boundary=boundaries,
)
def test_shapes(rows, columns, channels, scale, boundary):
    large = random_image(rows * scale, columns * scale)[:, :, :channels]
    small = bicubic_downscale(large, scale, boundary)
    again = bicubic_upscale(small, scale, boundary)
    assert small.shape == (rows, columns, channels)
    assert again.shape == large.shape
    assert small.dtype == again.dtype == np.uint8


@pytest.mark.parametrize("resample", [bicubic_downscale, bicubic_upscale])
def test_channels_do_not_mix(resample):
    image = random_image(24, 24)
    for channel in range(3):
        alone = resample(image[:, :, channel : channel + 1], 2)
        np.testing.assert_array_equal(resample(image, 2)[:, :, channel : channel + 1], alone)


@pytest.mark.parametrize("scale", SCALES)
def test_boundaries_differ_at_the_border_only(scale):
    image = random_image(12 * scale, 12 * scale)
    replicate, symmetric = (bicubic_downscale(image, scale, boundary) for boundary in BOUNDARIES)
    # The kernel reaches two LR pixels to each side.
    np.testing.assert_array_equal(replicate[2:-2, 2:-2], symmetric[2:-2, 2:-2])
    assert (replicate[0] != symmetric[0]).any()
    assert (replicate[:, -1] != symmetric[:, -1]).any()


@pytest.mark.parametrize("scale", SCALES)
def test_boundaries_differ_at_the_border_only_when_upscaling(scale):
    image = random_image(12, 12)
    replicate, symmetric = (bicubic_upscale(image, scale, boundary) for boundary in BOUNDARIES)
    inner = slice(2 * scale, -2 * scale)
    np.testing.assert_array_equal(replicate[inner, inner], symmetric[inner, inner])
    assert (replicate[0] != symmetric[0]).any()
    assert (replicate[:, -1] != symmetric[:, -1]).any()


@property_test
@given(rows=st.integers(1, 20), columns=st.integers(1, 20), scale=scales)
def test_crop_to_scale_keeps_the_upper_left_multiple(rows, columns, scale):
    image = random_image(rows, columns)
    cropped = crop_to_scale(image, scale)
    assert cropped.shape == (rows // scale * scale, columns // scale * scale, 3)
    np.testing.assert_array_equal(cropped, image[: cropped.shape[0], : cropped.shape[1]])


@pytest.mark.parametrize("shape", [(8, 9), (9, 8), (9, 9)])
def test_downscale_refuses_sides_that_are_no_multiple(shape):
    with pytest.raises(ValueError, match=rf"{shape[0]}x{shape[1]}.*multiples of scale 4"):
        bicubic_downscale(random_image(*shape), 4)


@property_test
@given(data=st.data(), scale=scales, boundary=boundaries)
def test_a_crop_degraded_alone_is_that_of_the_whole_image(data, scale, boundary):
    rows, columns = (data.draw(st.integers(1, 14), name) for name in ("rows", "columns"))
    patch = data.draw(st.integers(1, min(rows, columns)), "patch")
    row = data.draw(st.integers(0, rows - patch), "row")
    column = data.draw(st.integers(0, columns - patch), "column")
    image = random_image(rows * scale, columns * scale, seed=rows)
    whole = bicubic_downscale(image, scale, boundary)[row : row + patch, column : column + patch]
    alone = bicubic_downscale_crop(image, scale, row, column, patch, boundary)
    np.testing.assert_array_equal(alone, whole)


@pytest.mark.parametrize("scale", SCALES)
def test_a_crop_padded_at_its_own_border_is_another(scale):
    """What makes the test above one: cut first and degraded then, a crop differs."""
    image, side = random_image(12 * scale, 12 * scale), slice(4 * scale, 8 * scale)
    inner = bicubic_downscale_crop(image, scale, 4, 4, 4)
    assert (inner != bicubic_downscale(image[side, side], scale)).any()


def test_a_crop_reads_no_pixel_more_than_two_lr_pixels_beyond_it():
    image, other = random_image(48, 48), random_image(48, 48, seed=1)
    near = slice((4 - 2) * 4, (7 + 2) * 4)
    other[near, near] = image[near, near]
    first, second = (bicubic_downscale_crop(pixels, 4, 4, 4, 3) for pixels in (image, other))
    np.testing.assert_array_equal(first, second)


def test_downscale_crop_refuses_sides_that_are_no_multiple():
    with pytest.raises(ValueError, match="multiples of scale 4"):
        bicubic_downscale_crop(random_image(9, 8), 4, 0, 0, 1)
