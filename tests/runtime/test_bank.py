"""The bank: the right pixels, N compilations for N members, none for a switch."""

import dataclasses
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.bundle.bundle import make_bundle, make_member
from dysr_jax.errors import InputError
from dysr_jax.model import branches, programs
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.measuring import measure_switching

SPACE = uniform_space(slots=2, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))
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
    ("shape", "dtype"),
    [((6, 8), np.uint8), ((1, 1, 6, 8, 3), np.uint8), ((6, 8, 4), np.uint8), ((6, 8, 3), np.float32)],
)
def test_only_uint8_rgb_frames_are_taken(bank, shape, dtype):
    with pytest.raises(InputError, match=r"frame of .*: must be \[H, W, 3\] uint8, or \[N"):
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


def test_a_batch_is_its_frames_one_by_one(bundle, bank, frame):
    frames = np.stack([frame, 255 - frame, frame[::-1]])
    fresh = Bank(bundle)
    fresh.prepare(SHAPE, NAMES[1:], batch=3)
    for name in NAMES[1:]:
        one_by_one = np.stack([bank(each, name) for each in frames])
        found = fresh(frames, name)
        assert found.dtype == np.uint8
        assert np.abs(one_by_one[0].astype(int) - one_by_one[1]).max() > 5
        assert np.abs(found.astype(int) - one_by_one).max() <= 1  # sums in another order
    assert fresh.is_ready(NAMES[1], SHAPE, batch=3)
    assert not fresh.is_ready(NAMES[1], SHAPE)
    with pytest.raises(InputError, match=r"not prepared for a frame of 2x6x8; ready are s3-c3-u1 at 3x6x8"):
        fresh(frames[:2], NAMES[1])
    with pytest.raises(InputError, match="batch 0: must be at least 1"):
        fresh.prepare(SHAPE, batch=0)


def test_a_warm_start_has_the_same_bits_and_compiles_nothing(bundle, frame, cache):
    def outputs():
        started = Bank(bundle, cache=cache)
        started.prepare(SHAPE)
        started.prepare(SHAPE, NAMES[:1], batch=2)
        every = [started(frame, name) for name in NAMES] + [started(frame[None][[0, 0]], NAMES[0])]
        return [each.tobytes() for each in every], started.memory()

    cold = outputs()
    assert (cache.loaded, cache.compiled) == (0, 4)
    assert outputs() == cold
    assert (cache.loaded, cache.compiled) == (4, 4)
    assert Bank(bundle, cache=None).prepare(SHAPE, NAMES[:1]) is None
    assert (cache.loaded, cache.compiled) == (4, 4)


class Shifted(branches.Conv):
    """A user's branch, which comes to compute something else."""

    by = 1.0

    def __call__(self, kernels, x, layers):
        return x + self.by * super().__call__(kernels, x, layers)


def test_a_user_s_branch_is_compiled_again_when_it_changes(params, frame, cache, monkeypatch):
    monkeypatch.setitem(branches.BODY, "mine", Shifted(3))
    space = uniform_space(slots=1, widths=4, scale=2, branches=("mine",))
    net = make_supernet(space, "float32")
    member = make_member(space, (0, 0), 30.0, 1.0)
    own = {"head": params["head"], "slot00": params["slot01"], "upsampler": params["upsampler"]}
    bundle = make_bundle(own, [member], net=net, frame=SHAPE, bicubic_psnr_y=29.0)

    def output():
        bank = Bank(bundle, cache=cache)
        bank.prepare(SHAPE)
        return bank(frame, member.name)

    first = output()
    np.testing.assert_array_equal(output(), first)
    assert (cache.loaded, cache.compiled) == (1, 1)
    monkeypatch.setattr(Shifted, "by", -1.0)
    assert not np.array_equal(output(), first)
    assert (cache.loaded, cache.compiled) == (1, 2)


def test_memory_and_budget(bundle, cache):
    free = Bank(bundle, cache=cache)
    free.prepare(SHAPE)
    memory = free.memory()
    assert memory.weights == sum(x.nbytes for x in jax.tree.leaves(bundle.params))
    assert memory.executables > 3 * 1000
    assert memory.workspace >= 6 * 8 * 3 * (1 + 4)  # the frame and its result
    tight = Bank(bundle, budget=memory.total - 1, cache=cache)
    tight.prepare(SHAPE, NAMES[:2])
    tight.prepare(SHAPE, NAMES[2:])
    assert [tight.is_ready(name, SHAPE) for name in NAMES] == [False, True, True]
    assert tight.memory().total < memory.total
    with pytest.raises(InputError, match=rf"{memory.total} are needed .*what fits is 2id-u1 at 6x8, s3"):
        tight.prepare(SHAPE)
    with pytest.raises(InputError, match="the weights alone"):
        Bank(bundle, budget=10)


def test_results_can_lie_in_the_host_s_memory(bundle, bank, frame, monkeypatch):
    plain = Bank(bundle, output="host")
    plain.prepare(SHAPE, NAMES[:1])
    assert plain.dispatch(frame, NAMES[0]).sharding.memory_kind == "device"  # all a CPU has is the host's
    device = jax.devices()[0]
    if "pinned_host" not in {memory.kind for memory in device.addressable_memories()}:
        pytest.skip("this version's CPU has no kinds of memory")
    pinned = jax.sharding.SingleDeviceSharding(device, memory_kind="pinned_host")
    monkeypatch.setattr(programs, "host_memory", lambda: pinned)
    fresh = Bank(bundle, output="host", cache=None)
    fresh.prepare(SHAPE, NAMES[:1])
    assert fresh.dispatch(frame, NAMES[0]).sharding.memory_kind == "pinned_host"
    np.testing.assert_array_equal(fresh(frame, NAMES[0]), bank(frame, NAMES[0]))


def test_threads_may_prepare_and_send_frames_at_once(bundle, frame, expected, cache):
    """A budget for two: executables come and go under the frames."""
    free = Bank(bundle, cache=cache)
    free.prepare(SHAPE)
    bank = Bank(bundle, budget=free.memory().total - 1, cache=cache)
    stop, errors, frames = threading.Event(), [], []

    def send():
        while not stop.is_set():
            for name in NAMES:
                try:
                    found = bank(frame, name)
                except InputError as error:
                    assert "not prepared" in str(error)
                else:
                    frames.append(name)
                    if np.abs(found - expected[name]).max() > 1:
                        errors.append(name)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for pair in [NAMES[:2], NAMES[1:], NAMES[::2]]:
            bank.prepare(SHAPE, pair)
    finally:
        stop.set()
        sender.join()
    assert not errors
    assert frames
