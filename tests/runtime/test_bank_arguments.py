"""What a bank is asked for: names, shapes and options as they are given."""

import numpy as np
import pytest

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.errors import InputError
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.chain import Chain

NAMES = ["2id-u1", "s3-c3-u1", "2r1-u2"]
SHAPE = (6, 8)


@pytest.fixture(scope="module")
def bank(three_members):
    bank = Bank(three_members)
    bank.prepare(SHAPE)
    return bank


@pytest.mark.parametrize("spelled", ["id-id-u1", "1id-id-u1", "1id-1id-1u1", "2id-1u1"])
def test_every_spelling_is_the_same_member(three_members, bank, frame, spelled):
    fresh = Bank(three_members)
    with count_compilations() as compilations:
        fresh.prepare(SHAPE, [spelled, NAMES[0]])
    assert compilations.value == 1
    for name in (spelled, NAMES[0], "fastest"):
        assert fresh.is_ready(name, SHAPE)
        np.testing.assert_array_equal(fresh(frame, name), bank(frame, NAMES[0]))
    assert three_members.member(spelled) is three_members.members[0]


def test_a_name_of_nothing_is_refused(bank, frame):
    for ask in (lambda: bank.is_ready("nobody", SHAPE), lambda: bank(frame, "nobody")):
        with pytest.raises(InputError, match=r"^member 'nobody': the bundle has 2id-u1, .*name its ends$"):
            ask()


def test_shapes_may_be_lists_and_numpy_s(bank):
    for shape in (list(SHAPE), np.int64(SHAPE), tuple(map(np.int32, SHAPE))):
        if isinstance(shape, np.ndarray):
            shape = shape.tolist()
        bank.prepare(shape, ["best"])
        assert bank.is_ready("best", shape)


@pytest.mark.parametrize("shape", [(0, 8), (6, -1), (6,), (6, 8, 3), (6.0, 8), (True, 8), "68", 6, None])
def test_shapes_that_cannot_be(three_members, bank, shape):
    asked = (
        lambda: bank.prepare(shape),
        lambda: bank.is_ready("best", shape),
        lambda: Chain(three_members).prepare(shape),
    )
    for ask in asked:
        with pytest.raises(InputError, match=r"^shape .* must be LR rows and columns"):
            ask()


@pytest.mark.parametrize("batch", [0, 2.0, True, "2"])
def test_batches_that_cannot_be(bank, batch):
    with pytest.raises(InputError, match=r"^batch "):
        bank.prepare(SHAPE, batch=batch)


def test_options_that_cannot_be(three_members, bank, frame):
    with pytest.raises(InputError, match=r"^output 'pinned': must be device or host$"):
        Bank(three_members, output="pinned")
    with pytest.raises(InputError, match=r"^output 'pinned': must be device or host$"):
        Chain(three_members, output="pinned")
    with pytest.raises(InputError, match=r"^keep 0: must be at least 1"):
        Bank(three_members, keep=0)
    with pytest.raises(InputError, match=r"^members 'best': must be a list of names$"):
        bank.prepare(SHAPE, "best")
    for wrong in (frame.tolist(), None, "frame"):
        with pytest.raises(InputError, match=r"^frame .*: must be an array"):
            bank(wrong, "best")
