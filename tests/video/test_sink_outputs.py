"""Places that are written to: one command at a time, and nothing that was rescued is lost unsaid."""

import os
from fractions import Fraction

import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.video.sink import partial_path
from dysr_jax.video.writer import open_writer

SIZE = {"width": 32, "height": 24, "rate": Fraction(25)}
IMAGE = np.zeros((24, 32, 3), np.uint8)


def write(path, **options):
    with open_writer(path, **SIZE, **options) as writer:
        writer.write(IMAGE, Fraction(0))


def test_a_second_writer_of_one_output_is_refused(films, tmp_path):
    path = tmp_path / "o.mp4"
    with open_writer(path, **SIZE) as writer:
        for number in range(5):
            writer.write(IMAGE, Fraction(number, 25))
        for overwrite in (False, True):
            with pytest.raises(InputError, match=r"o\.mp4' is being written by another"):
                open_writer(path, **SIZE, overwrite=overwrite)
    assert len(films.decoded(path)) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["o.mp4"]
    write(path, overwrite=True)


def test_what_a_killed_stream_left_is_kept_until_overwrite(films, tmp_path):
    path, partial = tmp_path / "o.mp4", tmp_path / "o.partial.mp4"
    partial.write_bytes(b"rescued")
    with pytest.raises(InputError, match=r"o\.partial\.mp4' is there.*rename it.*--overwrite") as it:
        write(path)
    assert "\n" not in str(it.value)
    assert partial.read_bytes() == b"rescued" and not path.exists()
    write(path, overwrite=True)
    assert len(films.decoded(path)) == 1 and not partial.exists()


@pytest.mark.parametrize("length", [236, 237, 240, 251])
@pytest.mark.parametrize("letter", ["a", "ä"])
def test_names_at_the_limit(films, tmp_path, length, letter):
    stem = letter * (length // len(letter.encode()))
    path = tmp_path / f"{stem}.mp4"
    assert len(os.fsencode(partial_path(str(path)).name)) <= 255
    write(path)
    assert len(films.decoded(path)) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_long_names_that_begin_alike_have_own_partial_names():
    names = {partial_path("a" * 250 + end + ".mp4").name for end in "bc"}
    assert len(names) == 2
    assert all(name.endswith(".partial.mp4") for name in names)


@pytest.mark.parametrize("name", ["a" * 300 + ".mp4", "a\0b.mp4"])
def test_names_that_cannot_be(tmp_path, name):
    with pytest.raises(InputError, match="cannot be written") as caught:
        write(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="names are text there")
def test_a_name_that_is_not_utf8(films, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.mkv")
    write(path)
    assert len(films.decoded(path)) == 1


def test_a_closed_standard_output_is_refused(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(InputError, match="output '-' is closed"):
        open_writer("-", **SIZE)
