"""Every builder, on its publisher's layout in small: what was built is what lies in the folder."""

import importlib.util
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dysr_jax
import dysr_jax.data
from dysr_jax.data.builders.check import natural_key
from dysr_jax.data.builders.datasets import DATASETS
from dysr_jax.data.images.read import read_image
from dysr_jax.data.sources import open_source
from dysr_jax.errors import InputError

pytestmark = pytest.mark.usefixtures("prepared")


def built(name, folder, source, scale=4):
    """A data set, prepared and opened."""
    dysr_jax.data.prepare_dataset(name, folder, log=lambda line: None)
    return open_source(f"tfds:{source}", scale)


def assert_holds(source, names, hr, lr=None):
    """The images by these names, HR cropped to what LR covers."""
    assert list(source.names) == names
    for index, name in enumerate(names):
        example, image = source[index], read_image(hr(name))
        assert example.name == name
        assert tuple(source.sizes[index]) == image.shape[:2]
        if lr is None:
            assert example.lr is None
            np.testing.assert_array_equal(example.hr, image)
        else:
            rows, columns = (4 * side for side in example.lr.shape[:2])
            np.testing.assert_array_equal(example.lr, read_image(lr(name)))
            np.testing.assert_array_equal(example.hr, image[:rows, :columns])


@pytest.mark.parametrize(
    ("split", "part", "numbers"),
    [("", "train", range(1, 5)), (":train", "train", range(1, 5)), (":validation", "valid", (801, 802))],
)
@pytest.mark.parametrize("above", [False, True])
def test_div2k(div2k, split, part, numbers, above):
    folder = div2k.parent if above else div2k
    assert_holds(
        built("dysr_div2k/bicubic_x4", folder, f"dysr_div2k/bicubic_x4{split}"),
        [f"{number:04}.png" for number in numbers],
        lambda name: div2k / f"DIV2K_{part}_HR" / name,
        lambda name: div2k / f"DIV2K_{part}_LR_bicubic/X4" / f"{name[:-4]}x4.png",
    )


def test_the_default_config_is_x4_and_each_scale_has_its_own(div2k):
    assert built("dysr_div2k", div2k, "dysr_div2k")[0].lr.shape == (2, 4, 3)
    with pytest.raises(InputError, match=r"scale 4, the space's is 2; .* dysr_div2k/bicubic_x2"):
        open_source("tfds:dysr_div2k", 2)
    assert built("dysr_div2k/bicubic_x2", div2k, "dysr_div2k/bicubic_x2", 2)[0].lr.shape == (4, 8, 3)


def test_hr_alone_fits_every_scale(div2k):
    source = built("dysr_div2k/hr", div2k, "dysr_div2k/hr", 3)
    names = [f"{number:04}.png" for number in range(1, 5)]
    assert_holds(source, names, lambda name: div2k / "DIV2K_train_HR" / name)


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is there")
def test_tensorflow_is_not_needed(flickr2k):
    assert built("dysr_flickr2k", flickr2k, "dysr_flickr2k")[0].lr is not None
    assert "tensorflow" not in sys.modules


def test_flickr2k(flickr2k):
    assert_holds(
        built("dysr_flickr2k", flickr2k, "dysr_flickr2k"),
        ["000001.png", "000002.png", "000003.png"],
        lambda name: flickr2k / "Flickr2K_HR" / name,
        lambda name: flickr2k / "Flickr2K_LR_bicubic/X4" / f"{name[:-4]}x4.png",
    )


@pytest.mark.parametrize("folder", ["Set5", "Set14", "B100", "Urban100"])
def test_benchmarks_as_edsr_ships_them(edsr_benchmark, folder):
    name = f"dysr_{folder.lower()}"
    assert_holds(
        built(name, edsr_benchmark, name),
        ["baby.png", "bird.png"],
        lambda name: edsr_benchmark / folder / "HR" / name,
        lambda name: edsr_benchmark / folder / "LR_bicubic/X4" / f"{name[:-4]}x4.png",
    )


def test_benchmarks_as_selfexsr_ships_them(selfex_set5):
    assert_holds(
        built("dysr_set5", selfex_set5, "dysr_set5:test"),
        ["img_001_SRF_4_HR.png", "img_002_SRF_4_HR.png"],
        lambda name: selfex_set5 / "image_SRF_4" / name,
        lambda name: selfex_set5 / "image_SRF_4" / name.replace("HR", "LR"),
    )


@pytest.mark.parametrize(
    ("split", "clips"), [("train", ["00001/0001", "00001/0002"]), ("test", ["00002/0001"])]
)
def test_vimeo90k(vimeo90k, split, clips):
    assert_holds(
        built("dysr_vimeo90k", vimeo90k, f"dysr_vimeo90k:{split}"),
        [f"{clip}/im{frame}.png" for clip in clips for frame in range(1, 8)],
        lambda name: vimeo90k / "sequences" / name,
    )


def test_vid4_has_its_frames_in_the_order_of_their_numbers(vid4):
    assert_holds(
        built("dysr_vid4", vid4, "dysr_vid4"),
        [f"{clip}/Frame {frame}.png" for clip in ("calendar", "city") for frame in (1, 2, 9, 10)],
        lambda name: vid4 / "GT" / name,
        lambda name: vid4 / "BIx4" / name,
    )


def test_every_data_set_is_registered_with_tfds():
    import tensorflow_datasets as tfds

    catalogue = set(tfds.list_builders(with_community_datasets=False))
    from dysr_jax.data.builders.tfds_builders import BUILDERS

    assert BUILDERS.keys() == DATASETS.keys()
    assert set(tfds.list_builders(with_community_datasets=False)) >= DATASETS.keys()
    assert "div2k" in catalogue
    for name, builder in BUILDERS.items():
        assert builder.name == name
        assert tfds.builder_cls(name) is builder
        assert [config.name for config in builder.BUILDER_CONFIGS] == [*DATASETS[name].configs]


@given(st.lists(st.integers(0, 10**4), unique=True), st.text("az .", max_size=3))
def test_frames_are_sorted_by_number(numbers, prefix):
    names = [f"{prefix}{number}.png" for number in numbers]
    assert sorted(names, key=natural_key) == [f"{prefix}{n}.png" for n in sorted(numbers)]
