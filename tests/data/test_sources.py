"""Where images come from, and how they are split into training and validation."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.data import sources
from dysr_jax.data.config import DataConfig
from dysr_jax.data.degradation import bicubic_downscale, crop_to_scale
from dysr_jax.data.examples import Example, make_pair
from dysr_jax.data.images.write import write_image
from dysr_jax.data.sources import EMBEDDED, load_source, open_source, split_source
from dysr_jax.data.training import load_pairs
from dysr_jax.errors import InputError

SIDE = 16


def make_folder(folder, count: int, side: int = SIDE):
    """Images `00.png`, `01.png`...; each is filled with its number."""
    folder.mkdir()
    for number in reversed(range(count)):  # written in another order than that of their names
        write_image(folder / f"{number:02}.png", np.full((side, side, 3), number, np.uint8))
    return folder


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "images", 20)


def config_of(folder, **changes) -> DataConfig:
    return dataclasses.replace(DataConfig(source=f"folder:{folder}", patch=4), **changes)


def names(pairs) -> list[str]:
    return [pair.name for pair in pairs]


def test_embedded_holds_the_last_photograph_out():
    training, validation = load_pairs(DataConfig(), 4)
    assert names(training) == ["chelsea", "coffee", "motorcycle", "rocket"]
    assert names(validation) == ["astronaut"] == list(EMBEDDED)[-1:]
    for pair in (*training, *validation):
        assert pair.hr.dtype == pair.lr.dtype == np.uint8
        assert pair.hr.shape == (pair.lr.shape[0] * 4, pair.lr.shape[1] * 4, 3)
    # Five photographs and not one five times.
    assert len({pair.hr[:64, :64].tobytes() for pair in (*training, *validation)}) == 5


def test_load_source_reads_a_folder_by_name(folder):
    images = load_source(f"folder:{folder}", 4)
    assert names(images) == [f"{number:02}.png" for number in range(20)]
    assert [image.hr[0, 0, 0] for image in images] == list(range(20))
    assert all(image.lr is None for image in images)


def test_a_folder_is_split_the_same_at_each_call(folder):
    first, second = (load_pairs(config_of(folder, holdout=4), 2) for _ in range(2))
    assert names(first[0]) == names(second[0])
    assert names(first[1]) == names(second[1])
    assert sorted(names(first[0]) + names(first[1])) == [f"{n:02}.png" for n in range(20)]


def test_held_out_images_are_spread_over_the_folder(folder):
    _, validation = load_pairs(config_of(folder, holdout=4), 2)
    held = [int(pair.name[:2]) for pair in validation]
    # Four of twenty cut it into five parts of three to five images.
    gaps = np.diff([-1, *held, 20])
    assert gaps.min() >= 3
    assert gaps.max() <= 5


@settings(deadline=None, derandomize=True, database=None)
@given(st.data())
def test_as_many_images_are_held_out_as_asked(data):
    count = data.draw(st.integers(2, 40), "images")
    holdout = data.draw(st.integers(1, count - 1), "holdout")
    training, held = sources._split(DataConfig(source="folder:x", holdout=holdout), count)
    assert len(held) == holdout
    # No image in both, none lost, the order kept.
    assert sorted(training + held) == list(range(count))
    assert (training, held) == (sorted(training), sorted(held))


@pytest.mark.parametrize("holdout", [-1, 0, 20, 21])
def test_holdout_outside_the_folder(folder, holdout):
    with pytest.raises(InputError, match=rf"data\.holdout {holdout}:.*20 images; must be 1 to 19"):
        load_pairs(config_of(folder, holdout=holdout), 2)


def test_one_image_cannot_be_split(tmp_path):
    folder = make_folder(tmp_path / "one", 1)
    with pytest.raises(InputError, match=r"has 1 images.*data\.validation"):
        load_pairs(config_of(folder, holdout=1), 2)


@pytest.mark.parametrize("source", ["", "folder", "folder:", "paired", "tfds:", "Embedded", "embedded:x"])
def test_unknown_source(source):
    with pytest.raises(InputError, match=rf"'{source}': must be embedded, folder:PATH, paired"):
        open_source(source, 4)


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(InputError, match=r"missing.*does not exist"):
        open_source(f"folder:{tmp_path / 'missing'}", 4)
    with pytest.raises(InputError, match="holds no"):
        open_source(f"folder:{tmp_path}", 4)


def test_a_file_that_is_no_image_is_named(folder):
    (folder / "05.png").write_text("text")
    with pytest.raises(InputError, match=r"05\.png.*cannot be read"):
        open_source(f"folder:{folder}", 4)


@pytest.fixture
def mixed(tmp_path):
    """Four images; the first, which is not held out, is smaller than a patch."""
    folder = make_folder(tmp_path / "mixed", 4)
    write_image(folder / "00.png", np.zeros((SIDE, 6, 3), np.uint8))
    return folder


def test_a_small_image_is_an_error(mixed):
    with pytest.raises(InputError, match=r"'00\.png' of 16x6.*8x8 or larger.*--data\.small skip"):
        load_pairs(config_of(mixed, holdout=1), 2)


def test_small_images_are_skipped_on_request(mixed):
    training, validation = load_pairs(config_of(mixed, holdout=1, small="skip"), 2)
    assert names(training) == ["01.png", "03.png"]
    assert names(validation) == ["02.png"]


def test_an_image_of_exactly_a_patch_is_large_enough(mixed):
    training, _ = load_pairs(config_of(mixed, holdout=1, patch=3), 2)
    assert "00.png" in names(training)


def test_nothing_is_left_when_all_images_are_small(mixed):
    with pytest.raises(InputError, match=r"data\.patch 9: no image of 'folder:.*large enough"):
        load_pairs(config_of(mixed, holdout=1, small="skip", patch=9), 2)


def test_a_validation_source_leaves_all_images_for_training(folder, tmp_path):
    other = make_folder(tmp_path / "other", 3)
    config = config_of(folder, validation=f"folder:{other}")
    training, validation = load_pairs(config, 2)
    assert len(training) == 20
    assert names(validation) == ["00.png", "01.png", "02.png"]


def test_embedded_validation_is_the_held_out_photograph(folder):
    _, validation = load_pairs(config_of(folder, validation="embedded"), 2)
    assert names(validation) == ["astronaut"]


@pytest.mark.parametrize("validation", [None, "embedded"])
def test_the_split_by_index_is_what_is_loaded(folder, validation):
    config = config_of(folder, holdout=4, validation=validation)
    for by_index, loaded in zip(split_source(config, 2), load_pairs(config, 2), strict=True):
        assert list(by_index.names) == names(loaded)
        examples = [by_index[index] for index in range(len(by_index))]
        for example, pair in zip(examples, loaded, strict=True):
            np.testing.assert_array_equal(crop_to_scale(example.hr, 2), pair.hr)


def test_an_unknown_validation_source(folder):
    with pytest.raises(InputError, match="'nothing': must be embedded"):
        load_pairs(config_of(folder, validation="nothing"), 2)


@pytest.mark.parametrize("boundary", ["replicate", "symmetric"])
def test_a_pair_is_cropped_and_downscaled(boundary):
    image = np.random.default_rng(0).integers(0, 256, (14, 19, 3), dtype=np.uint8)
    pair = make_pair(Example("name", image, None), 4, boundary)
    np.testing.assert_array_equal(pair.hr, image[:12, :16])
    np.testing.assert_array_equal(pair.lr, bicubic_downscale(image[:12, :16], 4, boundary))
    assert pair.name == "name"


def test_the_boundary_of_the_config_reaches_the_pairs(tmp_path):
    (folder := tmp_path / "noise").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        write_image(folder / name, rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
    for boundary in ("replicate", "symmetric"):
        training, validation = load_pairs(config_of(folder, holdout=1, boundary=boundary), 2)
        for pair in (*training, *validation):
            np.testing.assert_array_equal(pair.lr, bicubic_downscale(pair.hr, 2, boundary))
    assert (training[0].lr != bicubic_downscale(training[0].hr, 2, "replicate")).any()


@pytest.mark.parametrize("shape", [(3, 8), (8, 3)])
def test_images_under_one_lr_pixel_are_refused(shape):
    with pytest.raises(InputError, match=r"'tiny' of .* is smaller than scale 4"):
        make_pair(Example("tiny", np.zeros((*shape, 3), np.uint8), None), 4)
