"""Samples, all planes of a frame in one array, into files: bit by bit what a lossless encoder gives back."""

from fractions import Fraction

import av
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dysr_jax.errors import InputError
from dysr_jax.model.planes import FrameFormat, PlaneFormat, write_frame
from dysr_jax.video.encoders import PIXEL_FORMATS
from dysr_jax.video.samples import FromRgb, plane_format, to_frame
from dysr_jax.video.writer import open_writer

RATE = Fraction(25)
LIMITED, LEFT = 1, 1  # FFmpeg's numbers
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}


def noise(form: PlaneFormat, rows: int, columns: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1 << form.bits, form.size(rows, columns), form.dtype)


def write(path, size: tuple[int, int], frames: int = 3, **options) -> tuple[list[np.ndarray], PlaneFormat]:
    """A video of noise, of `size` columns and rows, as samples, and these."""
    columns, rows = size
    with open_writer(path, width=columns, height=rows, rate=RATE, **options) as writer:
        padded = [-(-side // writer.multiple) * writer.multiple for side in (rows, columns)]
        given = [noise(writer.format, *padded, seed) for seed in range(frames)]
        for number, samples in enumerate(given):
            writer.write(samples, number / RATE)
    return given, writer.format


def samples_of(frame: av.VideoFrame) -> np.ndarray:
    """By PyAV's own `to_ndarray`, of each plane as an image in grey."""
    parts = []
    for plane, component in zip(frame.planes, frame.format.components, strict=True):
        wide = np.frombuffer(plane, np.uint8 if component.bits == 8 else "<u2")
        lines = wide.reshape(plane.height, -1)
        parts.append(lines[:, : plane.width].ravel())
    return np.concatenate(parts)


@pytest.mark.parametrize("name", PIXEL_FORMATS)
@pytest.mark.parametrize("size", [(32, 24), (34, 26), (33, 25), (31, 2)])
def test_a_lossless_encoder_gives_samples_back(films, tmp_path, name, size):
    given, form = write(tmp_path / "a.mkv", size, encoder="ffv1", pixel_format=name)
    frames = films.decoded(tmp_path / "a.mkv")
    assert [frame.format.name for frame in frames] == [name] * 3
    assert [frame.time for frame in frames] == pytest.approx([0, 0.04, 0.08])
    for frame, samples in zip(frames, given, strict=True):
        assert (frame.width, frame.height) == size
        assert (frame.colorspace, frame.color_range) == (1, LIMITED)
        np.testing.assert_array_equal(samples_of(frame), samples)
    assert (form.bits, form.matrix, form.full_range) == (frames[0].format.components[0].bits, 1, False)


@pytest.mark.parametrize(
    ("name", "size"),
    [("yuv420p", (32, 24)), ("yuv420p", (33, 25)), ("yuv422p", (33, 25)), ("yuv444p", (33, 25))],
)
def test_h264_without_loss_gives_samples_back(films, tmp_path, name, size):
    given, _ = write(tmp_path / "a.mp4", size, pixel_format=name, crf=0)
    for frame, samples in zip(films.decoded(tmp_path / "a.mp4"), given, strict=True):
        assert frame.format.name == name
        np.testing.assert_array_equal(samples_of(frame), samples)


@pytest.mark.parametrize("name", PIXEL_FORMATS)
def test_y4m_is_its_header_and_the_samples(tmp_path, name):
    given, form = write(tmp_path / "a.y4m", (33, 25), pixel_format=name)
    chroma, deep = name[3:6], "" if form.bits == 8 else f"p{form.bits}"
    kind = "420mpeg2" if name == "yuv420p" else chroma + deep  # mpeg2: sited left
    header, *frames = (tmp_path / "a.y4m").read_bytes().split(b"FRAME\n", 1)
    assert header.split()[:2] == [b"YUV4MPEG2", b"W33"] and b"C" + kind.encode() in header.split()
    expected = b"FRAME\n".join(samples.astype(samples.dtype.newbyteorder("<")).tobytes() for samples in given)
    assert frames == [expected]


@given(st.sampled_from(PIXEL_FORMATS), st.integers(1, 70), st.integers(1, 40), st.integers(0, 9))
def test_every_sample_has_its_place_in_a_frame(name, columns, rows, seed):
    form = plane_format(name, 1)
    samples = noise(form, rows, columns, seed)
    frame = to_frame(samples, name, form, (rows, columns))
    assert (frame.width, frame.height, frame.format.name) == (columns, rows, name)
    np.testing.assert_array_equal(samples_of(frame), samples)


def test_memory_that_cannot_be_written_is_taken(films, tmp_path):
    """JAX's arrays are NumPy's as such; a part of a larger array has gaps."""
    form = PlaneFormat()
    wide = noise(form, 24, 64)
    with open_writer(tmp_path / "a.mkv", width=32, height=24, rate=RATE, encoder="ffv1") as writer:
        given = [np.asarray(jnp.asarray(noise(form, 24, 32))), wide[::2]]
        assert not given[0].flags.writeable and not given[1].flags.contiguous
        for number, samples in enumerate(given):
            writer.write(samples, number / RATE)
    for frame, samples in zip(films.decoded(tmp_path / "a.mkv"), given, strict=True):
        np.testing.assert_array_equal(samples_of(frame), samples)


@pytest.mark.parametrize(
    ("samples", "got"),
    [
        (np.zeros(1151, np.uint8), r"\(1151,\) and uint8"),
        (np.zeros(1152, np.uint16), r"\(1152,\) and uint16"),
        (np.zeros(1152, np.float32), r"\(1152,\) and float32"),
    ],
)
def test_samples_of_another_size_or_depth_are_refused(tmp_path, samples, got):
    with (
        pytest.raises(InputError, match=r"samples must be \(1152,\) and uint8, got " + got),
        open_writer(tmp_path / "a.mp4", width=32, height=24, rate=RATE) as writer,
    ):
        writer.write(samples, Fraction(0))


def test_deep_samples_are_sixteen_bits(tmp_path):
    with (
        pytest.raises(InputError, match=r"samples must be \(2304,\) and uint16, got \(2304,\) and uint8"),
        open_writer(tmp_path / "a.mkv", width=32, height=24, rate=RATE, pixel_format="yuv444p10le") as writer,
    ):
        writer.write(np.zeros(2304, np.uint8), Fraction(0))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_chroma_is_said_to_be_sited_left(films, tmp_path, suffix):
    write(tmp_path / f"a{suffix}", (32, 24))
    frame = films.decoded(tmp_path / f"a{suffix}")[0]
    assert getattr(frame, "chroma_location", LEFT) == LEFT  # PyAV 18 does not tell


# --- RGB images -----------------------------------------------------------------------------------


def reference(image: np.ndarray, form: PlaneFormat) -> np.ndarray:
    """Samples of an image with even sides in double precision, by the recommendations."""
    red, blue = WEIGHTS[form.matrix]
    r, g, b = image.transpose(2, 0, 1) / 255
    luma = red * r + (1 - red - blue) * g + blue * b
    chroma = np.stack([(b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))])
    if form.chroma and form.chroma[1]:  # columns 2k - 1, 2k and 2k + 1
        padded = np.pad(chroma, ((0, 0), (0, 0), (1, 0)), "edge")
        chroma = padded[:, :, :-1:2] / 4 + padded[:, :, 1::2] / 2 + padded[:, :, 2::2] / 4
    if form.chroma and form.chroma[0]:  # rows 2k - 1 to 2k + 2
        padded = np.pad(chroma, ((0, 0), (1, 1), (0, 0)), "edge")
        a, b, c, d = (padded[:, n : n + chroma.shape[1] : 2] for n in range(4))
        chroma = (a + 3 * b + 3 * c + d) / 8
    unit = 1 << (form.bits - 8)
    planes = [16 * unit + 219 * unit * luma, *(128 * unit + 224 * unit * chroma)]
    return np.concatenate([plane.ravel() for plane in planes])


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize(
    "name", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le"]
)
def test_images_become_what_programs_give(name, matrix):
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    form = plane_format(name, matrix)
    found = samples_of(FromRgb(name, matrix, (24, 32))(image)).astype(int)
    target = FrameFormat(target=form)
    computed = jax.jit(write_frame, static_argnums=1)(image[None] / np.float32(255), target)[0]
    # The scaler holds its sums in 15 bits: a level of 8 bits, and two of 10.
    levels = 1 << max(0, form.bits - 9)
    assert np.abs(found - np.asarray(computed, int)).max() <= levels
    assert np.abs(found - reference(image, form)).max() <= levels + 0.5


def test_images_with_an_odd_side_repeat_their_last_pixels(films, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (25, 33, 3), np.uint8)
    with open_writer(tmp_path / "a.mp4", width=33, height=25, rate=RATE, crf=0) as writer:
        writer.write(image, Fraction(0))
    padded = FromRgb("yuv420p", 1, (26, 34))(np.pad(image, ((0, 1), (0, 1), (0, 0)), "edge"))
    np.testing.assert_array_equal(samples_of(films.decoded(tmp_path / "a.mp4")[0]), samples_of(padded))
