"""Clips: frames of a source, in their order, as one array."""

import pickle

import numpy as np
import pytest

import dysr_jax
import dysr_jax.data
from dysr_jax.data.images.read import read_image
from dysr_jax.data.records import Clips
from dysr_jax.data.sources import open_source
from dysr_jax.errors import InputError


@pytest.fixture
def vid4(tmp_path, noise, monkeypatch):
    """Two clips of other lengths and sizes."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    for clip, frames, rows in (("calendar", 3, 8), ("city", 2, 12)):
        for frame in range(frames):
            noise(tmp_path / f"Vid4/GT/{clip}/{frame:08}.png", rows, 16)
            noise(tmp_path / f"Vid4/BIx4/{clip}/{frame:08}.png", rows // 4, 4)
    for config in ("bicubic_x4", "hr"):
        dysr_jax.data.prepare_dataset(f"dysr_vid4/{config}", tmp_path, log=lambda line: None)
    return tmp_path / "Vid4"


def test_a_clip_is_its_frames_in_order(vid4):
    clips = Clips(open_source("tfds:dysr_vid4", 4))
    assert list(clips.names) == ["calendar", "city"]
    assert len(clips) == 2
    for index, (name, frames) in enumerate((("calendar", 3), ("city", 2))):
        clip = clips[index]
        assert clip.name == name
        for kind, images in (("GT", clip.hr), ("BIx4", clip.lr)):
            paths = [vid4 / kind / name / f"{frame:08}.png" for frame in range(frames)]
            np.testing.assert_array_equal(images, np.stack([read_image(path) for path in paths]))


def test_clips_without_lr(vid4):
    clip = Clips(open_source("tfds:dysr_vid4/hr", 4))[1]
    assert clip.hr.shape == (2, 12, 16, 3)
    assert clip.hr.dtype == np.uint8
    assert clip.lr is None


def test_clips_go_to_other_processes(vid4):
    clips = Clips(open_source("tfds:dysr_vid4", 4))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clips))[0].hr, clips[0].hr)


def test_a_source_of_stills_has_none():
    with pytest.raises(InputError, match="'chelsea' is no frame of a clip"):
        Clips(open_source("embedded", 4))
