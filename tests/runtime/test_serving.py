"""Serving: the fused executable where it is ready, the chain until then, the same pixels by both."""

import threading

import jax
import numpy as np
import pytest

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.bundle.bundle import make_bundle, make_member
from dysr_jax.errors import InputError
from dysr_jax.model.names import parse_arch
from dysr_jax.model.planes import RGB
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import init_params
from dysr_jax.runtime.serving import Backoff, Serving

SPACE = uniform_space(slots=2, widths=4, scale=2, branches=("id", "c3", "s3"))
SHAPE = (6, 8)
NAMES = ("2id-u1", "c3-s3-u1")
OTHER = "id-s3-u1"
"""No member, but its weights are there."""


@pytest.fixture(scope="module")
def bundle():
    params = jax.tree.map(lambda x: 3 * x, jax.device_get(init_params(jax.random.key(0), SPACE)))
    members = [make_member(SPACE, parse_arch(SPACE, n), 30.0 + i, 1.0 + i) for i, n in enumerate(NAMES)]
    net = make_supernet(SPACE, "float32")
    return make_bundle(params, members, net=net, frame=SHAPE, bicubic_psnr_y=29.0)


@pytest.fixture
def gate(monkeypatch):
    """What the background compiles waits here."""
    opened = threading.Event()
    from dysr_jax.runtime.bank import Background

    submit = Background.submit

    def wait_first(self, job):
        def waiting():
            opened.wait(30)
            job()

        return submit(self, waiting)

    monkeypatch.setattr(Background, "submit", wait_first)
    yield opened
    opened.set()


def levels(a, b):
    return np.abs(np.asarray(a, int) - np.asarray(b, int)).max()


def test_a_sub_graph_is_chained_at_once_and_fused_once_compiled(bundle, frame, gate):
    serving = Serving(bundle)
    serving.prepare_soon(SHAPE)
    with count_compilations() as compilations:
        chained = {name: np.asarray(serving.dispatch(frame, name)) for name in (*NAMES, OTHER)}
    assert compilations.value == 0
    assert not any(serving.bank.is_ready(name, SHAPE) for name in chained)
    gate.set()
    for name, image in chained.items():
        serving._backoff.last((name, SHAPE, RGB)).result(60)
        assert serving.bank.is_ready(name, SHAPE)
        assert levels(serving.dispatch(frame, name), image) <= 1
    assert levels(chained[NAMES[0]], chained[NAMES[1]]) > 5


def test_what_is_prepared_is_fused_and_needs_no_chain(bundle, frame):
    serving = Serving(bundle)
    serving.prepare(SHAPE, [NAMES[1]])
    fused = serving.dispatch(frame, NAMES[1])
    assert serving.chain.count == 0
    with pytest.raises(InputError, match="the chain is not prepared for a frame of 6x8"):
        serving.dispatch(frame, NAMES[0])
    assert levels(fused, serving.bank(frame, NAMES[1])) == 0


def test_weights_are_resident_once(bundle, frame):
    serving = Serving(bundle)
    serving.prepare(SHAPE)
    serving.chain.prepare(SHAPE)
    memory = serving.memory()
    assert memory.weights == serving.bank.memory().weights == serving.chain.memory().weights
    parts = [serving.bank.memory().executables, serving.chain.memory().executables]
    assert memory.executables == sum(parts) > max(parts)
    held = (serving.bank._params, serving.chain._params)
    pointers = [{leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(p)} for p in held]
    assert pointers[0] == pointers[1]


def test_an_arch_that_cannot_be_served_is_refused(bundle, frame):
    serving = Serving(bundle)
    serving.prepare_soon(SHAPE, [])
    with pytest.raises(InputError, match="the bundle has 2id-u1"):
        serving.dispatch(frame, "9zz-u1")
    with pytest.raises(InputError, match="slot 0: the weights of branch 's3' were not kept"):
        serving.dispatch(frame, "2s3-u1")


def test_the_ends_have_names_of_their_own(bundle, frame):
    serving = Serving(bundle)
    serving.prepare(SHAPE, ["fastest"])
    assert serving.bank.is_ready("fastest", SHAPE)
    assert serving.bank.is_ready(NAMES[0], SHAPE)
    assert levels(serving.dispatch(frame, "fastest"), serving.dispatch(frame, NAMES[0])) == 0


SPELLED = {"2id-u1": "id-1id-u1", "c3-s3-u1": "1c3-1s3-1u1", "id-s3-u1": "1id-s3-u1"}


def test_one_executable_serves_every_spelling(bundle, frame, gate):
    serving = Serving(bundle)
    serving.prepare_soon(SHAPE, [SPELLED[name] for name in NAMES])
    chained = {name: np.asarray(serving.dispatch(frame, SPELLED[name])) for name in SPELLED}
    gate.set()
    for name, other in SPELLED.items():
        serving._backoff.last((name, SHAPE, RGB)).result(60)
        assert serving.bank.is_ready(other, SHAPE)
        assert levels(serving.dispatch(frame, other), chained[name]) <= 1
    assert len(serving.bank._held.programs()) == len(SPELLED)


@pytest.fixture
def clocked(monkeypatch):
    """A clock that tests set."""
    from dysr_jax.runtime import serving as module

    now = [0.0]
    monkeypatch.setattr(module, "Backoff", lambda: Backoff(lambda: now[0]))
    return now


def test_what_the_budget_let_go_of_is_compiled_again(bundle, frame, clocked):
    probe = Serving(bundle)
    probe.prepare(SHAPE)
    serving = Serving(bundle, budget=probe.bank.memory().total - 1)  # one of the two, not both
    serving.chain.prepare(SHAPE)
    for name, other in (NAMES, NAMES[::-1], NAMES):
        serving.dispatch(frame, name)
        serving._backoff.last((name, SHAPE, RGB)).result(60)
        assert serving.bank.is_ready(name, SHAPE)
        assert not serving.bank.is_ready(other, SHAPE)
        clocked[0] += 100.0


def test_what_failed_is_said_and_tried_again(bundle, frame, clocked, monkeypatch):
    said = []
    serving = Serving(bundle, log=said.append)
    serving.chain.prepare(SHAPE)
    entry = serving.bank._executable

    def fail(*_):
        raise RuntimeError("RESOURCE_EXHAUSTED")

    monkeypatch.setattr(serving.bank, "_executable", fail)
    for _ in range(3):  # one attempt, whatever the number of frames
        serving.dispatch(frame, OTHER)
        assert isinstance(serving._backoff.last((OTHER, SHAPE, RGB)).exception(60), RuntimeError)
    assert said == [f"{OTHER} is chained for now: RESOURCE_EXHAUSTED"]
    monkeypatch.setattr(serving.bank, "_executable", entry)
    clocked[0] += 2.0
    serving.dispatch(frame, OTHER)
    serving._backoff.last((OTHER, SHAPE, RGB)).result(60)
    assert serving.bank.is_ready(OTHER, SHAPE)


def test_what_never_fits_stays_chained(bundle, frame, clocked):
    said = []
    weights = Serving(bundle).bank.memory().weights
    serving = Serving(bundle, budget=weights, log=said.append)
    serving.chain.prepare(SHAPE)
    for _ in range(3):
        serving.dispatch(frame, NAMES[1])
        assert isinstance(serving._backoff.last((NAMES[1], SHAPE, RGB)).exception(60), InputError)
        clocked[0] += 1000.0
    assert len(said) == 1
    assert said[0].startswith(f"{NAMES[1]} stays chained: budget {weights} bytes")


def test_frames_go_on_after_closing(bundle, frame):
    serving = Serving(bundle)
    serving.chain.prepare(SHAPE)
    serving.close()
    for _ in range(2):
        assert serving.dispatch(frame, OTHER).shape == (12, 16, 3)
    assert not serving.bank.is_ready(OTHER, SHAPE)
    assert serving.bank.prepare_soon(SHAPE).cancelled()


def test_what_is_no_frame_is_refused(bundle, frame):
    serving = Serving(bundle)
    for wrong in (frame.tolist(), None, frame.astype(float), frame[..., 0]):
        with pytest.raises(InputError, match=r"^frame "):
            serving.dispatch(wrong, NAMES[0])
