"""Backends by name, and sessions that share what they can."""

import threading

import numpy as np
import onnxruntime
import pytest

from dysr_jax.aot import sessions
from dysr_jax.aot.onnx_graph import FrameModel, frame_model
from dysr_jax.aot.sessions import Session, WeightPool, backend_name, find_provider
from dysr_jax.errors import InputError


def test_a_backend_by_its_name():
    assert find_provider("auto") is None and find_provider("xla") is None
    names = ("onnxruntime", "onnxruntime:cpu", "onnxruntime:CPU", "onnxruntime:CPUExecutionProvider")
    assert {find_provider(name) for name in names} == {"CPUExecutionProvider"}
    assert backend_name("auto") == ""
    assert backend_name("onnxruntime") == f"onnxruntime {onnxruntime.__version__} cpu"


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("tvm", r"^backend 'tvm': must be auto, xla, onnxruntime or onnxruntime:PROVIDER$"),
        ("", "^backend '': must be auto"),
        ("onnxruntime:", "^backend 'onnxruntime:': must be auto"),
        ("onnxruntime:warp", r"^backend 'onnxruntime:warp': must name a provider of .*, which has .*cpu"),
    ],
)
def test_another_is_refused(backend, message):
    with pytest.raises(InputError, match=message):
        find_provider(backend)


def test_without_onnx_runtime(monkeypatch):
    def missing(name="onnx"):
        raise InputError(f"{name}: must be installed")

    monkeypatch.setattr(sessions, "import_extra", missing)
    assert find_provider("auto") is None
    with pytest.raises(InputError, match="must be installed"):
        find_provider("onnxruntime")


@pytest.fixture(scope="module")
def model(three_members):
    return frame_model(three_members.space, three_members.params, three_members.members[1].arch, shared=True)


def test_equal_weights_are_held_once(model):
    pool = WeightPool()
    total = sum(array.nbytes for array in model.weights.values())
    first, second = Session(model, "CPUExecutionProvider", pool), Session(model, "CPUExecutionProvider", pool)
    assert pool.bytes == total > 0
    frame = np.random.default_rng(0).integers(0, 256, (5, 9, 3), np.uint8)
    np.testing.assert_array_equal(first(frame), second(frame))


def test_threads_and_shapes_do_not_disturb_each_other(model):
    session = Session(model, "CPUExecutionProvider", WeightPool())
    frames = [np.random.default_rng(i).integers(0, 256, (5 + i, 9, 3), np.uint8) for i in range(4)]
    alone = [session(frame) for frame in frames]
    made = {}

    def work(number):
        made[number] = [session(frames[number]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, frame in enumerate(alone):
        for one in made[number]:
            np.testing.assert_array_equal(one, frame)


def test_what_a_provider_refuses_is_an_error_of_one_line(model):
    with pytest.raises(InputError, match=r"^provider CPUExecutionProvider: .+") as broken:
        Session(FrameModel(b"nothing", {}), "CPUExecutionProvider", WeightPool())
    session = Session(model, "CPUExecutionProvider", WeightPool())
    with pytest.raises(InputError, match=r"^provider CPUExecutionProvider: a frame of 4x3: .+") as shape:
        session(np.zeros((3, 4, 2), np.uint8))
    assert "\n" not in f"{broken.value}{shape.value}"


def test_a_provider_that_takes_no_layer_is_no_silent_cpu(model):
    """ONNX Runtime says nothing, and takes the next provider: Azure's takes what calls a server."""
    with pytest.raises(InputError, match=r"^provider AzureExecutionProvider: cannot be started"):
        Session(model, "AzureExecutionProvider", WeightPool())
