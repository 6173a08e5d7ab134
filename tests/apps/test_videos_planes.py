"""Videos of every pixel format through a bundle: the samples written are those of the reference."""

import functools
import http.server
import json
import threading
from fractions import Fraction

import av
import numpy as np
import pytest

from dysr_jax.apps.videos import VideoOptions, stream_video, stream_videos
from dysr_jax.bundle.bundle import load_bundle
from dysr_jax.cli import main
from dysr_jax.errors import InputError
from dysr_jax.model.planes import FrameFormat, read_frame, write_frame
from dysr_jax.model.supernet import arch_params
from dysr_jax.runtime import Bank
from dysr_jax.runtime.policy.base import FixedPolicy
from dysr_jax.video import open_video

ROWS, COLUMNS, FRAMES = 22, 34, 3


@pytest.fixture(scope="module")
def bundle(tiny_run):
    return load_bundle(tiny_run.path / "bundle")


def film(path, form, *, frames=FRAMES, codec="ffv1", size=(COLUMNS, ROWS), tags=()):
    """Noise in a pixel format, without loss."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, form
        for name, value in tags:
            setattr(stream.codec_context, name, value)
        for _ in range(frames):
            image = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image).reformat(format=form)))
        output.mux(stream.encode(None))
    return path


def planes_of(path):
    with open_video(path) as reader:
        arrays = [[np.array(array) for array in frame.arrays] for frame in reader.plane_frames()]
        return reader.planes, reader.orientation, arrays


def expected(bundle, arrays, form, member):
    """From the planes of a frame to the samples of the output, step by step."""
    pixels = read_frame(tuple(array[None] for array in arrays), form)
    params = arch_params(bundle.params, bundle.space, member.arch)
    large = bundle.net.apply({"params": params}, pixels, member.arch)
    return np.asarray(write_frame(large, form)[0]).astype(int)


FORMS = (
    *("yuv420p", "yuv422p", "yuv444p", "yuv410p", "yuv411p", "yuv440p", "yuv420p10le", "yuv422p12le"),
    *("yuv444p16le", "yuva420p", "gray", "gray10le", "gbrp10le", "bgr0", "rgb48le", "yuvj420p"),
)


@pytest.mark.parametrize("form", FORMS)
def test_samples_are_those_of_the_reference(bundle, tmp_path, form):
    codec = {"yuvj420p": "mjpeg"}.get(form, "ffv1")
    source, target = film(tmp_path / "in.mkv", form, codec=codec), tmp_path / "out.mkv"
    options = VideoOptions(encoder="ffv1", pixel_format="yuv420p10le")
    trace = stream_video(bundle, source, target, options, policy=FixedPolicy("best"), log=lambda line: None)
    assert len(trace.frames) == FRAMES
    planes, orientation, given = planes_of(source)
    written, _, made = planes_of(target)
    assert (planes is None) == (form in ("gbrp10le", "bgr0", "rgb48le"))
    assert (written.chroma, written.bits, written.matrix, written.full_range) == ((1, 1), 10, 1, False)
    assert len(made) == len(given) == FRAMES
    for arrays, samples in zip(given, made, strict=True):
        right = expected(bundle, arrays, FrameFormat(planes, written, orientation), bundle.members[-1])
        assert np.abs(np.concatenate([plane.ravel() for plane in samples]).astype(int) - right).max() <= 1


def test_ten_bits_stay_ten_bits_or_it_is_said(bundle, tmp_path):
    source, lines = film(tmp_path / "in.mkv", "yuv420p10le"), []
    stream_video(bundle, source, tmp_path / "out.mkv", log=lines.append)
    assert any("10 bits per channel become 8; --pixel-format yuv420p10le keeps 10" in line for line in lines)
    lines.clear()
    options = VideoOptions(encoder="ffv1", pixel_format="yuv420p10le", overwrite=True)
    stream_video(bundle, source, tmp_path / "out.mkv", options, log=lines.append)
    assert not any("bits per channel" in line for line in lines)
    assert any("encoded with ffv1" in line for line in lines)


def test_several_videos_share_their_executables(bundle, tmp_path, monkeypatch):
    prepared, real = [], Bank._executable

    def compile_or_load(self, program, *rest):
        prepared.append(program)
        return real(self, program, *rest)

    monkeypatch.setattr(Bank, "_executable", compile_or_load)
    names = ["a.mkv", "b.avi", "c.mkv"]
    sources = [film(tmp_path / name, "yuv420p") for name in names[:2]]
    sources.append(film(tmp_path / names[2], "yuv444p"))
    (tmp_path / "out").mkdir()
    done = dict(stream_videos(bundle, sources, tmp_path / "out", log=lambda line: None))
    assert list(done) == [str(tmp_path / "out" / name) for name in ("a.mkv", "b.mp4", "c.mkv")]
    assert all(len(trace.frames) == FRAMES for trace in done.values())
    assert len(prepared) == len(set(prepared)) == 2 * len(bundle.members)  # 4:2:0 once, and 4:4:4


def test_the_command_takes_several_videos(tiny_run, tmp_path, capsys):
    sources = [film(tmp_path / name, "yuv420p") for name in ("a.mkv", "b.mkv")]
    (tmp_path / "out").mkdir()
    options = ["--bundle", tiny_run.path / "bundle", "--json", tmp_path / "t.json"]
    words = [*map(str, ("stream", *sources, tmp_path / "out", *options))]
    assert main(words) == 0
    assert "limits the rate" in capsys.readouterr().err
    videos = json.loads((tmp_path / "t.json").read_text())["videos"]
    assert [trace["frames"] for trace in videos.values()] == [FRAMES, FRAMES]
    assert main([*words[:2], *words[1:]]) == 2  # one source twice
    assert "must be of one source only" in capsys.readouterr().err
    assert main([*words, "--figure", str(tmp_path / "t.png")]) == 2
    assert "none, for several videos" in capsys.readouterr().err
    assert main(["stream", str(sources[0])]) == 2
    assert "must be IN and OUT" in capsys.readouterr().err


def test_several_videos_need_a_folder(bundle, tmp_path):
    sources = [film(tmp_path / name, "yuv420p") for name in ("a.mkv", "b.mkv")]
    with pytest.raises(InputError, match="must be a folder"):
        next(stream_videos(bundle, sources, tmp_path / "none"))
    with pytest.raises(InputError, match="must be files"):
        next(stream_videos(bundle, [sources[0], "-"], tmp_path))


def test_a_part_of_a_video(bundle, tmp_path):
    source = film(tmp_path / "in.mkv", "yuv420p", frames=20)
    options = VideoOptions(encoder="ffv1", start=0.2, duration=0.4)
    trace = stream_video(bundle, source, tmp_path / "out.mkv", options, log=lambda line: None)
    assert len(trace.frames) == 10
    _, _, given = planes_of(source)
    form = FrameFormat(planes_of(source)[0], planes_of(tmp_path / "out.mkv")[0])
    first = np.concatenate([plane.ravel() for plane in planes_of(tmp_path / "out.mkv")[2][0]]).astype(int)
    member = next(m for m in bundle.members if m.name == trace.frames[0].member)
    assert np.abs(first - expected(bundle, given[5], form, member)).max() <= 1


def test_an_address_is_streamed(bundle, tmp_path):
    film(tmp_path / "in.mkv", "yuv420p")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/in.mkv"
        trace = stream_video(bundle, address, tmp_path / "out.mkv", log=lambda line: None)
        server.shutdown()
    assert len(trace.frames) == FRAMES and not trace.real_time


def test_the_command_lists_encoders(capsys):
    assert main(["stream", "--encoders"]) == 0
    assert "libx264" in capsys.readouterr().out


def test_nothing_is_computed_for_an_encoder_that_is_not_there(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(Bank, "prepare", lambda *given, **more: pytest.fail("it prepares"))
    source = film(tmp_path / "in.mkv", "yuv420p")
    for options, words in (
        ({"encoder": "libx999"}, "encoder 'libx999': must be one of"),
        ({"pixel_format": "yuv420p9"}, "pixel_format 'yuv420p9': must be one of"),
        ({"crf": 99}, r"crf must be in \[0, 51\]"),
        ({"preset": "warp"}, "preset 'warp': must be one of"),
    ):
        with pytest.raises(InputError, match=words):
            stream_video(bundle, source, tmp_path / "out.mkv", VideoOptions(**options))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_a_still_film_is_computed_once(bundle, tmp_path):
    with av.open(str(tmp_path / "in.mkv"), "w") as output:
        stream = output.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = COLUMNS, ROWS, "yuv420p"
        for _ in range(8):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((ROWS, COLUMNS, 3), 90, np.uint8))))
        output.mux(stream.encode(None))
    for threshold, repeated in ((0, 7), (-1, 0)):
        options = VideoOptions(repeat_threshold=threshold, overwrite=True)
        trace = stream_video(
            bundle, tmp_path / "in.mkv", tmp_path / "out.mkv", options, policy=FixedPolicy("fastest")
        )
        assert trace.repeated == repeated
        with open_video(tmp_path / "out.mkv") as reader:
            assert sum(1 for _ in reader.frames()) == 8
