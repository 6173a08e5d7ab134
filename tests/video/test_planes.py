"""Planes as the decoder holds them: every pixel format against its samples, and streams that change."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.model import FrameFormat, PlaneFormat, read_frame, write_frame
from dysr_jax.video import colour
from dysr_jax.video.planes import arrays_of, plane_format
from dysr_jax.video.reader import open_video

PLANAR = [
    f"{name}{depth}"
    for name, depths in {
        "yuv420p": ("", "9le", "10le", "12le", "14le", "16le"),
        "yuv422p": ("", "9le", "10le", "12le", "14le", "16le"),
        "yuv444p": ("", "9le", "10le", "12le", "14le", "16le"),
        "yuv440p": ("", "10le", "12le"),
        "gray": ("", "9le", "10le", "12le", "14le", "16le"),
    }.items()
    for depth in depths
] + ["yuv410p", "yuv411p", "yuvj420p", "yuvj422p", "yuvj444p", "yuvj440p", "yuva420p", "yuva444p10le"]
REPACKED = [
    *("nv12", "nv21", "nv16", "nv24", "nv42", "nv20le", "p010le", "p012le", "p016le", "p010be", "p210le"),
    *("p212le", "p216le", "p410le", "p412le", "p416le", "yuyv422", "uyvy422", "yvyu422", "y210le", "y212le"),
    *("y216le", "xv30le", "xv36le", "xv48le", "v30xle", "vuyx", "vyu444", "ayuv", "vuya", "uyva", "ayuv64le"),
    *("ya8", "ya16le", "yuv420p10be", "yuv444p16be", "yuva422p10be", "gray10be", "gray16be"),
    "yuv444p10msble",
]
OTHERS = [
    *("rgb24", "bgr24", "bgr0", "rgba", "gbrp", "gbrp10le", "rgb48le", "rgb565le", "pal8", "xyz12le"),
    *("bayer_rggb8", "monow", "grayf32le"),
]


def raw(frame: av.VideoFrame, number: int) -> np.ndarray:
    """All bytes of a plane, `[H, line size]`."""
    return np.frombuffer(frame.planes[number], np.uint8).reshape(-1, abs(frame.planes[number].line_size))


def noise(name: str, columns: int, rows: int, **tags: int) -> av.VideoFrame:
    """A frame of random samples."""
    frame, rng = av.VideoFrame(columns, rows, name), np.random.default_rng(0)
    top = (1 << frame.format.components[0].bits) - 1
    for plane in frame.planes:
        dtype = np.uint8 if top < 256 else np.dtype(">u2" if name.endswith("be") else "<u2")
        shape = (
            rows if plane.height == rows else plane.height,
            abs(plane.line_size) // np.dtype(dtype).itemsize,
        )
        plane.update(rng.integers(0, top + 1, shape).astype(dtype).tobytes())
    for tag, value in tags.items():
        setattr(frame, tag, value)
    return frame


def arrays(frame: av.VideoFrame) -> tuple[np.ndarray, ...]:
    return arrays_of(frame, plane_format(frame), av.video.reformatter.VideoReformatter())


@pytest.mark.parametrize("name", PLANAR)
@pytest.mark.parametrize("size", [(32, 24), (33, 25), (50, 38), (1, 1)])
def test_planar_formats_are_views_of_the_decoders_memory(name, size):
    frame = noise(name, *size)
    form, found = plane_format(frame), arrays(frame)
    assert form is not None and form.bits == frame.format.components[0].bits
    assert tuple(array.shape for array in found) == form.shapes(*reversed(size))
    for number, array in enumerate(found):
        assert array.dtype == form.dtype and not array.flags.writeable
        assert array.__array_interface__["data"][0] == frame.planes[number].buffer_ptr
        expected = raw(frame, number).view(form.dtype)[:, : array.shape[1]]
        np.testing.assert_array_equal(array, expected)
    full = name.startswith(("yuvj", "gray"))
    assert form.full_range == full


def test_arrays_keep_their_memory():
    frame = noise("yuv420p", 64, 48)
    expected, found = [array.copy() for array in arrays(frame)], arrays(frame)
    del frame
    held = [av.VideoFrame(64, 48, "yuv420p") for _ in range(20)]  # what was freed would be used again
    assert held and all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", REPACKED)
@pytest.mark.parametrize("size", [(32, 24), (50, 38)])
def test_other_formats_of_luma_and_chroma_are_put_into_planes_without_loss(name, size):
    """What swscale packs comes back."""
    form = plane_format(av.VideoFrame(*size, name))
    assert form is not None
    subsampling = {(1, 1): "420", (0, 1): "422", (0, 0): "444"}
    planar = "gray" if form.chroma is None else f"yuv{subsampling[form.chroma]}p"
    planar += "" if form.bits == 8 else f"{form.bits}le"
    frame = noise(planar, *size, color_range=1, colorspace=1)
    packed = frame.reformat(format=name, threads=1, src_color_range=1, dst_color_range=1)
    assert packed.format.name == name
    for a, b in zip(arrays(packed), arrays(frame), strict=True):
        np.testing.assert_array_equal(a, b)


def test_samples_of_interleaved_and_packed_formats_by_their_definition():
    frame = noise("nv12", 32, 24)
    luma, blue, red = arrays(frame)
    np.testing.assert_array_equal(luma, raw(frame, 0)[:, :32])
    np.testing.assert_array_equal(np.stack([blue, red], -1).reshape(12, 32), raw(frame, 1)[:, :32])
    frame = noise("yuyv422", 32, 24)
    luma, blue, red = arrays(frame)
    expected = raw(frame, 0)[:, :64].reshape(24, 16, 4)
    np.testing.assert_array_equal(luma.reshape(24, 16, 2), expected[..., ::2])
    np.testing.assert_array_equal(np.stack([blue, red], -1), expected[..., 1::2])
    frame = noise("p010le", 32, 24)
    for plane in frame.planes:  # the ten bits are the upper ones of sixteen
        values = np.random.default_rng(0).integers(0, 1024, plane.buffer_size // 2)
        plane.update((values << 6).astype(np.uint16).tobytes())
    luma, blue, red = arrays(frame)
    np.testing.assert_array_equal(luma, raw(frame, 0).view(np.uint16)[:, :32] >> 6)
    expected = raw(frame, 1).view(np.uint16)[:, :32] >> 6
    np.testing.assert_array_equal(np.stack([blue, red], -1).reshape(12, 32), expected)
    frame = noise("yuv420p10be", 32, 24)
    np.testing.assert_array_equal(arrays(frame)[0], raw(frame, 0).view(">u2")[:, :32])


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_luma_and_chroma_is_rgb(name):
    frame = av.VideoFrame(32, 24, name)
    assert plane_format(frame) is None
    (image,) = arrays(frame)
    assert image.shape == (24, 32, 3) and image.dtype == np.uint8


def test_a_pixel_format_that_ffmpeg_cannot_convert_is_refused():
    with pytest.raises(InputError, match="pixel format y210be must be"):
        arrays(av.VideoFrame(32, 24, "y210be"))


@pytest.mark.parametrize(("matrix", "full"), list(itertools.product((1, 5, 6, 9), (False, True))))
def test_matrix_and_range_are_those_of_the_tags(matrix, full):
    form = plane_format(noise("yuv420p", 32, 24, colorspace=matrix, color_range=1 + full))
    assert form == PlaneFormat((1, 1), 8, full, matrix)
    grey = plane_format(noise("gray", 32, 24, color_range=1 + full))
    assert grey == PlaneFormat(None, 8, full)


# --- of files -------------------------------------------------------------------------------------

LAYOUTS = [
    ("a.mkv", "libx264", "yuv420p"),
    ("a.mkv", "libx264", "yuv444p"),
    ("a.mkv", "ffv1", "yuv420p10le"),
    ("a.mkv", "ffv1", "yuv422p16le"),
    ("a.mkv", "ffv1", "yuva420p"),
    ("a.mkv", "ffv1", "gray"),
    ("a.mkv", "ffv1", "bgr0"),
    ("a.nut", "rawvideo", "nv12"),
    ("a.nut", "rawvideo", "uyvy422"),
    ("a.nut", "rawvideo", "yuyv422"),
    ("a.avi", "mjpeg", "yuvj420p"),
]


def planes_of(path, **options):
    with open_video(path) as reader:
        return reader, list(reader.plane_frames(**options))


def images_of(path):
    with open_video(path) as reader:
        return list(reader.frames())


def rgb_of(reader, frame) -> np.ndarray:
    """What a program that takes planes computes."""
    form = FrameFormat(reader.planes, orientation=reader.orientation)
    return np.asarray(write_frame(read_frame(tuple(a[None] for a in frame.arrays), form), FrameFormat()))[0]


@pytest.mark.parametrize(("name", "codec", "form"), LAYOUTS)
@pytest.mark.parametrize("ahead", [0, 2])
def test_planes_and_images_of_a_file_agree(films, name, codec, form, ahead):
    path = films.make(name, codec=codec, form=form, size=(34, 26), frames=4)
    reader, frames = planes_of(path, ahead=ahead)
    images = images_of(path)
    assert [frame.time for frame in frames] == [frame.time for frame in images]
    assert len(frames) == 4 and not np.array_equal(frames[0].arrays[0], frames[1].arrays[0])
    for frame, (image, _) in zip(frames, images, strict=True):
        # XLA may add in another order inside one program; it is the same formula.
        assert np.abs(rgb_of(reader, frame).astype(int) - image).max() <= 1
    assert (reader.planes is None) == (form == "bgr0")


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_planes_are_not_turned(films, rotation):
    path = films.make("a.mp4", codec="mpeg4", rotation=rotation, frames=2)
    reader, frames = planes_of(path)
    assert frames[0].arrays[0].shape == (24, 32)
    assert reader.image_shape == ((24, 32) if rotation == 180 else (32, 24))
    for frame, image in zip(frames, images_of(path), strict=True):
        assert np.abs(rgb_of(reader, frame).astype(int) - image.image).max() <= 1


def test_the_planes_of_a_lossless_video_are_its_samples(films):
    given = [noise("yuv420p10le", 50, 38, color_range=1)]
    path = films.make("a.mkv", given, codec="ffv1", form="yuv420p10le", size=(50, 38))
    reader, frames = planes_of(path)
    assert reader.planes == PlaneFormat(bits=10, matrix=colour.BT601)
    for a, b in zip(frames[0].arrays, arrays(given[0]), strict=True):
        np.testing.assert_array_equal(a, b)


KNOWS_SITING = hasattr(av.VideoFrame, "chroma_location")  # from PyAV 19 on


@pytest.mark.parametrize(("told", "siting"), [(1, (1, 0)), (2, (1, 1)), (3, (0, 0)), (0, (1, 0))])
def test_where_chroma_lies_is_what_the_file_says(films, told, siting):
    options = (("chroma_sample_location", str(told)),)
    path = films.make("a.mkv", options=options, frames=2)
    assert planes_of(path)[0].planes.siting == (siting if KNOWS_SITING else (1, 0))


@pytest.mark.parametrize(
    ("name", "codec", "form", "siting"),
    [
        ("a.avi", "mjpeg", "yuvj420p", (1, 1)),
        ("a.avi", "mjpeg", "yuvj422p", (1, 1)),
        ("a.mpg", "mpeg1video", "yuv420p", (1, 1)),
        ("a.mpg", "mpeg2video", "yuv420p", (1, 0)),
        ("a.mkv", "ffv1", "yuv420p", (1, 0)),
        ("a.mkv", "ffv1", "yuv444p", (1, 0)),
    ],
)
def test_where_chroma_lies_by_default(films, name, codec, form, siting):
    reader, _ = planes_of(films.make(name, codec=codec, form=form, frames=2))
    assert reader.planes.siting == siting


# --- streams that change --------------------------------------------------------------------------


def joined(films, *parts, given=None):
    """Raw H.264 streams behind each other, five frames each."""
    path = films.folder / "joined.h264"
    made = [films.make(f"{n}.h264", given, **{"frames": 5} | part) for n, part in enumerate(parts)]
    path.write_bytes(b"".join(part.read_bytes() for part in made))
    return path


SD = {"colorspace": 6, "color_range": 1}


def smooth(size, form, **tags):
    """Five frames of slow ramps, which survive any conversion, in a pixel format and with tags."""
    columns, rows = size
    tags = SD | tags
    y, x = np.mgrid[:rows, :columns]
    image = np.stack([60 + 120 * x / columns, 60 + 120 * y / rows, 160 - 60 * x / columns], -1)
    frames = []
    for _ in range(5):
        frame = av.VideoFrame.from_ndarray(image.round().astype(np.uint8))
        spaces = {"src_color_range": 2, "dst_color_range": 2 if "rgb" in form else tags["color_range"]}
        frame = frame.reformat(format=form, dst_colorspace={1: 1, 6: 5}[tags["colorspace"]], **spaces)
        for tag, value in tags.items():
            setattr(frame, tag, value)
        frames.append(frame)
    return frames


CHANGES = {
    "size": ({}, {"size": (64, 48)}, "64x48: they are resized to 32x24"),
    "pixels": ({}, {"form": "yuv444p"}, "yuv444p, limited range, BT.601: they are converted to yuv420p"),
    "depth": ({}, {"form": "yuv420p10le"}, "yuv420p10le, limited range, BT.601, chroma left: they are"),
    "range": ({}, {"tags": (("color_range", 2),)}, "full range, BT.601, chroma left: they are converted"),
    "matrix": ({}, {"tags": (("colorspace", 1),)}, "limited range, BT.709, chroma left: they are converted"),
    "to RGB": ({}, {"codec": "libx264rgb", "form": "rgb24"}, "gbrp: they are converted to yuv420p"),
    "from RGB": (
        {"codec": "libx264rgb", "form": "rgb24"},
        {},
        "BT.601, chroma left: they are converted to gbrp",
    ),
}


@pytest.mark.parametrize("case", list(CHANGES))
def test_frames_that_change_become_as_the_first(films, case):
    *parts, note = CHANGES[case]
    path = films.folder / "joined.h264"
    content = b""
    for number, part in enumerate(parts):
        film = {"codec": "libx264", "form": "yuv420p", "size": (32, 24), "frames": 5} | part
        tags = SD | dict(film.get("tags", ()))
        given = smooth(film["size"], film["form"], **tags)
        film["tags"] = () if film["form"] == "rgb24" else tuple(tags.items())
        options = (("qp", "0"),) if "10" not in film["form"] else ()
        content += films.make(f"{number}.h264", given, **film, options=options).read_bytes()
    path.write_bytes(content)
    reader, frames = planes_of(path)
    assert len(frames) == 10
    first, last = frames[0].arrays, frames[-1].arrays
    assert [(a.shape, a.dtype) for a in first] == [(a.shape, a.dtype) for a in last]
    notes = [text for text in reader.notes if "frames become" in text]
    assert len(notes) == 1 and note in notes[0] and notes[0].startswith("at 0.20 s")
    # It is the same picture, but for the conversion.
    apart = np.abs(rgb_of(reader, frames[0]).astype(int) - rgb_of(reader, frames[-1]))
    assert apart[2:-2, 2:-2].max() <= 6
    assert np.abs(first[0].astype(int) - last[0]).max() <= 4 * (1 + (case == "to RGB"))


def test_each_change_is_one_note(films):
    small, large = {}, {"size": (64, 48)}
    reader, frames = planes_of(joined(films, small, large, small, large, small))
    assert len(frames) == 25
    times = [text.split(" s ")[0] for text in reader.notes if "frames become" in text]
    assert times == ["at 0.20", "at 0.60"]
    assert frames[7].time == Fraction(7, 25)
