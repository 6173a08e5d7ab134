"""The weights that come with the package: whatever they are, what is promised of them holds."""

import numpy as np
import pytest
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

import dysr_jax
import dysr_jax.bundle
from dysr_jax.bundle import pretrained
from dysr_jax.bundle.pretrained import find_bundle, load_pretrained, pretrained_names
from dysr_jax.data.degradation import bicubic_downscale, bicubic_upscale
from dysr_jax.errors import InputError

NAMES = pretrained_names()


def test_there_are_weights_for_two_scales():
    assert {"x2", "x4"} <= set(NAMES)
    assert dysr_jax.bundle.pretrained_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_of_the_scale_with_sorted_members(name):
    bundle = dysr_jax.load_pretrained(name)
    assert f"x{bundle.space.scale}" == name
    latencies = [member.latency_ms for member in bundle.members]
    assert latencies == sorted(latencies)
    assert len({member.name for member in bundle.members}) == len(latencies) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_members_beat_bicubic_on_a_photograph(name):
    bundle = load_pretrained(name)
    scale, upscale_with = bundle.space.scale, dysr_jax.Upscaler(bundle)
    photo = np.asarray(data.chelsea()[:240, 100:340])
    lr = bicubic_downscale(photo, scale)
    inner = slice(scale, -scale)

    def quality(output: np.ndarray) -> float:
        return peak_signal_noise_ratio(photo[inner, inner], output[inner, inner])

    bicubic = quality(bicubic_upscale(lr, scale))
    assert quality(upscale_with(lr, "fastest")) > bicubic
    assert quality(upscale_with(lr)) > bicubic + 0.3


def test_names_that_are_not_there():
    with pytest.raises(InputError, match=r"pretrained weights 'x5': there are (x2|none)"):
        load_pretrained("x5")


def test_without_weights_it_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(pretrained, "PRETRAINED_FOLDER", tmp_path)
    assert pretrained_names() == ()
    with pytest.raises(InputError, match="'x4': there are none in this installation"):
        load_pretrained()
    with pytest.raises(InputError, match=r"scale 4: the weights that come .* have none; --bundle"):
        find_bundle()


def test_the_bundle_of_a_command(tiny_run):
    path, scale = tiny_run.path / "bundle", tiny_run.bundle.space.scale
    for asked in (None, scale):
        assert find_bundle(path, asked).members == tiny_run.bundle.members
    with pytest.raises(InputError, match=rf"scale 4: bundle .*bundle' has {scale}"):
        find_bundle(path, 4)


def test_without_a_bundle_the_scale_chooses_the_weights():
    assert find_bundle().space.scale == 4
    assert find_bundle(scale=2).space.scale == 2
    with pytest.raises(InputError, match=r"scale 5: the weights that come with .* have 2, .*; --bun"):
        find_bundle(scale=5)
