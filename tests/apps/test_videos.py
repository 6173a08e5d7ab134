"""Videos through a bundle: every frame by some member, with its time; what goes wrong is said in a line."""

import json
import threading
from fractions import Fraction

import av
import jax
import numpy as np
import pytest

from dysr_jax.apps.upscaler import Upscaler
from dysr_jax.apps.videos import VideoOptions, stream_video
from dysr_jax.bundle.bundle import load_bundle
from dysr_jax.cli import main
from dysr_jax.errors import InputError
from dysr_jax.runtime.policy.base import FixedPolicy
from dysr_jax.runtime.trace import trace_from_json
from dysr_jax.video.reader import open_video
from dysr_jax.video.writer import open_writer

ROWS, COLUMNS, FRAMES = 24, 32, 12
RATE = Fraction(50)


def images(rows=ROWS, columns=COLUMNS):
    """Something that moves."""
    ramp = np.add.outer(np.arange(rows) * 5, np.arange(columns) * 3)
    return [np.stack([(ramp + 9 * n) % 256] * 3, -1).astype(np.uint8) for n in range(FRAMES)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "in.mkv"
    with open_writer(path, width=COLUMNS, height=ROWS, rate=RATE) as writer:
        for number, image in enumerate(images()):
            writer.write(image, number / RATE)
    return path


@pytest.fixture(scope="module")
def place(tiny_run):
    """Of a bundle."""
    return tiny_run.path / "bundle"


@pytest.fixture(scope="module")
def bundle(place):
    return load_bundle(place)


def frames_of(path):
    with open_video(path) as reader:
        return [(frame.image, frame.time) for frame in reader.frames()]


def test_every_frame_is_upscaled_and_keeps_its_time(bundle, clip, tmp_path):
    scale = bundle.space.scale
    trace = stream_video(bundle, clip, tmp_path / "out.y4m", policy=FixedPolicy("best"))
    found, given = frames_of(tmp_path / "out.y4m"), frames_of(clip)
    assert len(found) == len(trace.frames) == FRAMES
    assert [time for _, time in found] == [time for _, time in given]
    assert {frame.member for frame in trace.frames} == {bundle.members[-1].name}
    assert trace.fps == 50.0
    upscaler = Upscaler(bundle)
    for (large, _), (small, _) in zip(found, given, strict=True):
        assert large.shape == (ROWS * scale, COLUMNS * scale, 3)
        # 4:2:0 keeps luma, up to rounding, where there is no colour.
        apart = np.abs(large.astype(int) - upscaler(small).astype(int)).mean()
        assert apart < 3


@pytest.mark.parametrize("at_once", [False, True])
def test_the_command_leaves_a_video_a_trace_and_a_figure(place, bundle, clip, tmp_path, capsys, at_once):
    out = tmp_path / "out.mp4"
    options = ["--bundle", place, "--json", tmp_path / "t.json", "--figure", tmp_path / "t.png"]
    options += ["--real-time", "--fps", "25", "--most-waiting", "12", *(["--at-once"] if at_once else [])]
    assert main([str(word) for word in ("stream", clip, out, *options)]) == 0
    output = capsys.readouterr()
    assert f"{FRAMES} frames in" in output.out
    assert "25 were to be held" in output.out
    assert "late" in output.err
    with av.open(str(out)) as video:
        (stream,) = video.streams.video
        assert (stream.width, stream.height) == (COLUMNS * bundle.space.scale, ROWS * bundle.space.scale)
        assert sum(1 for _ in video.decode(stream)) == FRAMES
    trace = trace_from_json(json.loads((tmp_path / "t.json").read_text()))
    assert [frame.number for frame in trace.frames] == list(range(FRAMES))
    assert trace.real_time
    assert trace.frames[-1].arrived_s == pytest.approx((FRAMES - 1) / 25)
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def test_a_size_that_changes_is_brought_to_the_first(bundle, tmp_path):
    """Two raw streams that were put together."""
    path = tmp_path / "two.h264"
    with path.open("wb") as joined:
        for rows, columns in ((ROWS, COLUMNS), (ROWS * 2, COLUMNS * 2)):
            part = tmp_path / "part.h264"
            with av.open(str(part), "w", format="h264") as output:
                stream = output.add_stream("libx264", rate=25)
                stream.width, stream.height, stream.pix_fmt = columns, rows, "yuv420p"
                for image in images(rows, columns):
                    output.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
                output.mux(stream.encode(None))
            joined.write(part.read_bytes())
    lines = []
    trace = stream_video(bundle, path, tmp_path / "out.mkv", log=lines.append)
    assert len(trace.frames) == 2 * FRAMES
    assert any("frames become 64x48: they are resized to 32x24" in line for line in lines)
    assert len(frames_of(tmp_path / "out.mkv")) == 2 * FRAMES


def test_a_video_that_ends_too_early_is_upscaled_until_there(bundle, tmp_path):
    whole = tmp_path / "whole.mkv"
    with open_writer(whole, width=COLUMNS, height=ROWS, rate=Fraction(5)) as writer:
        for number, image in enumerate(images() * 5):
            shuffled = np.random.default_rng(number).permutation(image)
            writer.write(shuffled, Fraction(number, 5))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    lines = []
    trace = stream_video(bundle, cut, tmp_path / "out.mkv", log=lines.append)
    assert 0 < len(trace.frames) < 5 * FRAMES
    assert len(frames_of(tmp_path / "out.mkv")) == len(trace.frames)
    assert any("cut.mkv: it ends at" in line for line in lines)


class Interrupting:
    """Presses Ctrl-C after five frames."""

    def start(self, timings, deadline_ms):
        return 0, timings[0].name

    def __call__(self, state, observation):
        if state == 4:
            raise KeyboardInterrupt
        return state + 1, observation.member


def test_what_was_encoded_until_an_interruption_is_kept(bundle, clip, tmp_path):
    trace = stream_video(bundle, clip, tmp_path / "out.mkv", policy=Interrupting())
    assert trace.interrupted
    assert len(trace.frames) == 5
    assert len(frames_of(tmp_path / "out.mkv")) == 5


def test_an_interrupted_command_leaves_its_trace(place, clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("dysr_jax.commands.video.load_policy", lambda text: Interrupting())
    monkeypatch.setattr("dysr_jax.cli.abandon", lambda code: code)
    words = ["stream", clip, tmp_path / "out.mkv", "--bundle", place, "--json", tmp_path / "t.json"]
    assert main([str(word) for word in words]) == 130
    assert json.loads((tmp_path / "t.json").read_text())["interrupted"] is True
    assert "what was encoded until then is kept" in capsys.readouterr().err
    assert len(frames_of(tmp_path / "out.mkv")) == 5


def test_a_background_that_finds_no_room_says_so(bundle, clip, tmp_path):
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(bundle.params))
    found = threading.Event()

    def log(line):
        if "stays chained: budget" in line:
            found.set()

    trace = stream_video(
        bundle,
        clip,
        tmp_path / "out.mkv",
        VideoOptions(at_once=True, budget=weights + 1),
        watch=lambda record: found.wait(60),  # the video may end before the first one is compiled
        log=log,
    )
    assert len(trace.frames) == FRAMES
    assert found.is_set()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fps", "0"], "fps 0.0: must be in (0, 1000]"),
        (["--policy", "fixed:best-of-all"], "member 'best-of-all': the bundle has"),
        (["--policy", "greedy"], "policy 'greedy': must be adaptive"),
        (["--members", "9zz-u1"], "member '9zz-u1': the bundle has"),
        (["--scale", "3"], "scale 3"),
        (["--budget-mb", "0"], "budget-mb 0.0: allowed is above 0"),
        (["--budget-mb", "0.0001"], "budget 100 bytes"),
        (["--json", "missing/t.json"], "json 'missing/t.json'"),
    ],
)
def test_options_that_cannot_be_are_refused_in_a_line(place, clip, tmp_path, capsys, options, words):
    out = tmp_path / "out.mp4"
    assert main(["stream", str(clip), str(out), "--bundle", str(place), *options]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("dysr: error: ")
    assert words in error
    assert not list(tmp_path.iterdir())


def test_a_second_stream_of_one_output_is_refused(place, clip, tmp_path, capsys):
    """Before anything is compiled."""
    out, partial = tmp_path / "out.mp4", tmp_path / "out.partial.mp4"
    words = ["stream", str(clip), str(out), "--bundle", str(place)]
    writer = open_writer(out, width=COLUMNS, height=ROWS, rate=RATE)
    assert main(words) == 2
    assert "out.mp4' is being written by another" in capsys.readouterr().err.splitlines()[-1]
    writer.abandon()
    partial.write_bytes(b"rescued")
    assert main(words) == 2
    assert "out.partial.mp4' is there" in capsys.readouterr().err.splitlines()[-1]
    assert partial.read_bytes() == b"rescued" and not out.exists()


def test_a_source_that_is_no_video_and_an_output_that_is_there(bundle, clip, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(InputError, match=r"text\.mp4"):
        stream_video(bundle, tmp_path / "text.mp4", tmp_path / "out.mp4")
    (tmp_path / "out.mp4").write_text("mine")
    with pytest.raises(InputError, match=r"out\.mp4"):
        stream_video(bundle, clip, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_text() == "mine"
    stream_video(bundle, clip, tmp_path / "out.mp4", VideoOptions(overwrite=True))
    assert len(frames_of(tmp_path / "out.mp4")) == FRAMES
