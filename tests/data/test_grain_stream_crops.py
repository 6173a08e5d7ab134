"""Crops drawn on the host: real LR/HR pairs, as often as the pool draws them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import Example, make_pair
from dysr_jax.data.grain_stream import make_drawer
from dysr_jax.data.training import TrainingImages
from dysr_jax.errors import InputError

SCALE, PATCH = 2, 3
SHAPES = ((11, 9), (6, 12), (20, 8))
HR = [
    np.random.default_rng(number).integers(0, 256, (*shape, 3), dtype=np.uint8)
    for number, shape in enumerate(SHAPES)
]
PAIRS = [make_pair(Example(str(number), image, None), SCALE) for number, image in enumerate(HR)]


class LoadedImages:
    """Images that are in memory, as a source."""

    def __init__(self, images):
        self.names, self.images = zip(*images, strict=True)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        return Example(self.names[index], self.images[index], None)


def make_images(source=None, *, sized=True, **changes) -> TrainingImages:
    source = source or LoadedImages([(pair.name, image) for pair, image in zip(PAIRS, HR, strict=True)])
    sizes = np.array(SHAPES) // SCALE if sized else None
    config = DataConfig(patch=PATCH, **changes)
    return TrainingImages(source, sizes, config, SCALE)


def find(lr: np.ndarray, pairs=PAIRS) -> tuple[int, int, int]:
    """The one place that an LR crop is from: noise repeats nowhere."""
    found = []
    for image, pair in enumerate(pairs):
        windows = np.lib.stride_tricks.sliding_window_view(pair.lr, (PATCH, PATCH), (0, 1))
        same = (windows == lr.transpose(2, 0, 1)).all((2, 3, 4))
        found += [(image, int(row), int(column)) for row, column in np.argwhere(same)]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("count", [1, 2, 40])
def test_crops_are_exact_pairs_of_one_image(count):
    """One crop is degraded alone, forty are cut from the whole LR image."""
    drawer, seen = make_drawer(make_images(crops_per_image=count), 1), set()
    for stratum in range(drawer.strata):
        crops = drawer(stratum, np.random.default_rng(stratum))
        assert crops["lr"].shape == (count, PATCH, PATCH, 3)
        assert crops["hr"].shape == (count, PATCH * SCALE, PATCH * SCALE, 3)
        assert crops["lr"].dtype == crops["hr"].dtype == np.uint8
        places = [find(lr) for lr in crops["lr"]]
        assert len({image for image, *_ in places}) == 1
        for (image, row, column), hr in zip(places, crops["hr"], strict=True):
            side = slice(row * SCALE, (row + PATCH) * SCALE)
            across = slice(column * SCALE, (column + PATCH) * SCALE)
            np.testing.assert_array_equal(hr, PAIRS[image].hr[side, across])
        seen |= {places[0][0]}
    assert len(seen) > 1


def test_a_source_s_own_lr_images_are_cut():
    class Given(LoadedImages):
        def __getitem__(self, index):
            name, hr, _ = super().__getitem__(index)
            return Example(name, hr, 255 - PAIRS[index].lr)

    source = Given([(pair.name, image) for pair, image in zip(PAIRS, HR, strict=True)])
    crops = make_drawer(make_images(source), 1)(0, np.random.default_rng(0))
    inverted = [pair._replace(lr=255 - pair.lr) for pair in PAIRS]
    assert {find(lr, inverted)[0] for lr in crops["lr"]} <= {0, 1, 2}


def test_all_crops_of_all_images_are_equally_likely():
    drawer = make_drawer(make_images(crops_per_image=1), 1)
    rng, epochs = np.random.default_rng(0), 1200
    counts: dict[tuple[int, int, int], int] = {}
    for stratum in list(range(drawer.strata)) * epochs:
        place = find(drawer(stratum, rng)["lr"][0])
        counts[place] = counts.get(place, 0) + 1
    positions = (np.array(SHAPES) // SCALE - PATCH + 1).prod(1)
    assert len(counts) == positions.sum()
    expected = epochs * drawer.strata / positions.sum()
    assert max(abs(n - expected) for n in counts.values()) < 5 * np.sqrt(expected)


def test_without_sizes_all_images_are_equally_likely():
    drawer, rng = make_drawer(make_images(sized=False), 1), np.random.default_rng(0)
    assert [drawer.draw_image(stratum, rng) for stratum in range(3)] == [0, 1, 2]


@settings(deadline=None, derandomize=True, database=None)
@given(sides=st.lists(st.integers(PATCH, 40), min_size=1, max_size=12), shards=st.integers(1, 9))
def test_an_epoch_takes_each_image_as_often_as_its_share_says(sides, shards):
    sizes = np.array([(side, side) for side in sides])
    source = LoadedImages([(str(i), np.zeros((1, 1, 3), np.uint8)) for i in range(len(sides))])
    images = dataclasses.replace(make_images(source), sizes=sizes)
    drawer, rng = make_drawer(images, shards), np.random.default_rng(0)
    assert drawer.strata % shards == 0
    assert len(sides) <= drawer.strata < len(sides) + shards
    drawn = [drawer.draw_image(stratum, rng) for stratum in range(drawer.strata)]
    share = (sizes[:, 0] - PATCH + 1) ** 2 / ((sizes[:, 0] - PATCH + 1) ** 2).sum()
    # A stratum that two images share goes to one of them, and there is one at each end.
    assert np.abs(np.bincount(drawn, minlength=len(sides)) - drawer.strata * share).max() < 2


def test_an_image_that_turns_out_small():
    source = LoadedImages([("large", HR[0]), ("small", HR[0][:4])])
    images = make_images(source, sized=False)
    with pytest.raises(InputError, match=r"'small' of 4x8 is smaller.*data\.patch 3"):
        make_drawer(images, 1)(1, np.random.default_rng(0))
    images = make_images(source, sized=False, small="skip")
    crops = make_drawer(images, 1)(1, np.random.default_rng(0))
    assert {find(lr)[0] for lr in crops["lr"]} == {0}
    images = make_images(LoadedImages([("small", HR[0][:4])]), sized=False, small="skip")
    with pytest.raises(InputError, match="no image of 'embedded' is large enough"):
        make_drawer(images, 1)(0, np.random.default_rng(0))
