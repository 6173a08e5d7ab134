"""The documents as tests see them: pages, blocks, and a folder in which their commands run."""

import importlib.util
import pathlib
import re
import shutil
import sys
from fractions import Fraction

import numpy as np
import PIL.Image
import pytest

import dysr_jax
from dysr_jax.video import open_writer

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def generate():
    """docs/hooks/generate.py, which MkDocs imports as a script."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "hooks" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "generate", module)  # dataclasses look themselves up
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="session")
def blocks():
    """`(page, language) -> texts of the fenced blocks`."""

    def find(page, language):
        return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)

    return find


@pytest.fixture(scope="session")
def other_model(tiny_run, tmp_path_factory):
    """A network of others, as an ONNX file."""
    path = tmp_path_factory.mktemp("other") / "other.onnx"
    dysr_jax.export(tiny_run.bundle, path, members=["fastest"])
    return path.read_bytes()


@pytest.fixture
def workplace(tmp_path, monkeypatch, tiny_run, other_model):
    """The current folder, with the files that the documents name; runs are the tests' small one."""
    rng = np.random.default_rng(0)

    def save(name, shape=(24, 32, 3)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # modules of the user's are looked for here too
    monkeypatch.setenv("DYSR_REGISTER", "")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    for run in ("runs/quickstart", "RUN"):
        shutil.copytree(tiny_run.path, tmp_path / run)
    for name in ("photo.jpg", "photo.png", "PHOTOS/a.png", "PHOTOS/b.png"):
        save(name)
    for name in ("Set5/HR/a.png", "Set14/HR/b.png", "BSD100/HR/c.png"):
        save(name)
    for number in (1, 2):
        save(f"photos/large/{number}.png", (16, 24, 3))
        save(f"photos/small_x4/{number}.png", (4, 6, 3))
    (tmp_path / "other.onnx").write_bytes(other_model)
    with open_writer("film.mp4", width=24, height=16, rate=Fraction(30)) as writer:
        for number in range(4):
            writer.write(np.full((16, 24, 3), 40 * number, np.uint8), Fraction(number, 30))
    return tmp_path
