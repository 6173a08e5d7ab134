"""A file through an accelerator: planes in, samples out, frames in flight and in order."""

from fractions import Fraction

import jax
import numpy as np
import pytest

import dysr_jax
from dysr_jax.apps import VideoOptions
from dysr_jax.model.planes import FrameFormat, read_frame, write_frame
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.supernet import arch_params
from dysr_jax.runtime.policy import FixedPolicy
from dysr_jax.video import open_video, open_writer

FRAMES, RATE = 24, Fraction(24)
MOST_LEVELS, MEAN_LEVELS = 4, 0.15
"""How far samples made in bfloat16 may be from those made in float32, in levels of 8 bits."""


def planes_of(path):
    with open_video(path) as reader:
        return reader.planes, [arrays for arrays, _ in reader.plane_frames()]


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_a_file_is_streamed(host, photograph, tmp_path, pixel_format):
    rows, columns = photograph.shape[:2]
    clip, out = tmp_path / "clip.mkv", tmp_path / "out.mkv"
    how = {"encoder": "ffv1", "pixel_format": pixel_format}
    with open_writer(clip, width=columns, height=rows, rate=RATE, **how) as writer:
        for number in range(FRAMES):
            writer.write(np.ascontiguousarray(np.roll(photograph, 5 * (number // 2), 1)), number / RATE)
    bundle = dysr_jax.load_pretrained("x4")
    trace = dysr_jax.stream_video(
        bundle, clip, out, VideoOptions(**how), policy=FixedPolicy("fastest"), log=lambda line: None
    )
    assert [frame.number for frame in trace.frames] == list(range(FRAMES))
    assert trace.repeated == FRAMES // 2
    assert trace.stage_ms["upload"] > 0 and trace.stage_ms["encode"] > 0

    source, given = planes_of(clip)
    target, made = planes_of(out)
    assert len(made) == FRAMES and target.bits == source.bits
    form, member = FrameFormat(source, target), bundle.members[0]
    net = make_supernet(bundle.space, "float32", bundle.net.kept)

    @jax.jit
    def reference(params, arrays):
        pixels = read_frame(tuple(array[None] for array in arrays), form)
        return write_frame(net.apply({"params": params}, pixels, member.arch), form)[0]

    params = host.put(arch_params(bundle.params, bundle.space, member.arch))
    unit = 1 << (target.bits - 8)
    for number in (0, 1, FRAMES - 1):
        expected = np.asarray(reference(params, host.put(given[number]))).astype(int)
        found = np.concatenate([plane.ravel() for plane in made[number]]).astype(int)
        apart = np.abs(found - expected) / unit
        assert apart.max() <= MOST_LEVELS and apart.mean() <= MEAN_LEVELS, (number, apart.max(), apart.mean())
