"""Planes through every runtime: the samples are those of the conversions around the network alone."""

import jax
import numpy as np
import pytest

from dysr_jax.aot import ExecutableCache, count_compilations
from dysr_jax.bundle import Bundle
from dysr_jax.errors import InputError
from dysr_jax.model.planes import RGB, Frame, FrameFormat, Orientation, PlaneFormat, read_frame, write_frame
from dysr_jax.model.programs import frame_spec, make_supernet
from dysr_jax.runtime import Bank, Chain, OnnxBank, Serving

SHAPE = (10, 14)
VIDEO = PlaneFormat()
FORMATS = {
    "4:2:0": FrameFormat(VIDEO, VIDEO),
    "4:2:2, 10 bits, full": FrameFormat(PlaneFormat((0, 1), 10, True, 9), PlaneFormat(bits=10)),
    "turned": FrameFormat(PlaneFormat((0, 0)), VIDEO, Orientation(True, False, True)),
    "grey": FrameFormat(PlaneFormat(None), PlaneFormat((0, 0)), Orientation(False, True, False)),
    "image to planes": FrameFormat(None, VIDEO),
    "padded": FrameFormat(VIDEO, VIDEO, multiple=16),
    "planes to image": FrameFormat(VIDEO, None),
}


def random_frame(form, shape=SHAPE):
    rng = np.random.default_rng(0)
    top = 256 if form.source is None else 1 << form.source.bits
    arrays = [rng.integers(0, top, spec.shape).astype(spec.dtype) for spec in frame_spec(shape, None, form)]
    return Frame(tuple(arrays), form)


def expected(bundle, frame, member, *, images=False):
    """With `images` what lies between the conversions has 8 bits, as chain and ONNX Runtime take it."""
    between = (lambda x: np.round(np.clip(x, 0, 1) * 255) / 255) if images else np.asarray
    net = make_supernet(bundle.space, "float32", bundle.net.kept)
    rgb = read_frame(tuple(array[None] for array in frame.arrays), frame.format)
    assert rgb.shape == (1, *SHAPE, 3)
    output = net.apply({"params": bundle.params}, between(rgb).astype(np.float32), bundle.arch(member))
    return np.asarray(write_frame(between(output), frame.format)[0]).astype(int)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("kind", [Bank, Chain, OnnxBank])
def test_samples_are_those_of_the_network_between_the_conversions(kind, form, three_members: Bundle):
    server = kind(three_members)
    server.prepare(SHAPE, frames=form)
    frame = random_frame(form)
    # A pixel of 8 bits may round to the other side, which is four levels of 10 bits.
    levels = 4 if kind is not Bank and form.target is not None and form.target.bits == 10 else 1
    for member in three_members.members:
        found = server(frame, member.name)
        right = expected(three_members, frame, member.name, images=kind is not Bank)
        assert found.shape == right.shape
        assert found.dtype == (np.uint8 if form.target is None else form.target.dtype)
        assert np.abs(found - right).max() <= levels


def test_a_frame_of_planes_compiles_nothing_after_prepare(three_members):
    form = FORMATS["4:2:0"]
    for server in (Bank(three_members, cache=None), Chain(three_members, cache=None)):
        server.prepare(SHAPE, frames=form)
        with count_compilations() as compilations:
            for member in three_members.members:
                server(random_frame(form), member.name)
        assert compilations.value == 0


def test_executables_of_planes_come_from_the_cache(three_members, tmp_path, compiling):
    form = FORMATS["turned"]
    for loaded in (0, len(three_members.members)):
        cache = ExecutableCache(tmp_path)
        bank = Bank(three_members, cache=cache, tune=False)
        bank.prepare(SHAPE, frames=form)
        assert cache.loaded == loaded
    frame, name = random_frame(form), three_members.members[0].name
    assert np.abs(bank(frame, name) - expected(three_members, frame, name)).max() <= 1


def test_planes_are_chained_until_their_own_executable_is_ready(three_members):
    form, name = FORMATS["4:2:0"], three_members.members[-1].name
    serving, frame = Serving(three_members), random_frame(FORMATS["4:2:0"])
    serving.prepare_soon(SHAPE, [name], frames=form)
    chained = serving(frame, name)
    serving._backoff.last((name, SHAPE, form)).result(60)
    assert serving.bank.is_ready(name, SHAPE, frames=form)
    assert not serving.bank.is_ready(name, SHAPE)
    assert np.abs(chained - expected(three_members, frame, name, images=True)).max() <= 1
    assert np.abs(serving(frame, name) - expected(three_members, frame, name)).max() <= 1
    serving.close()


def test_planes_that_are_not_what_the_format_says_are_refused(three_members):
    form, name = FORMATS["4:2:0"], three_members.members[0].name
    bank = Bank(three_members)
    bank.prepare(SHAPE, [name], frames=form)
    luma, blue, red = random_frame(form).arrays
    for arrays in ((luma, blue), (luma, blue, red[:-1]), (luma, blue, red.astype(np.uint16))):
        with pytest.raises(InputError, match="must be planes of"):
            bank(Frame(arrays, form), name)
    with pytest.raises(InputError, match="is not prepared"):
        bank(Frame((luma, blue, red), FORMATS["padded"]), name)
    with pytest.raises(InputError, match="batch 2"):
        bank.prepare(SHAPE, batch=2, frames=form)
    with pytest.raises(InputError, match="bits 7: must be 8 to 16"):
        PlaneFormat(bits=7)
    with pytest.raises(InputError, match="matrix 0: must be one of"):
        PlaneFormat(matrix=0)


def test_a_plain_image_has_a_plain_spec():
    assert frame_spec(SHAPE, None, RGB) == jax.ShapeDtypeStruct((*SHAPE, 3), np.uint8)
