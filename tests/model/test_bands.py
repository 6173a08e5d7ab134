"""A program in bands computes the pixels of the whole frame, at the borders too."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.model.bands import Bands, banded_program, can_band
from dysr_jax.model.branches import BODY
from dysr_jax.model.programs import frame_program, make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import init_params

BANDED = [name for name, branch in BODY.items() if branch.radius(8, 2) is not None]
SPACE = uniform_space(slots=4, widths=(4, 8), scale=2, branches=tuple(BODY))
NET = make_supernet(SPACE, "float32")


@pytest.fixture(scope="module")
def params():
    """With noise on all weights and biases, so that a wrong row shows."""
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), SPACE))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: 0.15 * rng.normal(size=leaf.shape).astype("f"), shapes)


def both(params, arch, frames, bands):
    run = [jax.jit(program, static_argnums=2) for program in (frame_program(NET), banded_program(NET, bands))]
    return [np.asarray(one(params, frames, arch)).astype(int) for one in run]


@pytest.mark.parametrize("first", range(0, len(BANDED), 4))
def test_every_branch(params, first):
    """Four at a time, in a branch per pass and more."""
    names = (2 * BANDED)[first : first + 4]
    arch = (
        *(SPACE.body[slot].index(name) for slot, name in enumerate(names)),
        first % 8 // 4,
        first % 12 // 8,
    )
    frames = np.random.default_rng(2).integers(0, 256, (2, 45, 7, 3), np.uint8)
    whole, banded = both(params, arch, frames, Bands(5 + first, 1 + first // 4))
    assert np.abs(whole - banded).max() <= 1  # rounding to uint8 may fall to the other side
    assert np.mean(whole != banded) < 1e-3
    assert np.ptp(whole) > 100


@settings(max_examples=4)
@given(data=st.data())
def test_any_height_and_cut(params, data):
    arch = (*map(SPACE.body[0].index, ("bh", "id", "c5", "s3")), 1, data.draw(st.integers(0, 1)))
    height = data.draw(st.integers(1, 70))
    frames = np.random.default_rng(height).integers(0, 256, (1, height, 6, 3), np.uint8)
    bands = Bands(data.draw(st.integers(1, height)), data.draw(st.integers(1, 5)))
    whole, banded = both(params, arch, frames, bands)
    assert np.abs(whole - banded).max() <= 1
    assert np.mean(whole != banded) < 1e-2  # of as few as 72 values


def test_attention_sees_the_whole_frame():
    index = SPACE.body[0].index
    assert can_band(SPACE, (index("r1"), index("c5"), index("bh"), index("id"), 1, 1))
    assert not can_band(SPACE, (index("r1"), index("a1"), index("bh"), index("id"), 1, 1))


def test_there_is_a_loop_over_bands(params):
    """Else the two programs were one."""
    frames = jax.ShapeDtypeStruct((1, 45, 7, 3), np.uint8)
    arch = (*(SPACE.body[slot].index("bq") for slot in range(4)), 0, 0)
    run = jax.jit(banded_program(NET, Bands(5, 1)), static_argnums=2)
    assert run.lower(params, frames, arch).as_text().count("stablehlo.while") == 4
