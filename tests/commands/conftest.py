"""Commands as a user types them, on the tiny run and on small images."""

import numpy as np
import pytest

import dysr_jax.cli
import dysr_jax.commands.bench
import dysr_jax.commands.images
import dysr_jax.commands.runs
import dysr_jax.run
from dysr_jax.atomic import write_json
from dysr_jax.cli import main
from dysr_jax.config import to_dict
from dysr_jax.data.images.write import write_image

SCALE, ROWS, COLUMNS = 2, 20, 24
"""The tiny run's scale; images of one size, so that its members compile few times."""


def dysr(*args: object) -> int:
    return main([str(arg) for arg in args])


@pytest.fixture
def refused(capsys):
    """Run a command that cannot be; its one line on stderr."""

    def run(*args: object) -> str:
        capsys.readouterr()
        assert dysr(*args) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("dysr: error: ")
        assert printed.err.endswith("\n")
        assert printed.err.count("\n") == 1
        return printed.err

    return run


@pytest.fixture
def bundle(tiny_run):
    """The tiny run's bundle; not to be changed."""
    return tiny_run.path / "bundle"


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.png"
    write_image(path, np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8))
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of smooth images, large enough for patches."""
    folder = tmp_path_factory.mktemp("photos")
    row, column = np.mgrid[:64, :72]
    for number in range(3):
        waves = [np.sin((row + 2 * column) / (3 + number + c)) for c in range(3)]
        write_image(folder / f"{number}.png", (127 + 100 * np.stack(waves, -1)).astype(np.uint8))
    return folder


@pytest.fixture
def small(tiny, photos, tmp_path):
    """Options of the tiny config on those images, with a space of four archs."""
    path = tmp_path / "small.json"
    write_json(path, to_dict(tiny))
    data = ["--data.source", f"folder:{photos}", "--data.holdout", 1]
    space = ["--space.slots", 1, "--space.branches", "id", "c3", "--search.population", 4]
    return ["--config", path, *data, *space]


JOBS = {
    "bench step": "bench_step",
    "bench candidates": "bench_candidates",
    "bench search": "bench_search",
    "bench scaling": "bench_scaling",
    "bench switch": "bench_switch",
    "eval": "evaluate_set",
    "profile": "profile",
}
"""The function that does the work of a command that writes a file."""


ROOMS = {
    "eval": dysr_jax.commands.images,
    "profile": dysr_jax.commands.runs,
    "bench switch": dysr_jax.commands.bench,
}
"""Where commands are that are no benches."""


def room(command):
    return ROOMS.get(command, dysr_jax.commands.bench)


@pytest.fixture
def unworked(monkeypatch):
    """No command does its work."""
    for command, job in JOBS.items():
        monkeypatch.setattr(room(command), job, lambda *_, **__: pytest.fail("it went on"))
