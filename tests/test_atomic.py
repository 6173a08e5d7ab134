"""Files and directories that appear whole or not at all."""

import json
import os

import pytest

from dysr_jax.atomic import replacing, replacing_directory, write_json


class BoomError(Exception):
    """What goes wrong while writing."""


def content(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("older", [None, "old"])
def test_a_file_appears_at_the_end(tmp_path, older):
    path = tmp_path / "file"
    if older:
        path.write_text(older)
    with replacing(path) as partial:
        partial.write_text("new")
        assert (path.read_text() if older else path.exists()) == (older or False)
    assert path.read_text() == "new"
    assert content(tmp_path) == ["file"]


@pytest.mark.parametrize("older", [None, "old"])
def test_a_failed_file_leaves_what_was_there(tmp_path, older):
    path = tmp_path / "file"
    if older:
        path.write_text(older)
    with pytest.raises(BoomError), replacing(path) as partial:
        partial.write_text("half")
        raise BoomError
    assert content(tmp_path) == (["file"] if older else [])
    assert not older or path.read_text() == older


def test_nothing_written_is_an_error_and_keeps_the_older_file(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "old"


def test_write_json_keeps_the_older_file_when_a_value_is_no_json(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"a": [1, 2.5, None]})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": [1, 2.5, None]}
    assert content(tmp_path) == ["file.json"]


@pytest.fixture
def older(tmp_path):
    """A directory with files of an earlier write."""
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "old").write_text("old")
    (folder / "below" / "old").write_text("old")
    return folder


def test_a_directory_appears_at_the_end(tmp_path):
    with replacing_directory(tmp_path / "folder") as partial:
        (partial / "below").mkdir()
        (partial / "below" / "file").write_text("new")
        assert not (tmp_path / "folder").exists()
    assert (tmp_path / "folder" / "below" / "file").read_text() == "new"
    assert content(tmp_path) == ["folder"]


def test_an_older_directory_is_replaced_and_not_merged(tmp_path, older):
    with replacing_directory(older) as partial:
        (partial / "new").write_text("new")
        assert content(older) == ["below", "old"]
    assert content(older) == ["new"]
    assert content(tmp_path) == ["folder"]


def test_a_failed_directory_leaves_the_older_one(tmp_path, older):
    with pytest.raises(BoomError), replacing_directory(older) as partial:
        (partial / "new").write_text("half")
        raise BoomError
    assert (older / "old").read_text() == (older / "below" / "old").read_text() == "old"
    assert content(tmp_path) == ["folder"]


def test_a_failed_directory_leaves_nothing(tmp_path):
    with pytest.raises(BoomError), replacing_directory(tmp_path / "folder") as partial:
        (partial / "new").write_text("half")
        raise BoomError
    assert content(tmp_path) == []


def test_the_older_directory_survives_a_swap_that_fails(older):
    # The new directory vanishes, so it cannot be renamed once the older one has made way.
    with pytest.raises(OSError), replacing_directory(older) as partial:
        partial.rmtree()
    assert (older / "old").read_text() == "old"


def test_what_a_killed_process_left_is_no_obstacle(tmp_path, monkeypatch):
    # In a container every run has the same process id, so the name of a leftover comes again.
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(BoomError), replacing_directory(tmp_path / "folder") as partial:
        leftover = partial
        raise BoomError
    leftover.mkdir()
    (leftover / "half").write_text("half")
    with replacing_directory(tmp_path / "folder") as partial:
        (partial / "new").write_text("new")
    assert content(tmp_path / "folder") == ["new"]
    assert content(tmp_path) == ["folder"]
