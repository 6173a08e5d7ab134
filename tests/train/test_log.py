"""Event files read without TensorBoard, against TensorBoard."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dysr_jax.errors import InputError
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.log import Log, read_curves


def write(folder, begin, end, offset, monkeypatch):
    """A training from one step to another, in a second of its own as the file's name has it."""
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0 + begin)
    log = Log(folder, TrainConfig(steps=100, chunk=10), begin)
    for step in range(begin + 10, end + 1, 10):
        log.push(step, {"loss": np.array([offset + step, offset + step + 1.0]), "largest": 0.5})
    log.close()


def by_tensorboard(folder):
    found = EventAccumulator(str(folder)).Reload()
    return {
        tag.removeprefix("train/"): [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def points(curve):
    return list(zip(curve.step.tolist(), curve.value.tolist(), strict=True))


def test_a_training_in_one_go(tmp_path, monkeypatch):
    write(tmp_path, 0, 50, 1.0, monkeypatch)
    curves = read_curves(tmp_path)
    assert set(curves) == {"loss", "largest"}
    assert points(curves["loss"]) == [(step, step + 1.5) for step in range(10, 51, 10)]
    assert {name: points(curve) for name, curve in curves.items()} == by_tensorboard(tmp_path)


def test_a_training_that_went_on_from_a_checkpoint(tmp_path, monkeypatch):
    write(tmp_path, 0, 50, 1.0, monkeypatch)
    write(tmp_path, 30, 80, 1000.0, monkeypatch)
    loss = read_curves(tmp_path)["loss"]
    assert loss.step.tolist() == list(range(10, 81, 10))
    assert points(loss)[2:4] == [(30, 31.5), (40, 1040.5)]
    assert points(loss) == by_tensorboard(tmp_path)["loss"]


def test_a_file_that_a_kill_cut_short(tmp_path, monkeypatch):
    write(tmp_path, 0, 50, 1.0, monkeypatch)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    whole = points(read_curves(tmp_path)["loss"])
    lengths = set()
    for cut in range(len(content) - 120, len(content)):
        file.write_bytes(content[:cut])
        found = points(read_curves(tmp_path)["loss"])
        assert found == whole[: len(found)]
        lengths.add(len(found))
    assert lengths == {3, 4, 5} or lengths == {4, 5}


def test_no_events(tmp_path):
    assert read_curves(tmp_path / "gone") == {}
    (tmp_path / "notes.txt").write_text("mine")
    assert read_curves(tmp_path) == {}


def test_something_else_under_that_name(tmp_path):
    file = tmp_path / "events.out.tfevents.1.host.from0"
    file.write_bytes((4).to_bytes(8, "little") + b"\0" * 4 + b"\xff\xff\xff\xff" + b"\0" * 4)
    with pytest.raises(InputError, match=r"from0 is damaged"):
        read_curves(tmp_path)
