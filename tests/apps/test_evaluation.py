"""Scores on benchmark sets, against scikit-image on the outputs of each member."""

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.apps.evaluation import SetScores, evaluate_folder
from dysr_jax.apps.upscaler import Upscaler
from dysr_jax.bundle.bundle import make_bundle, make_member
from dysr_jax.data.degradation import bicubic_downscale, bicubic_upscale, crop_to_scale
from dysr_jax.data.images.write import write_image
from dysr_jax.errors import InputError
from dysr_jax.model.names import parse_arch
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.report.tables import scores_json, scores_table

SCALE = 3
SPACE = uniform_space(slots=1, widths=4, scale=SCALE, branches=("id", "c3"))
NAMES = ["id-u1", "c3-u1"]
SHAPES = {"a": (40, 47), "b": (47, 40), "c": (41, 46)}
"""Two LR shapes; no side is a multiple of the scale for all."""


@pytest.fixture(scope="module")
def bundle(noisy_params):
    params = noisy_params(SPACE, 0.03)
    members = [make_member(SPACE, parse_arch(SPACE, n), 30.0, 1.0 + i) for i, n in enumerate(NAMES)]
    net = make_supernet(SPACE, "float32")
    return make_bundle(params, members, net=net, frame=(6, 8), bicubic_psnr_y=29.0)


def smooth(rows: int, columns: int, channels: int = 3) -> np.ndarray:
    row, column = np.mgrid[:rows, :columns]
    waves = [127 + 90 * np.sin((row + (2 + c) * column) / 5) for c in range(channels)]
    return np.stack(waves, -1).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    for name, shape in SHAPES.items():
        write_image(tmp_path / "set" / f"{name}.png", smooth(*shape))
    return tmp_path / "set"


def reference_psnr(output: np.ndarray, hr: np.ndarray) -> float:
    planes = [np.round(rgb2ycbcr(x)[..., 0]) if x.shape[2] == 3 else x[..., 0] for x in (hr, output)]
    inner = (plane[SCALE:-SCALE, SCALE:-SCALE].astype(float) for plane in planes)
    return peak_signal_noise_ratio(*inner, data_range=255)


def test_scores_are_the_means_over_images(bundle, folder):
    found = evaluate_folder(bundle, folder)
    assert found._replace(scores={}) == SetScores("set", 3, "generated", {})
    assert list(found.scores) == ["bicubic", *NAMES]
    expected, upscaler = {name: [] for name in found.scores}, Upscaler(bundle)
    for shape in SHAPES.values():
        hr = crop_to_scale(smooth(*shape), SCALE)
        lr = bicubic_downscale(hr, SCALE)
        expected["bicubic"].append(reference_psnr(bicubic_upscale(lr, SCALE), hr))
        for name in NAMES:
            expected[name].append(reference_psnr(upscaler(lr, name), hr))
    for name, each in expected.items():
        assert found.scores[name].psnr_y == pytest.approx(np.mean(each), abs=2e-3)
        assert 0 < found.scores[name].ssim_y < 1
    assert len({round(score.psnr_y, 2) for score in found.scores.values()}) == 3


def test_given_lr_images_are_used(bundle, tmp_path):
    hr = smooth(40, 47)
    for place, image in {
        "HR": hr,
        "LR_bicubic_x3": 255 - bicubic_downscale(crop_to_scale(hr, SCALE), SCALE),
    }.items():
        (tmp_path / "set" / place).mkdir(parents=True)
        write_image(tmp_path / "set" / place / "a.png", image)
    found = evaluate_folder(bundle, tmp_path / "set", members=["best"])
    assert (found.lr, list(found.scores)) == ("given", ["bicubic", "c3-u1"])
    generated = evaluate_folder(bundle, tmp_path / "set" / "HR", members=["best"])
    assert generated.scores["bicubic"].psnr_y > found.scores["bicubic"].psnr_y + 5
    same = evaluate_folder(
        bundle, tmp_path / "set" / "HR", lr=tmp_path / "set" / "LR_bicubic_x3", members=["best"]
    )
    assert same.scores == found.scores


@pytest.mark.parametrize("channels", [1, 3], ids=["grey LR", "RGB LR"])
def test_grey_images_count_by_their_grey_values(bundle, tmp_path, channels):
    """As Set14's does, whose LR file is RGB in some copies."""
    hr = smooth(42, 45, 1)
    lr = np.repeat(bicubic_downscale(hr, SCALE), channels, 2)
    for place, image in {"hr": hr, "lr": lr}.items():
        (tmp_path / place).mkdir()
        write_image(tmp_path / place / "grey.png", image)
    found = evaluate_folder(bundle, tmp_path / "hr", lr=tmp_path / "lr", members=["fastest"])
    grey = bicubic_downscale(hr, SCALE)
    for name, output in {
        "bicubic": bicubic_upscale(grey, SCALE),
        "id-u1": Upscaler(bundle)(grey, "fastest"),
    }.items():
        assert found.scores[name].psnr_y == pytest.approx(reference_psnr(output, hr), abs=1e-3)


def test_an_exact_reproduction_does_not_make_the_mean_infinite(bundle, tmp_path):
    write_image(tmp_path / "flat.png", np.full((30, 30, 3), 77, np.uint8))
    found = evaluate_folder(bundle, tmp_path, members=["fastest"])
    assert found.scores["bicubic"] == (100.0, pytest.approx(1.0))


def test_images_of_one_shape_share_their_executables(bundle, folder):
    evaluate_folder(bundle, folder)
    with count_compilations() as compilations:
        evaluate_folder(bundle, folder)
    # Two LR shapes for two members, three HR shapes less the one that two images are cropped to.
    assert compilations.value == 2 * 2 + 2


def test_what_cannot_be_evaluated(bundle, folder):
    with pytest.raises(InputError, match="member 'zz': the bundle has id-u1, c3-u1"):
        evaluate_folder(bundle, folder, members=["zz"])
    with pytest.raises(InputError, match="does not exist"):
        evaluate_folder(bundle, folder / "missing")


def test_the_table_has_a_pair_of_columns_a_set(bundle, folder):
    found = evaluate_folder(bundle, folder)
    other = found._replace(name="Other", images=1, lr="given")
    lines = scores_table(bundle.members, [found, other]).splitlines()
    assert len({len(line) for line in lines[:-2]}) == 1  # aligned
    assert lines[0].split() == [
        "member",
        "weights",
        "mult-adds",
        *("set", "dB", "SSIM"),
        *("Other", "dB", "SSIM"),
    ]
    score = found.scores["c3-u1"]
    cells = [f"{score.psnr_y:.2f}", f"{score.ssim_y:.4f}"]
    member = bundle.member("c3-u1")
    sizes = [f"{member.parameters / 1e3:.1f}K", f"{member.mult_adds / 1e9:.2f}G"]
    assert lines[4].split() == ["c3-u1", *sizes, *cells, *cells]
    assert lines[-2:] == ["set: 3 images, LR generated (MATLAB's bicubic)", "Other: 1 images, LR as given"]
    result = scores_json("mine", bundle, bundle.members, [found, other])
    assert result["scale"] == SCALE
    assert result["sets"]["Other"]["scores"]["c3-u1"] == score._asdict()
    assert result["members"]["c3-u1"] == {"params": member.parameters, "mult_adds": member.mult_adds}
