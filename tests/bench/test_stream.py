"""A stream beside its stages: what is measured is what the names say."""

import os

import pytest

from dysr_jax.bench import bench_stream
from dysr_jax.bench.frames import Size
from dysr_jax.bench.stream import write_clip
from dysr_jax.cli import main
from dysr_jax.errors import InputError
from dysr_jax.report import bench_table
from dysr_jax.video import open_video

FRAMES = 12


def test_a_clip_has_frames_that_all_differ(tmp_path):
    write_clip(tmp_path / "clip.mp4", Size(24, 32), FRAMES)
    with open_video(tmp_path / "clip.mp4") as reader:
        assert reader.image_shape == (24, 32)
        images = [frame.image for frame in reader.frames()]
    assert len({image.tobytes() for image in images}) == len(images) == FRAMES


def test_stages_alone_and_together(three_members, capfd):
    result = bench_stream(three_members, frame=(24, 32), frames=FRAMES, encoder="libx264")
    scale = three_members.space.scale
    assert result.size == f"32x24 -> {32 * scale}x{24 * scale}" and result.frames == FRAMES
    names = [three_members.members[end].name for end in (0, -1)]
    assert [(row.member, row.encoder) for row in result.rows] == [
        (name, encoder) for name in names for encoder in ("libx264", "rawvideo")
    ]
    for row in result.rows:
        alone = (row.decode_fps, row.network_fps, row.encode_fps)
        assert min(*alone, row.stream_fps) > 0
        assert row.ratio == pytest.approx(row.stream_fps / min(alone))
        assert row.network_ratio == pytest.approx(row.stream_fps / row.network_fps)
        assert row.limiting in ("decode", "network", "encode", "mux")
    assert capfd.readouterr().out == ""  # raw frames went nowhere
    os.write(1, b"still here")
    assert capfd.readouterr().out == "still here"
    assert "network_ratio" in bench_table(result)


def test_the_command_prints_a_table(tiny_run, tmp_path, capsys):
    options = [
        "--bundle",
        tiny_run.path / "bundle",
        "--frame",
        "24",
        "32",
        "--frames",
        "4",
        "--members",
        "best",
    ]
    options += ["--json", tmp_path / "stream.json"]
    assert main([str(word) for word in ("bench", "stream", *options)]) == 0
    assert "rawvideo" in capsys.readouterr().out
    assert (tmp_path / "stream.json").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frames": 1}, "frames 1: must be at least 2"),
        ({"frame": (0, 4)}, "frame .*must be at least one row and one column"),
        ({"members": ("none",)}, "none"),
        ({"encoder": "libx999"}, "encoder 'libx999': must be one of"),
    ],
)
def test_what_cannot_be_streamed_is_refused(three_members, options, words):
    with pytest.raises(InputError, match=words):
        bench_stream(three_members, **{"frame": (24, 32), "frames": 4, **options})
