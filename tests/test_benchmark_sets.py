"""Set5, Set14 and BSD100: MATLAB's LR images bit for bit, and the published bicubic rows."""

import os
import pathlib

import jax
import numpy as np
import pytest

from dysr_jax.apps.evaluation import evaluate_folder
from dysr_jax.bundle.bundle import make_bundle, make_member
from dysr_jax.data.degradation import bicubic_downscale, bicubic_upscale, crop_to_scale
from dysr_jax.data.images.read import read_grey_or_rgb
from dysr_jax.data.listing import list_images
from dysr_jax.metrics import psnr_y, ssim_y
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import init_params

SCALE = 4
IMAGES = {"Set5": 5, "Set14": 14, "BSD100": 100}
BICUBIC = {"Set5": (28.418, 0.8101), "Set14": (25.993, 0.7023), "BSD100": (25.957, 0.6672)}

# Compiled whole: op by op, each of the many image shapes would take seconds.
score = jax.jit(lambda output, hr: (psnr_y(output, hr, SCALE), ssim_y(output, hr, SCALE)))

pytestmark = [
    pytest.mark.benchmark_data,
    pytest.mark.skipif(
        "DYSR_BENCHMARKS" not in os.environ,
        reason="DYSR_BENCHMARKS names no folder with Set5, Set14 and BSD100",
    ),
]


@pytest.fixture(scope="module", params=IMAGES)
def benchmark(request) -> tuple[str, list[tuple[np.ndarray, np.ndarray]]]:
    """A set: HR images cropped to the scale (grey as one channel), and the LR images on disk."""
    folder = pathlib.Path(os.environ["DYSR_BENCHMARKS"]) / request.param
    hr = list_images(folder / "HR").images
    lr = list_images(folder / "LR_bicubic_x4").images
    assert [path.name for path in hr] == [path.name for path in lr]
    images = [crop_to_scale(read_grey_or_rgb(path), SCALE) for path in hr]
    return request.param, list(zip(images, map(read_grey_or_rgb, lr), strict=True))


def test_the_set_is_whole(benchmark):
    name, pairs = benchmark
    assert len(pairs) == IMAGES[name]
    # Set14 has one grey image, the others none.
    assert sum(hr.shape[2] == 1 for hr, _ in pairs) == (name == "Set14")


def test_downscale_is_matlabs_bit_for_bit(benchmark):
    _, pairs = benchmark
    for hr, lr in pairs:
        # The LR file of a grey image may be RGB: each channel is compared then.
        made = np.broadcast_to(bicubic_downscale(hr, SCALE), lr.shape)
        np.testing.assert_array_equal(made, lr)


def test_bicubic_row_is_the_published_one(benchmark):
    name, pairs = benchmark
    outputs = [bicubic_upscale(bicubic_downscale(hr, SCALE), SCALE) for hr, _ in pairs]
    scores = [score(output, hr) for output, (hr, _) in zip(outputs, pairs, strict=True)]
    psnr, ssim = np.mean(scores, 0)
    assert psnr == pytest.approx(BICUBIC[name][0], abs=0.005)
    assert ssim == pytest.approx(BICUBIC[name][1], abs=0.0005)


@pytest.fixture(scope="module")
def fresh():
    """A bundle that has learnt nothing yet: what is said of bicubic does not depend on it."""
    space = uniform_space(slots=1, widths=4, scale=SCALE, branches=("id",), upsamplers=("u1",))
    return make_bundle(
        init_params(jax.random.key(0), space),
        [make_member(space, (0, 0), 20.0, 1.0)],
        net=make_supernet(space, "float32"),
        frame=(6, 8),
        bicubic_psnr_y=20.0,
    )


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("lr", ["given", "generated"])
def test_eval_has_the_published_bicubic_row(fresh, name, lr):
    folder = pathlib.Path(os.environ["DYSR_BENCHMARKS"]) / name
    found = evaluate_folder(fresh, folder if lr == "given" else folder / "HR")
    assert (found.images, found.lr) == (IMAGES[name], lr)
    assert found.scores["bicubic"].psnr_y == pytest.approx(BICUBIC[name][0], abs=0.001)
    assert found.scores["bicubic"].ssim_y == pytest.approx(BICUBIC[name][1], abs=0.0001)
