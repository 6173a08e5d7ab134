"""Colours against the definitions of BT.601, BT.709 and BT.2020; turned frames against each pixel's place."""

import itertools

import av
import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.model import FrameFormat, Orientation
from dysr_jax.video import colour
from dysr_jax.video.planes import arrays_of, plane_format
from dysr_jax.video.reader import open_video

WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Of red and blue in luma, by H.273 number of the matrix (ITU-R BT.709, BT.601, BT.2020)."""


def rgb_of(planes: np.ndarray, matrix: int, *, full: bool, bits: int = 8) -> np.ndarray:
    """`[3, H, W]` luma and chroma to `[H, W, 3]` in 0 to 255, in double precision, by the recommendations."""
    red, blue = WEIGHTS[matrix]
    luma, cb, cr = planes.astype(float) / 2 ** (bits - 8)
    luma, scale = (luma, 255) if full else ((luma - 16) * 255 / 219, 224)
    cb, cr = ((chroma - 128) * 255 / scale for chroma in (cb, cr))
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    return np.stack([r, (luma - red * r - blue * b) / (1 - red - blue), b], -1)


def planes_of(matrix: int, *, full: bool, bits: int = 8) -> np.ndarray:
    """Luma and chroma of noise that lies in RGB."""
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 2**bits, (3, 64, 512))
    rgb = rgb_of(planes, matrix, full=full, bits=bits)
    inside = ((rgb > 0) & (rgb < 255)).all(-1)
    return planes[:, inside][:, :1024].reshape(3, 16, 64)


def frame_of(planes: np.ndarray, form: str, **tags: int) -> av.VideoFrame:
    depth = np.uint8 if av.VideoFormat(form, 16, 16).components[0].bits == 8 else np.uint16
    frame = av.VideoFrame(planes.shape[2], planes.shape[1], form)
    for plane, values in zip(frame.planes, planes.astype(depth), strict=True):
        wide = np.zeros((plane.height, plane.line_size // values.itemsize), depth)
        wide[:, : plane.width] = values
        plane.update(wide.tobytes())
    for name, value in tags.items():
        setattr(frame, name, value)
    return frame


def convert(frame: av.VideoFrame) -> np.ndarray:
    colour.check_colours(frame)
    form = plane_format(frame)
    arrays = arrays_of(frame, form, av.video.reformatter.VideoReformatter())
    return colour.to_rgb(arrays, FrameFormat(form))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
def test_matrix_and_range_are_those_of_the_tags(matrix, full):
    planes = planes_of(matrix, full=full)
    expected = rgb_of(planes, matrix, full=full)
    frame = frame_of(planes, "yuv444p", colorspace=matrix, color_range=1 + full)
    assert np.abs(convert(frame) - expected).max() < 0.6
    wrong = frame_of(planes, "yuv444p", colorspace=matrix, color_range=2 - full)
    assert np.abs(convert(wrong) - expected).max() > 5


@pytest.mark.parametrize("matrix", [1, 6])
def test_ten_bits_are_rounded(matrix):
    planes = planes_of(matrix, full=False, bits=10)
    expected = rgb_of(planes, matrix, full=False, bits=10)
    rgb = convert(frame_of(planes, "yuv444p10le", colorspace=matrix, color_range=1))
    assert np.abs(rgb - expected).max() < 0.6
    assert abs((rgb - expected).mean()) < 0.03  # rounded, not cut off


@pytest.mark.parametrize(
    ("size", "matrix"), [((64, 48), 6), ((720, 576), 6), ((1280, 16), 1), ((16, 578), 1)]
)
def test_what_does_not_say_its_matrix_is_taken_by_its_size(size, matrix):
    width, height = size
    planes = np.full((3, height, width), [[[120]], [[90]], [[200]]])
    expected = rgb_of(planes[:, :1, :1], matrix, full=False)
    other = rgb_of(planes[:, :1, :1], 7 - matrix, full=False)
    rgb = convert(frame_of(planes, "yuv444p"))
    assert np.abs(rgb - expected).max() < 1 < np.abs(rgb - other).max()


@pytest.mark.parametrize(("tag", "black", "white"), [(1, 16, 235), (2, 0, 255)])
def test_grey(tag, black, white):
    levels = np.array([[black, white], [126, 126]], np.uint8)
    frame = av.VideoFrame.from_ndarray(levels, format="gray")
    frame.color_range = tag
    rgb = convert(frame)
    assert rgb[0].tolist() == [[0] * 3, [255] * 3]
    assert rgb[1, 0, 0] == (128 if tag == 1 else 126)


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_by_name(films, transfer, name):
    tags = (("color_trc", transfer), ("color_primaries", 9), ("colorspace", 9))
    path = films.make("a.mkv", codec="ffv1", form="yuv420p10le", tags=tags)
    with pytest.raises(InputError, match=rf"HDR \({name} transfer\)"):
        open_video(path)


def test_a_matrix_that_cannot_be_undone_is_refused():
    frame = frame_of(np.full((3, 16, 16), 128), "yuv444p", colorspace=8)
    with pytest.raises(InputError, match="YCgCo"):
        convert(frame)


@pytest.mark.parametrize("matrix", [1, 6])
def test_there_and_back(matrix):
    """Flat colours survive limited range and a quarter of the chroma to the rounding."""
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    image = colours.repeat(8, 0).repeat(8, 1)
    reformatter = av.video.reformatter.VideoReformatter()
    frame = colour.from_rgb(image, reformatter, "yuv420p", matrix)
    frame.colorspace = matrix
    centre = np.abs(convert(frame).astype(int) - image)[4::8, 4::8]
    assert centre.max() <= 3


# --- turned and mirrored frames -------------------------------------------------------------------

STRAIGHT = [(a, 0, 0, d) for a, d in itertools.product((1, -1), repeat=2)]
TURNED = [(0, b, c, 0) for b, c in itertools.product((1, -1), repeat=2)]


def orientation(matrix) -> Orientation:
    a, b, c, d = (round(65536 * value) for value in matrix)
    return colour.orientation_of(np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32))


def oriented(image, matrix):
    return colour.to_rgb((image,), FrameFormat(orientation=orientation(matrix)))


@pytest.mark.parametrize("matrix", STRAIGHT + TURNED)
def test_every_pixel_goes_where_the_matrix_says(matrix):
    a, b, c, d = matrix
    image = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
    shown = oriented(image, matrix)
    assert orientation(matrix).swap == (matrix in TURNED)
    assert shown.shape == ((4, 3, 3) if matrix in TURNED else (3, 4, 3))
    assert shown.flags.c_contiguous
    for y, x in np.ndindex(3, 4):
        column, row = a * x + c * y, b * x + d * y  # negative ones count from the far side
        column += shown.shape[1] - 1 if a + c < 0 else 0
        row += shown.shape[0] - 1 if b + d < 0 else 0
        np.testing.assert_array_equal(shown[row, column], image[y, x])


def test_a_slight_tilt_is_no_turn():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(oriented(image, (0.99, 0.1, -0.1, 0.99)), image)
