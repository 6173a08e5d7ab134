"""`dysr search`: runs that go on, are kept, or are refused."""

import json

import jax
import pytest

import dysr_jax.cli
import dysr_jax.commands.bench
import dysr_jax.commands.images
import dysr_jax.commands.runs
import dysr_jax.run
from dysr_jax.cli import main
from dysr_jax.config import to_dict
from dysr_jax.rundir import open_run


def dysr(*args: object) -> int:
    return main([str(arg) for arg in args])


def snapshot(folder) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_finished_run_prints_its_tables_again(tiny_run, capsys):
    before = snapshot(tiny_run.path)
    assert dysr("search", "--out", tiny_run.path, "--config", tiny_run.path / "config.json") == 0
    lines = capsys.readouterr().out
    assert f"{tiny_run.path} is finished" in lines
    assert "bicubic" in lines
    for member in tiny_run.bundle.members:
        assert f"\n{member.name} " in lines
    assert "0 compilations during them" in lines
    # It was read and nothing else; what it printed is what it printed the first time.
    assert snapshot(tiny_run.path) == before
    first_time = "\n".join(tiny_run.lines)
    assert first_time[first_time.index("\nfront on") :].strip() in lines


def test_a_run_of_another_config_is_kept(refused, tiny_run):
    before = snapshot(tiny_run.path)
    config = tiny_run.path / "config.json"
    line = refused("search", "--out", tiny_run.path, "--config", config, "--seed", 3)
    assert "holds a run of another config (seed 0, not 3)" in line
    assert snapshot(tiny_run.path) == before


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": b"mine"}, "holds other files"),
        ({"config.json": b"{"}, "config.json is damaged"),
        ({"config.json": b"\xff\xfe{"}, "config.json is damaged"),
        ({"config.json": b'{"spice": 1}'}, "unknown key 'spice'"),
    ],
)
def test_other_folders_are_kept(refused, small, tmp_path, files, message):
    out = tmp_path / "out"
    out.mkdir()
    for name, content in files.items():
        (out / name).write_bytes(content)
    line = refused("search", "--out", out, *small)
    assert message in line
    assert str(out) in line
    assert snapshot(out) == files


def test_what_a_kill_left_is_no_other_file(tmp_path, tiny):
    """The moment between writing the config beside its place and renaming it."""
    out = tmp_path / "out"
    out.mkdir()
    (out / ".config.json.123.partial").write_text("{")
    assert open_run(out, tiny) == out
    assert json.loads((out / "config.json").read_text()) == to_dict(tiny)


def test_a_run_records_on_how_many_groups_it_trains(tiny_run):
    """So that it does not go on, with another recipe, on another number of devices."""
    found = json.loads((tiny_run.path / "config.json").read_text())
    assert found["train"]["groups"] == len(jax.devices()) == 4


def test_benchmarks_use_one_device(refused, small):
    line = refused("bench", "step", *small[:2], "--devices", 2)
    assert "devices 2: must be 1" in line


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_run_needs_a_folder(refused, small, tmp_path, place):
    (tmp_path / "file").write_text("mine")
    assert f"{place}' cannot be made" in refused("search", "--out", tmp_path / place, *small)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_needs_a_name_in_utf_8(refused, small, tmp_path):
    out = tmp_path / "caf\udce9"
    assert "must be a name in UTF-8" in refused("search", "--out", out, *small)
    assert not out.exists()


def test_ctrl_c_exits_with_130(monkeypatch, small, tmp_path, capsys):
    def interrupted(config, out):
        raise KeyboardInterrupt

    monkeypatch.setattr(dysr_jax.commands.runs, "run_search", interrupted)
    assert dysr("search", "--out", tmp_path / "out", *small) == 130
    error = capsys.readouterr().err
    assert error.strip().startswith("dysr: interrupted")
    assert "Traceback" not in error
