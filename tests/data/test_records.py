"""Reading prepared data sets: splits, slices, damage, other processes."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dysr_jax
import dysr_jax.data
from dysr_jax.data.config import DataConfig
from dysr_jax.data.sources import open_source
from dysr_jax.data.training import load_pairs
from dysr_jax.errors import InputError

COUNT = 10


@pytest.fixture
def place(tmp_path, noise, monkeypatch):
    """Ten images of Flickr2K, prepared."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    for number in range(COUNT):
        noise(tmp_path / f"Flickr2K_HR/{number:06}.png")
        noise(tmp_path / f"Flickr2K_LR_bicubic/X4/{number:06}x4.png", 2, 3)
    return dysr_jax.data.prepare_dataset("dysr_flickr2k", tmp_path, log=lambda line: None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(first=st.integers(0, COUNT), last=st.integers(0, COUNT))
def test_slices_are_those_of_python(place, first, last):
    source = open_source(f"tfds:dysr_flickr2k:train[{first}:{last}]", 4)
    assert list(source.names) == [f"{number:06}.png" for number in range(COUNT)[first:last]]
    assert [source[i].name for i in range(len(source))] == list(source.names)


def test_percents_and_sums(place):
    source = open_source("tfds:dysr_flickr2k/bicubic_x4:train[80%:]+train[:10%]", 4)
    assert [source[i].name for i in range(3)] == ["000008.png", "000009.png", "000000.png"]
    assert list(source.names) == ["000008.png", "000009.png", "000000.png"]
    np.testing.assert_array_equal(source.sizes, [(8, 12)] * 3)


@pytest.mark.parametrize("split", ["test", "train[", "1.0.0", "train[a:b]"])
def test_splits_that_are_none(place, split):
    with pytest.raises(InputError, match=r"must be one of the splits \['train'\] or a slice") as error:
        open_source(f"tfds:dysr_flickr2k:{split}", 4)
    assert "\n" not in str(error.value)


def test_an_index_beyond_the_end(place):
    source = open_source("tfds:dysr_flickr2k", 4)
    assert source[-1].name == "000009.png"
    with pytest.raises(IndexError):
        source[COUNT]


def test_other_processes_open_the_files_themselves(place):
    source = open_source("tfds:dysr_flickr2k", 4)
    expected = source[3]
    assert "_records" in vars(source)
    copy = pickle.loads(pickle.dumps(source))
    assert "_records" not in vars(copy)
    np.testing.assert_array_equal(copy[3].hr, expected.hr)
    np.testing.assert_array_equal(copy[3].lr, expected.lr)


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_records_that_are_not_what_their_names_say(place):
    edit(place / "metadata.json", names={"train": [f"{n:06}.png" for n in reversed(range(COUNT))]})
    with pytest.raises(InputError, match=r"record 0 is not '000009\.png'; prepare it again"):
        open_source("tfds:dysr_flickr2k", 4)[0]


def test_a_set_in_another_file_format(place):
    edit(place / "dataset_info.json", fileFormat="tfrecord")
    with pytest.raises(InputError, match="is stored as tfrecord; must be array_record"):
        open_source("tfds:dysr_flickr2k", 4)
    with pytest.raises(InputError, match="is stored as tfrecord"):
        dysr_jax.data.prepare_dataset("dysr_flickr2k")


def test_an_image_that_cannot_be_decoded_is_named(place, monkeypatch):
    source = open_source("tfds:dysr_flickr2k", 4)
    records = [{"name": b"000000.png", "hr": b"text", "lr": b"text"}]
    monkeypatch.setitem(vars(source), "_records", records)
    with pytest.raises(InputError, match=r"image '000000\.png' cannot be read from its record"):
        source[0]


def test_frames_are_not_held_out_of_their_clips(tmp_path, noise, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    for clip in ("a", "b"):
        for frame in range(3):
            noise(tmp_path / f"GT/{clip}/{frame}.png")
    dysr_jax.data.prepare_dataset("dysr_vid4/hr", tmp_path, log=lambda line: None)
    with pytest.raises(InputError, match=r"data\.validation: .*frames of clips"):
        load_pairs(DataConfig(source="tfds:dysr_vid4/hr", patch=2, holdout=1), 4)
    config = DataConfig(source="tfds:dysr_vid4/hr:test[:3]", validation="tfds:dysr_vid4/hr:test[3:]", patch=2)
    training, validation = load_pairs(config, 4)
    assert [pair.name for pair in training] == ["a/0.png", "a/1.png", "a/2.png"]
    assert len(validation) == 3
