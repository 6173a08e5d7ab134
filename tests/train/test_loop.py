"""The loop: what it refuses, its checkpoints, its scalars."""

import dataclasses

import jax
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dysr_jax import parallel
from dysr_jax.data.config import DataConfig
from dysr_jax.data.examples import Example, Pair
from dysr_jax.data.grain_stream import GrainStream
from dysr_jax.data.pool import build_pool
from dysr_jax.data.training import TrainingImages
from dysr_jax.errors import InputError
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import Supernet
from dysr_jax.train import loop
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.state import Checkpoints, init_state

BY_GROUP = TrainConfig(steps=12, batch=2, chunk=3, warmup=1, checkpoint_chunks=1)
CONFIG = dataclasses.replace(
    BY_GROUP, archs="patch", sampling="nested", channel_shuffle=True, color_jitter=0.5
)
"""By patches, with all that is drawn."""
SPACE = uniform_space(slots=1, widths=4, scale=2, branches=("id", "c3"), upsamplers=("u1",))


@pytest.fixture(scope="module")
def pool():
    hr = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    return build_pool([Pair("noise", hr[::2, ::2], hr)], patch=8)


class LoadedImages:
    """Images that are in memory, as a source."""

    def __init__(self, images):
        self.names, self.images = zip(*images, strict=True)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        return Example(self.names[index], self.images[index], None)


@pytest.fixture(scope="module")
def stream():
    """Three images of which Grain reads crops."""
    rng = np.random.default_rng(0)
    source = LoadedImages([(str(i), rng.integers(0, 256, (40, 48, 3), np.uint8)) for i in range(3)])
    config = DataConfig(patch=8, crops_per_image=2)
    return GrainStream(TrainingImages(source, np.array([(20, 24)] * 3), config, 2))


def train(data, run, config=CONFIG, devices=1):
    mesh = parallel.device_mesh(devices)
    return loop.train(jax.random.key(0), Supernet(SPACE), data, config, mesh, run)


@pytest.fixture(scope="module")
def finished(pool, tmp_path_factory):
    run = tmp_path_factory.mktemp("train")
    return train(pool, run), run


class StopError(Exception):
    """Stands for whatever ends a process."""


def interrupted(data, run, config=CONFIG, devices=1):
    """Train, but for an interruption after the second dispatch."""
    real, done = loop.make_train_chunk, []

    def stopping(*args, **options):
        chunk = real(*args, **options)

        def wrapped(*inner):
            if len(done) == 2:
                raise StopError
            done.append(True)
            return chunk(*inner)

        return wrapped

    with pytest.MonkeyPatch.context() as patch, pytest.raises(StopError):
        patch.setattr(loop, "make_train_chunk", stopping)
        train(data, run, config, devices)


@pytest.fixture(scope="module")
def resumed(pool, tmp_path_factory):
    """The state of a run that was interrupted, and its folder."""
    run = tmp_path_factory.mktemp("resumed")
    interrupted(pool, run)
    return train(pool, run), run


def test_an_interrupted_run_ends_with_the_same_bits(resumed, finished):
    state, _ = resumed
    for mine, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(finished[0]), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("devices", [1, 4])
@pytest.mark.long
def test_an_interrupted_stream_ends_with_the_same_bits(stream, tmp_path, devices):
    config = dataclasses.replace(BY_GROUP, groups=devices, steps=9)
    whole = train(stream, tmp_path / "whole", config, devices)
    interrupted(stream, tmp_path / "run", config, devices)
    state = train(stream, tmp_path / "run", config, devices)
    for mine, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_finished_run_is_restored_and_not_trained(pool, finished, monkeypatch):
    monkeypatch.setattr(loop, "make_train_chunk", lambda *_, **__: pytest.fail("trained again"))
    state = train(pool, finished[1])
    for mine, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(finished[0]), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_scalars_are_in_tensorboards_format(finished):
    events = EventAccumulator(str(finished[1] / "tensorboard"))
    events.Reload()
    loss = events.Scalars("train/loss")
    assert [event.step for event in loss] == [3, 6, 9, 12]
    assert all(np.isfinite(event.value) for event in loss)
    names = {"loss", "largest", "smallest", "random", "gradient_norm"}
    assert {f"train/{name}" for name in names} <= set(events.Tags()["scalars"])


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    """What a kill leaves while Orbax writes: a directory without its commit file."""
    state = init_state(jax.random.key(0), SPACE, CONFIG)
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.restore(state) is None
    checkpoints.save(3, state)
    checkpoints.close()
    (tmp_path / "6.orbax-checkpoint-tmp").mkdir()
    again = Checkpoints(tmp_path)
    restored = again.restore(jax.tree.map(jax.numpy.zeros_like, state))
    again.close()
    for mine, theirs in zip(jax.tree.leaves(restored), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_scalars_after_an_interruption_are_there_once(resumed):
    _, run = resumed
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [3, 6, 9, 12]


def test_divergence_ends_the_run_and_keeps_no_diverged_state(pool, tmp_path):
    config = dataclasses.replace(BY_GROUP, learning_rate=1e30)
    net, mesh = Supernet(SPACE), parallel.device_mesh(1)
    with pytest.raises(InputError, match=r"diverged before step \d+ .*train.learning_rate must be under"):
        loop.train(jax.random.key(0), net, pool, config, mesh, tmp_path)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    state = checkpoints.restore(init_state(jax.random.key(0), SPACE, config))
    checkpoints.close()
    leaves = [] if state is None else jax.tree.leaves(state.params)
    assert all(np.isfinite(leaf).all() for leaf in leaves)
