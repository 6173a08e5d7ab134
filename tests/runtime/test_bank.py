"""The bank: the right pixels, N compilations for N members, none for a switch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.model.programs import make_supernet
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.bundle import make_bundle, make_member
from dysr_jax.runtime.compilations import count_compilations
from dysr_jax.runtime.switching import measure_switching
from dysr_jax.space import uniform

SPACE = uniform(slots=2, width=4, scale=2, branches=("id", "s3", "c3", "r1"))
NET = make_supernet(SPACE, "float32")
ARCHS = [(0, 0, 0), (1, 2, 0), (3, 3, 1)]
NAMES = ["2id-u1", "s3-c3-u1", "2r1-u2"]
SHAPE = (6, 8)


@pytest.fixture(scope="module")
def params(noisy_params):
    """The whole supernet's; with noise on all weights members differ by many levels."""
    return noisy_params(SPACE)


@pytest.fixture(scope="module")
def bundle(params):
    members = [make_member(SPACE, arch, 30.0 + i, 1.0 + i) for i, arch in enumerate(ARCHS)]
    return make_bundle(params, members, net=NET, frame=SHAPE, bicubic_psnr_y=29.0)


@pytest.fixture(scope="module")
def bank(bundle):
    bank = Bank(bundle)
    bank.prepare(SHAPE)
    return bank


@pytest.fixture(scope="module")
def frame():
    return np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)


@pytest.fixture(scope="module")
def expected(params, frame):
    """By the uncompiled static programs over the weights before compaction, in float."""
    lr = jnp.asarray(frame[None] / np.float32(255))
    outputs = [np.asarray(NET.apply({"params": params}, lr, arch))[0] for arch in ARCHS]
    return dict(zip(NAMES, [np.clip(np.round(255 * x), 0, 255) for x in outputs], strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_member_s_pixels(bank, frame, expected, name):
    others = [np.abs(expected[name] - x).max() for n, x in expected.items() if n != name]
    assert min(others) > 5
    found = bank(frame, name)
    assert found.dtype == np.uint8
    assert found.shape == (12, 16, 3)
    assert np.abs(found - expected[name]).max() <= 1


def test_dispatch_leaves_the_frame_on_the_device(bank, frame):
    found = bank.dispatch(frame, NAMES[0])
    assert isinstance(found, jax.Array)
    np.testing.assert_array_equal(np.asarray(found), bank(frame, NAMES[0]))


@pytest.mark.parametrize("members", [None, NAMES[1:], NAMES[:1] * 2, []])
def test_prepare_compiles_each_member_once(bundle, members):
    fresh = Bank(bundle)
    number = len(NAMES if members is None else set(members))
    with count_compilations() as compilations:
        fresh.prepare(SHAPE, members)
    assert compilations.value == number
    with count_compilations() as compilations:
        fresh.prepare(SHAPE, members)
    assert compilations.value == 0


def test_prepare_adds_what_is_missing(bundle, frame):
    fresh = Bank(bundle)
    fresh.prepare(SHAPE, NAMES[:1])
    with count_compilations() as compilations:
        fresh.prepare(SHAPE)
        assert compilations.value == 2
        fresh.prepare((8, 6), NAMES[:1])
        assert compilations.value == 3
    assert fresh(frame, NAMES[0]).shape == (12, 16, 3)
    assert fresh(frame.swapaxes(0, 1), NAMES[0]).shape == (16, 12, 3)


@pytest.mark.parametrize("put", [np.asarray, jax.device_put], ids=["host", "device"])
def test_switching_compiles_nothing(bundle, frame, put):
    fresh, there = Bank(bundle), put(frame)
    fresh.prepare(SHAPE)
    with count_compilations() as compilations:
        outputs = [fresh(there, name) for name in NAMES * 3]
    assert compilations.value == 0
    assert len({output.tobytes() for output in outputs}) == len(NAMES)


def test_what_was_not_prepared_is_refused(bundle, bank, frame):
    with pytest.raises(InputError, match=r"'2id-u1' is not prepared .* 6x7; .*2r1-u2 at 6x8"):
        bank(frame[:, :7], NAMES[0])
    with pytest.raises(InputError, match=r"'2c3-u1' is not prepared"):
        bank.dispatch(frame, "2c3-u1")
    with pytest.raises(InputError, match="ready are none"):
        Bank(bundle)(frame, NAMES[0])


@pytest.mark.parametrize(
    ("shape", "dtype"), [((6, 8), np.uint8), ((6, 8, 4), np.uint8), ((6, 8, 3), np.float32)]
)
def test_only_uint8_rgb_frames_are_taken(bank, shape, dtype):
    with pytest.raises(InputError, match=r"frame of .*: allowed is \[H, W, 3\] uint8"):
        bank(np.zeros(shape, dtype), NAMES[0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("2zz-u1", r"'2zz-u1': the bundle has 2id-u1"),
        ("2c3-u1", "slot 0: the weights of branch 'c3' were not kept"),
    ],
)
def test_prepare_refuses_what_the_bundle_does_not_have(bundle, name, words):
    with pytest.raises(InputError, match=words):
        Bank(bundle).prepare(SHAPE, [NAMES[0], name])


def test_measure_switching(bank, frame):
    report = measure_switching(bank, frame, rounds=2, steady_frames=1)
    assert list(report.steady_ms) == list(report.first_ms) == NAMES
    assert min(*report.steady_ms.values(), *report.first_ms.values()) > 0
    assert (report.switches, report.compilations) == (6, 0)


def test_one_member_has_nothing_to_switch_to(bundle, frame):
    alone = Bank(dataclasses.replace(bundle, members=bundle.members[:1]))
    alone.prepare(SHAPE)
    report = measure_switching(alone, frame, rounds=2)
    assert list(report.steady_ms) == NAMES[:1]
    assert report.switches == 0


def test_measure_switching_counts_what_is_compiled(bundle, frame):
    class Forgetful(Bank):
        """Compiles anew for every frame."""

        def __call__(self, frame, member):
            fresh = Bank(self.bundle)
            fresh.prepare(frame.shape[:2], [member])
            return fresh(frame, member)

    report = measure_switching(Forgetful(bundle), frame, rounds=1, steady_frames=1)
    assert report.compilations == 2 * len(NAMES)
