"""Standard streams that are closed, full, or cannot print a name: the work is done, and a line says so."""

import io
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dysr_jax.bundle.bundle import save_bundle
from dysr_jax.cli import main
from dysr_jax.commands.terminal import output

FULL = pathlib.Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")


def closed_pipe() -> io.TextIOWrapper:
    """What `| true` makes of standard output."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w", buffering=1)


@pytest.fixture(scope="module")
def bundle(three_members, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "bundle"
    save_bundle(path, three_members, {})
    return path


@pytest.fixture
def folder(tmp_path):
    """Three images, one of them with a name that no encoding prints."""
    place = tmp_path / "in"
    place.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    for name in (b"a.png", b"b.png", b"caf\xe9.png"):
        Image.fromarray(pixels).save(place / os.fsdecode(name))
    return place


def upscale(folder, bundle):
    return main(["upscale", str(folder), str(folder.parent / "out"), "--bundle", str(bundle)])


def written(folder):
    return len(list((folder.parent / "out").iterdir()))


@pytest.mark.parametrize("broken", ["stdout", "stderr"])
def test_work_goes_on_when_the_reader_of_a_pipe_leaves(bundle, folder, monkeypatch, broken):
    with closed_pipe() as pipe:
        monkeypatch.setattr(sys, broken, pipe)
        assert upscale(folder, bundle) == 0
    assert written(folder) == 3


@needs_full
def test_a_full_output_is_told_when_the_work_is_done(bundle, folder, monkeypatch, capsys):
    with FULL.open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert upscale(folder, bundle) == 1
    assert written(folder) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == ("dysr: error: standard output cannot be written: No space left on device")
    assert sum("dysr: error" in line for line in lines) == 1


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_is_not_there_is_no_failure(bundle, folder, monkeypatch, name):
    """`>&-`: Python has None for it."""
    monkeypatch.setattr(sys, name, None)
    assert upscale(folder, bundle) == 0
    assert written(folder) == 3
    assert getattr(sys, name) is None


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_names_that_cannot_be_printed_are_escaped(bundle, folder, monkeypatch, encoding, errors):
    stream = io.TextIOWrapper(io.BytesIO(), encoding, errors, write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    assert upscale(folder, bundle) == 0
    lines = stream.buffer.getvalue().splitlines()
    assert [line.rpartition(b"/")[2] for line in lines] == [b"a.png", b"b.png", b"caf\\udce9.png"]
    assert stream.errors == errors  # as it was


@pytest.mark.parametrize("args", [["--help"], ["upscale", "--help"], ["--version"], ["data", "list"]])
@pytest.mark.parametrize(("place", "code"), [("pipe", 0), pytest.param("full", 1, marks=needs_full)])
def test_what_only_prints_ends_alike(monkeypatch, capsys, args, place, code):
    with closed_pipe() if place == "pipe" else FULL.open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(args) == code
    assert capsys.readouterr().err.count("\n") == code


def test_a_usage_error_keeps_its_code(monkeypatch, capsys):
    with closed_pipe() as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert main(["upscale"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_streams_are_given_back_and_told_apart():
    before = sys.stdout, sys.stderr
    with output() as out:
        assert (sys.stdout, sys.stdout.encoding) == (out, before[0].encoding)
        assert sys.stderr is not out
    assert (sys.stdout, sys.stderr) == before
    assert out.refused is None


SHELL = """
"$0" -m dysr_jax.cli --help | true
echo "${PIPESTATUS[0]}"
[ -e /dev/full ] && "$0" -m dysr_jax.cli --version >/dev/full || echo "$?"
"$0" -m dysr_jax.cli --version >&- 2>&- <&-
echo "$?"
JAX_PLATFORMS=nonsense "$0" -m dysr_jax.cli report . --image missing.png
echo "$?"
"""


def test_in_a_shell_no_trace_is_left():
    """What Python does after `main`, at its own end, is a part of it."""
    done = subprocess.run(["bash", "-c", SHELL, sys.executable], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1", "0", "2"]
    assert len(done.stderr.splitlines()) == 2
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
