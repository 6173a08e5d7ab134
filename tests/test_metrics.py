"""PSNR and SSIM on luma against scikit-image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import data
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dysr_jax import metrics
from dysr_jax.data.degradation import bicubic_downscale, bicubic_upscale
from dysr_jax.metrics import luma, shave, to_uint8

BORDER = 4

# Compiled whole: op by op, SSIM takes seconds for each shape.
psnr_y = jax.jit(metrics.psnr_y, static_argnums=2)
ssim_y = jax.jit(metrics.ssim_y, static_argnums=2)

# Luma is float32 here and float64 in scikit-image: of the 2^24 colours, 259 lie on a half (where
# rounding conventions differ) or within float32's error of one. A few such pixels move PSNR by less
# than 1e-4.
PSNR_TOLERANCE = 1e-3
SSIM_TOLERANCE = 1e-4


def random_pair(shape: tuple[int, ...] = (40, 52, 3)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(2))


def natural_pair() -> tuple[np.ndarray, np.ndarray]:
    """A photograph after bicubic down- and upscaling, and itself."""
    photo = np.asarray(data.chelsea()[:300, :448])
    return bicubic_upscale(bicubic_downscale(photo, 4), 4), photo


PAIRS = {"random": random_pair, "natural": natural_pair}


@pytest.fixture(params=PAIRS)
def pair(request) -> tuple[np.ndarray, np.ndarray]:
    return PAIRS[request.param]()


def reference_luma(image: np.ndarray, border: int = BORDER) -> np.ndarray:
    y = np.round(rgb2ycbcr(image)[..., 0])
    return y[border:-border, border:-border]


def reference_ssim(image: np.ndarray, reference: np.ndarray) -> float:
    # scikit-image leaves half a window (5 pixels) off each side of the mean, which is the mean over
    # the places where the window lies inside the image.
    return structural_similarity(
        image, reference, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )


def test_luma_is_ycbcr_rounded(pair):
    image, reference = pair
    np.testing.assert_array_equal(shave(luma(image), BORDER), reference_luma(image))
    assert (np.asarray(luma(image)) != np.asarray(luma(reference))).any()


@pytest.mark.parametrize(
    ("colour", "level"),
    [((0, 0, 0), 16), ((255, 255, 255), 235), ((255, 0, 0), 81), ((0, 255, 0), 145), ((0, 0, 255), 41)],
)
def test_luma_of_primaries(colour, level):
    # The published integer levels of BT.601's primaries.
    assert luma(np.array([[colour]], np.uint8)).item() == level


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_psnr_is_that_of_scikit_image(pair, scale):
    image, reference = pair
    planes = reference_luma(reference, scale), reference_luma(image, scale)
    expected = peak_signal_noise_ratio(*planes, data_range=255)
    assert psnr_y(image, reference, scale) == pytest.approx(expected, abs=PSNR_TOLERANCE)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_ssim_is_that_of_scikit_image(pair, scale):
    image, reference = pair
    expected = reference_ssim(reference_luma(image, scale), reference_luma(reference, scale))
    assert ssim_y(image, reference, scale) == pytest.approx(expected, abs=SSIM_TOLERANCE)


def test_grey_images_keep_their_values():
    image, reference = (plane[:, :, :1] for plane in natural_pair())
    inner = [plane[BORDER:-BORDER, BORDER:-BORDER, 0] for plane in (image, reference)]
    psnr, ssim = peak_signal_noise_ratio(inner[1], inner[0]), reference_ssim(*inner)
    assert psnr_y(image, reference, BORDER) == pytest.approx(psnr, abs=PSNR_TOLERANCE)
    assert ssim_y(image, reference, BORDER) == pytest.approx(ssim, abs=SSIM_TOLERANCE)
    # Through RGB the range shrinks to [16, 235] and the error with it.
    through_rgb = psnr_y(np.repeat(image, 3, 2), np.repeat(reference, 3, 2), BORDER)
    assert through_rgb > psnr + 1


def test_the_border_does_not_count():
    image, reference = random_pair()
    altered = reference.copy()
    altered[:BORDER], altered[-BORDER:], altered[:, :BORDER], altered[:, -BORDER:] = 0, 255, 0, 255
    for metric in (psnr_y, ssim_y):
        assert metric(image, altered, BORDER) == metric(image, reference, BORDER)
        assert metric(image, altered, BORDER - 1) != metric(image, reference, BORDER - 1)


def test_equal_images():
    image, _ = natural_pair()
    assert psnr_y(image, image, BORDER) == np.inf
    assert ssim_y(image, image, BORDER) == pytest.approx(1.0, abs=1e-6)


def test_one_level_in_one_pixel_is_the_error_by_hand():
    reference = np.full((20, 20, 1), 100, np.uint8)
    image = reference.copy()
    image[10, 10] = 101
    expected = 10 * np.log10(255**2 / (1 / 12**2))
    assert psnr_y(image, reference, BORDER) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("metric", [psnr_y, ssim_y])
@pytest.mark.parametrize("leading", [(3,), (2, 2)])
def test_leading_axes_are_a_batch(metric, leading):
    images, references = random_pair((*leading, 24, 28, 3))
    together = np.asarray(metric(images, references, BORDER))
    assert together.shape == leading
    # All pairs differ: a mean over the batch would not pass.
    assert len(np.unique(together)) == together.size
    for index in np.ndindex(leading):
        alone = metric(images[index], references[index], BORDER)
        assert together[index] == pytest.approx(float(alone), rel=1e-5)


def test_to_uint8_returns_each_level_to_itself():
    levels = jnp.arange(256, dtype=jnp.uint8)
    np.testing.assert_array_equal(to_uint8(levels.astype(jnp.float32) / 255), levels)


@pytest.mark.parametrize(
    ("pixel", "level"), [(-0.1, 0), (1.1, 255), (-np.inf, 0), (np.inf, 255), (7.49 / 255, 7), (7.51 / 255, 8)]
)
def test_to_uint8_clips_and_rounds_to_the_nearest(pixel, level):
    result = to_uint8(jnp.float32(pixel))
    assert result.dtype == jnp.uint8
    assert result == level
