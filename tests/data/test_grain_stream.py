"""Chunks from Grain: the same whoever reads them, and after a restart."""

import dataclasses
import sys

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax import parallel
from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import Subset, make_pairs
from dysr_jax.data.grain_stream import GrainStream, arrange_chunk, make_drawer, make_shard
from dysr_jax.data.images.write import write_image
from dysr_jax.data.training import open_training_images
from dysr_jax.errors import InputError
from dysr_jax.train.state import Checkpoints

SCALE, PATCH = 2, 4
SIZES = {"chunk": 3, "groups": 4, "batch": 2}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(7):
        shape = (12 + 3 * number, 20, 3)
        write_image(folder / f"{number}.png", rng.integers(0, 256, shape, dtype=np.uint8))
    config = DataConfig(source=f"folder:{folder}", patch=PATCH, holdout=1, crops_per_image=2)
    return open_training_images(config, SCALE)[0]


def take(images, count, devices=1, *, seed=5, sizes=SIZES, **changes):
    """The first chunks by group: LR and HR `[count, groups, chunk, B, ...]`."""
    images = dataclasses.replace(images, config=dataclasses.replace(images.config, **changes))
    chunks = GrainStream(images).chunks(seed, parallel.device_mesh(devices), **sizes)
    try:
        found = [jax.tree.map(by_group, next(chunks)) for _ in range(count)]
    finally:
        chunks.close()
    return [np.stack(parts) for parts in zip(*found, strict=True)]


def by_group(crops) -> np.ndarray:
    crops = np.asarray(crops).swapaxes(1, 2)
    return crops.reshape(-1, *crops.shape[2:])


def test_every_patch_is_an_exact_pair(images):
    pairs = make_pairs(images.source, SCALE)
    real = {
        (
            pair.lr[row : row + PATCH, column : column + PATCH].tobytes(),
            pair.hr[row * SCALE : (row + PATCH) * SCALE, column * SCALE : (column + PATCH) * SCALE].tobytes(),
        )
        for pair in pairs
        for row in range(pair.lr.shape[0] - PATCH + 1)
        for column in range(pair.lr.shape[1] - PATCH + 1)
    }
    lr, hr = take(images, 2)
    assert lr.shape == (2, 4, 3, 2, PATCH, PATCH, 3)
    assert hr.shape == (2, 4, 3, 2, PATCH * SCALE, PATCH * SCALE, 3)
    patches = list(zip(lr.reshape(-1, *lr.shape[-3:]), hr.reshape(-1, *hr.shape[-3:]), strict=True))
    assert {(small.tobytes(), large.tobytes()) for small, large in patches} <= real
    assert len({small.tobytes() for small, _ in patches}) > 30


def test_the_seed_and_the_groups_determine_the_patches(images):
    first, other = take(images, 2), take(images, 2, seed=6)
    for devices in (2, 4):
        for mine, theirs in zip(take(images, 2, devices), first, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert (first[0] != other[0]).any()
    # Groups have images and places of their own, and a chunk is not the one before it.
    assert len({group.tobytes() for group in first[0][0]}) == 4
    assert (first[0][0] != first[0][1]).any()


@pytest.mark.long
def test_workers_change_nothing(images):
    config = dataclasses.replace(images.config, workers=2)
    whole, _ = take(images, 3)
    chunks = GrainStream(dataclasses.replace(images, config=config)).chunks(
        5, parallel.device_mesh(1), **SIZES
    )
    try:
        found = [by_group(next(chunks)[0])]
        state = chunks.get_state()
        found.append(by_group(next(chunks)[0]))
        chunks.set_state(state)  # back to after the first
        again = [by_group(next(chunks)[0]) for _ in range(2)]
    finally:
        chunks.close()
    np.testing.assert_array_equal([*found, again[1]], whole)
    np.testing.assert_array_equal(again[0], found[1])


def test_chunks_lie_on_the_devices_that_train_them(images):
    mesh = parallel.device_mesh(2)
    chunks = GrainStream(images).chunks(5, mesh, **SIZES)
    lr, _ = next(chunks)
    chunks.close()
    assert lr.shape[:4] == (2, 3, 2, 2)
    assert [piece.device for piece in lr.addressable_shards] == list(mesh.devices)
    assert all(piece.data.shape[0] == 1 for piece in lr.addressable_shards)


def test_a_restored_stream_goes_on_where_it_was_saved(images, tmp_path):
    """Though chunks ahead of that were already made."""
    mesh, state = parallel.device_mesh(2), {"step": np.zeros(1)}
    whole, _ = take(images, 4, 2)
    chunks = GrainStream(images).chunks(5, mesh, **SIZES)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(state, chunks) is None
        for _ in range(2):
            next(chunks)
        checkpoints.save(2, {"step": np.full(1, 2.0)}, chunks)
        next(chunks)
    chunks.close()
    again = GrainStream(images).chunks(5, mesh, **SIZES)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(state, again)["step"] == 2
    found = [by_group(next(again)[0]) for _ in range(2)]
    again.close()
    np.testing.assert_array_equal(found, whole[2:])


def test_another_number_of_processes_is_refused(images, tmp_path):
    state = {"step": np.zeros(1)}
    chunks = GrainStream(images).chunks(5, parallel.device_mesh(1), **SIZES)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(2, state, chunks)
    (saved,) = tmp_path.glob("2/data/process_0-of-1.json")
    saved.rename(saved.with_name("process_0-of-2.json"))
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match="another number of processes than 1"),
    ):
        checkpoints.restore(state, chunks)
    chunks.close()


@settings(deadline=None, derandomize=True, database=None, max_examples=30)
@given(count=st.integers(1, 30), groups=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_shards_are_disjoint_and_together_everything(images, count, groups, seed):
    """Of two epochs in a row."""
    several = dataclasses.replace(images, source=Subset(images.source, (0,) * count), sizes=None)
    drawer = make_drawer(several, groups)
    each = drawer.strata // groups
    orders = []
    for epoch in range(2):
        seen = []
        for group in range(groups):
            strata = make_shard(lambda stratum, rng: stratum, drawer.strata, group, groups, seed)
            seen += [strata[epoch * each + i] for i in range(each)]
        assert sorted(seen) == list(range(drawer.strata))
        orders.append(seen)
    if each > 8:
        assert orders[0] != orders[1]


@settings(deadline=None, derandomize=True, database=None)
@given(
    chunk=st.integers(1, 6),
    batch=st.integers(1, 5),
    devices=st.integers(1, 3),
    each=st.integers(1, 3),
    crops=st.integers(1, 8),
)
def test_a_chunk_spreads_the_crops_of_an_image(chunk, batch, devices, each, crops):
    count = -(-chunk * batch // crops)
    label = np.arange(count * devices * each * crops).reshape(count, devices * each, crops)
    pixels = label[..., None, None, None] * np.ones((1, 1, 3), int)
    lr, hr = arrange_chunk({"lr": pixels, "hr": pixels}, chunk=chunk, batch=batch, each=each)
    assert lr.shape == (devices, chunk, each, batch, 1, 1, 3)
    np.testing.assert_array_equal(lr, hr)
    image, rest = np.divmod(lr[..., 0, 0, 0], devices * each * crops)
    group = rest // crops
    assert len(np.unique(lr)) == devices * chunk * each * batch  # none twice
    for place in np.ndindex(devices, each):
        assert set(group[place[0], :, place[1]].ravel()) == {place[0] * each + place[1]}
    if count >= batch:
        for step in image.swapaxes(2, 3).reshape(devices * chunk, batch, each).transpose(0, 2, 1):
            assert all(len(set(group)) == batch for group in step)


def test_without_grain_the_pool_is_named(images, monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(InputError, match=r"needs the package grain.*data\.pipeline must be pool"):
        GrainStream(images).chunks(5, parallel.device_mesh(1), **SIZES)


def test_a_damaged_image_ends_training_with_its_name(images, tmp_path):
    for number in range(4):
        write_image(tmp_path / f"{number}.png", images.source[number].hr)
    config = dataclasses.replace(images.config, source=f"folder:{tmp_path}")
    damaged, _ = open_training_images(config, SCALE)
    for name in damaged.source.names:
        file = tmp_path / name
        file.write_bytes(file.read_bytes()[:-100])
    chunks = GrainStream(damaged).chunks(5, parallel.device_mesh(1), **SIZES)
    with pytest.raises(InputError, match=r"\d\.png' cannot be read"):
        next(chunks)
    chunks.close()
