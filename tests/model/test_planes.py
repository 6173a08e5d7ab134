"""Planes to RGB and back, against swscale and against the recommendations in double precision.

swscale gives neither at odd sizes, where it stretches chroma over the border, nor where RGB lies above twice
white, where its sums wrap to black. There double precision is the oracle alone.
"""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.model.planes import (
    RGB,
    SITINGS,
    FrameFormat,
    Orientation,
    PlaneFormat,
    orient,
    read_frame,
    write_frame,
)

SHAPE = 32, 48
CHROMA = {(1, 1): "420", (0, 1): "422", (0, 0): "444"}
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Of red and blue in luma (ITU-R BT.709, BT.601, BT.2020)."""
NAMES = {1: "bt709", 6: "bt601", 9: "bt2020"}
PLACES = {"left": (1, 0), "centre": (1, 1), "top left": (0, 0)}
FORMS = [
    PlaneFormat(chroma, bits, full, matrix, siting)
    for chroma, bits, full, matrix in itertools.product(CHROMA, (8, 10), (False, True), WEIGHTS)
    for siting in ([PLACES["left"]] if chroma == (0, 0) else PLACES.values())
]


def described(form: PlaneFormat) -> str:
    place = {siting: name for name, siting in PLACES.items()}[form.siting]
    return (
        f"{CHROMA[form.chroma]}-{form.bits}-{'full' if form.full_range else 'limited'}-{form.matrix}-{place}"
    )


def through(arrays, form):
    return write_frame(read_frame(arrays, form), form)


def to_rgb(planes, form: PlaneFormat) -> np.ndarray:
    return np.asarray(through(tuple(plane[None] for plane in planes), FrameFormat(form)))[0]


def to_planes(image, form: PlaneFormat, multiple: int = 1) -> np.ndarray:
    return np.asarray(through((image[None],), FrameFormat(None, form, multiple=multiple)))[0]


def random_planes(form: PlaneFormat, shape=SHAPE) -> list[np.ndarray]:
    """Every level, and in a third of the samples one end of the range or the other."""
    rng, top = np.random.default_rng(0), (1 << form.bits) - 1
    planes = [rng.integers(0, top + 1, each) for each in form.shapes(*shape)]
    ends = [rng.choice([0, top, -1, -1, -1, -1], plane.shape) for plane in planes]
    return [np.where(e < 0, p, e).astype(form.dtype) for p, e in zip(planes, ends, strict=True)]


def random_image(shape=SHAPE) -> np.ndarray:
    rng = np.random.default_rng(1)
    image, ends = rng.integers(0, 256, (*shape, 3)), rng.choice([0, 255, -1, -1, -1, -1], (*shape, 3))
    return np.where(ends < 0, image, ends).astype(np.uint8)


# --- double precision, by the recommendations ---------------------------------------------------


def levels(form: PlaneFormat) -> tuple[float, float, float, float]:
    unit, top = 2 ** (form.bits - 8), 2**form.bits - 1
    black, luma, chroma = (0, top, top) if form.full_range else (16 * unit, 219 * unit, 224 * unit)
    return black, luma, 128 * unit, chroma


def places(form: PlaneFormat, axis: int, count: int) -> np.ndarray:
    """Where chroma samples lie along an axis, in luma samples."""
    step = 2 ** form.chroma[axis]
    return step * np.arange(count) + form.siting[axis] / 2 * (step - 1)


def interpolated(x: np.ndarray, form: PlaneFormat, axis: int, side: int) -> np.ndarray:
    at = places(form, axis, x.shape[axis])
    return np.apply_along_axis(lambda line: np.interp(np.arange(side), at, line), axis, x)


def reduced(x: np.ndarray, form: PlaneFormat, axis: int) -> np.ndarray:
    """Means over triangles that reach to the next chroma sample; beyond the border it is repeated."""
    side, step = x.shape[axis], 2 ** form.chroma[axis]
    at, far = places(form, axis, -(-side // step)), 4 * step
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(-far, side + far)) / step)
    weights /= weights.sum(1, keepdims=True)
    padded = np.pad(x, [(far, far) if each == axis else (0, 0) for each in range(2)], "edge")
    return weights @ padded if axis == 0 else padded @ weights.T


def rgb_by_definition(planes, form: PlaneFormat) -> np.ndarray:
    """`[H, W, 3]`, 0 to 255 and beyond."""
    black, luma_swing, middle, swing = levels(form)
    luma = (planes[0].astype(float) - black) / luma_swing
    if form.chroma is None:
        return 255 * np.stack([luma] * 3, -1)
    chroma = [(plane.astype(float) - middle) / swing for plane in planes[1:]]
    for axis in (0, 1):
        chroma = [interpolated(x, form, axis, luma.shape[axis]) for x in chroma]
    red, blue = WEIGHTS[form.matrix]
    r, b = luma + 2 * (1 - red) * chroma[1], luma + 2 * (1 - blue) * chroma[0]
    return 255 * np.stack([r, (luma - red * r - blue * b) / (1 - red - blue), b], -1)


def planes_by_definition(image: np.ndarray, form: PlaneFormat) -> list[np.ndarray]:
    black, luma_swing, middle, swing = levels(form)
    red, blue = WEIGHTS[form.matrix]
    r, g, b = np.moveaxis(image / 255, -1, 0)
    luma = red * r + (1 - red - blue) * g + blue * b
    planes = [black + luma_swing * luma]
    if form.chroma is not None:
        for x in ((b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))):
            planes.append(middle + swing * reduced(reduced(x, form, 0), form, 1))
    return [np.clip(plane, 0, 2**form.bits - 1) for plane in planes]


# --- swscale --------------------------------------------------------------------------------------


def scaled(frame: av.VideoFrame, name: str, **options: str) -> av.VideoFrame:
    """A frame through FFmpeg's filter `scale`, exactly."""
    graph = av.filter.Graph()
    graph.threads = 1  # with more, swscale mixes up rows now and then
    first = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    flags = "bilinear+accurate_rnd+full_chroma_int+full_chroma_inp"
    nodes = graph.add("scale", flags=flags, **options), graph.add("format", name), graph.add("buffersink")
    graph.link_nodes(first, *nodes).configure()
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    graph.push(frame)
    return graph.pull()


def swscale_options(form: PlaneFormat, side: str) -> dict[str, str]:
    named = {"color_matrix": NAMES[form.matrix], "range": "pc" if form.full_range else "tv"}
    for axis, halvings, at in zip("vh", form.chroma, form.siting, strict=True):
        if halvings:  # else older ones move chroma all the same
            named[f"{axis}_chr_pos"] = str(128 * at)
    return {f"{side}_{key}": value for key, value in named.items()}


def pixel_format(form: PlaneFormat) -> str:
    return f"yuv{CHROMA[form.chroma]}p" + ("" if form.bits == 8 else f"{form.bits}le")


def frame_of(planes, name: str) -> av.VideoFrame:
    frame = av.VideoFrame(*planes[0].shape[::-1], name)
    for plane, values in zip(frame.planes, planes, strict=True):
        wide = np.zeros((plane.height, plane.line_size // values.itemsize), values.dtype)
        wide[:, : plane.width] = values
        plane.update(wide.tobytes())
    return frame


def planes_in(frame: av.VideoFrame, dtype: np.dtype) -> list[np.ndarray]:
    return [np.frombuffer(p, dtype).reshape(p.height, -1)[:, : p.width] for p in frame.planes]


@pytest.mark.parametrize("form", FORMS, ids=described)
def test_planes_become_rgb_as_defined_and_as_in_swscale(form):
    planes = random_planes(form)
    found, defined = to_rgb(planes, form).astype(int), rgb_by_definition(planes, form)
    assert np.abs(found - defined.clip(0, 255)).max() < 0.51
    frame = scaled(
        frame_of(planes, pixel_format(form)), "rgb24", out_range="pc", **swscale_options(form, "in")
    )
    apart = np.abs(found - frame.to_ndarray().astype(int))
    assert apart[defined < 2 * 255].max() <= 1
    assert (defined < 2 * 255).mean() > 0.98


@pytest.mark.parametrize("form", FORMS, ids=described)
def test_rgb_becomes_planes_as_defined_and_as_in_swscale(form):
    image = random_image()
    found = form.split(to_planes(image, form), *SHAPE)
    frame = scaled(
        av.VideoFrame.from_ndarray(image), pixel_format(form), in_range="pc", **swscale_options(form, "out")
    )
    expected = planes_in(frame, form.dtype), planes_by_definition(image, form)
    for mine, theirs, defined in zip(found, *expected, strict=True):
        assert np.abs(mine - defined).max() < 0.51
        assert np.abs(mine.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize("shape", [(31, 47), (7, 48), (1, 2)])
@pytest.mark.parametrize("chroma", [None, *CHROMA, (1, 0), (0, 2), (2, 2)])
@pytest.mark.parametrize("siting", list(PLACES.values()), ids=list(PLACES))
def test_any_size_and_subsampling_is_as_defined(shape, chroma, siting):
    form = PlaneFormat(chroma, siting=siting)
    planes, image = random_planes(form, shape), random_image(shape)
    found, defined = to_rgb(planes, form), rgb_by_definition(planes, form).clip(0, 255)
    assert found.shape == (*shape, 3) and np.abs(found - defined).max() < 0.51
    samples = form.split(to_planes(image, form), *shape)
    for mine, defined in zip(samples, planes_by_definition(image, form), strict=True):
        assert mine.shape == defined.shape and np.abs(mine - defined).max() < 0.51


@pytest.mark.parametrize("bits", [8, 9, 12, 14, 16])
@pytest.mark.parametrize("full", [False, True])
def test_every_depth_there_and_back(bits, full):
    """Grey is kept by all of them, and every level of eight bits by those that have room for it."""
    form = PlaneFormat((0, 0), bits, full)
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, 2)
    back = to_rgb(form.split(to_planes(grey, form), 16, 16), form)
    assert np.abs(back.astype(int) - grey).max() <= (bits == 8 and not full)


@pytest.mark.parametrize("multiple", [1, 2, 4, 16])
def test_sides_are_padded_with_the_last_pixels(multiple):
    image, form = random_image((5, 7)), PlaneFormat()
    rows, columns = (-(-side // multiple) * multiple for side in (5, 7))
    padded = np.pad(image, ((0, rows - 5), (0, columns - 7), (0, 0)), "edge")
    found = to_planes(image, form, multiple)
    assert found.shape == (form.size(rows, columns),)
    np.testing.assert_array_equal(found, to_planes(padded, form))


@pytest.mark.parametrize("turn", list(itertools.product((False, True), repeat=3)))
def test_planes_are_turned_as_images_are(turn):
    form, orientation = PlaneFormat(), Orientation(*turn)
    planes = random_planes(form, (4, 6))
    plain = through(tuple(plane[None] for plane in planes), FrameFormat(form))
    turned = through(tuple(plane[None] for plane in planes), FrameFormat(form, orientation=orientation))
    expected = np.asarray(plain)[0]
    expected = expected.transpose(1, 0, 2) if turn[0] else expected
    expected = expected[::-1] if turn[1] else expected
    expected = expected[:, ::-1] if turn[2] else expected
    np.testing.assert_array_equal(np.asarray(turned)[0], expected)
    np.testing.assert_array_equal(orient(np.asarray(plain)[0], orientation), expected)
    assert FrameFormat(orientation=orientation).stored(expected.shape[:2]) == (4, 6)


def test_an_image_that_enters_and_leaves_as_rgb_is_itself():
    np.testing.assert_array_equal(np.asarray(through((random_image()[None],), RGB))[0], random_image())


def test_sitings_are_those_of_ffmpeg():
    """By the numbers of PyAV's enumeration, which came with version 19."""
    known = {"LEFT": (1, 0), "CENTER": (1, 1), "TOPLEFT": (0, 0), "TOP": (0, 1), "BOTTOMLEFT": (2, 0)}
    known["BOTTOM"] = (2, 1)
    assert list(SITINGS.values()) == list(known.values())
    names = getattr(av.video.reformatter, "ChromaLocation", None)
    assert names is None or {getattr(names, name).value: place for name, place in known.items()} == SITINGS


@pytest.mark.parametrize("fields", [{"bits": 7}, {"bits": 17}, {"matrix": 8}, {"matrix": 0}])
def test_what_planes_cannot_hold_is_refused(fields):
    ((name, value),) = fields.items()
    with pytest.raises(InputError, match=rf"{name} {value}: must be"):
        PlaneFormat(**fields)
