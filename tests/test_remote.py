"""Runs on an object store: a store in memory stands in for `gs://`."""

import dataclasses
import importlib.util
import json
import os

import numpy as np
import orbax.checkpoint as ocp
import pytest
from etils import epath
from etils.epath import backend
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from dysr_jax.atomic import is_remote, replacing_directory, write_json
from dysr_jax.errors import InputError
from dysr_jax.run import run_search
from dysr_jax.rundir import open_run
from dysr_jax.train.log import Log
from dysr_jax.train.state import Checkpoints

RUN = "gs://bucket/runs/one"


class Store(MemoryFileSystem):
    """`gs://` in memory."""

    protocol = ("gcs", "gs")
    store: dict = {}  # noqa: RUF012
    pseudo_dirs: list = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(os.fspath(path).removeprefix("gs://"))


def forget_store() -> None:
    backend._FileSystemSpecBackend._get_filesystem.cache_clear()
    Store.store.clear()
    Store.pseudo_dirs[:] = [""]


@pytest.fixture
def store(monkeypatch, tmp_path):
    """The paths of the store's files; the machine's own files stay as they were."""
    monkeypatch.setenv("EPATH_USE_TF", "false")
    monkeypatch.setitem(_registry, "gcs", Store)
    monkeypatch.chdir(tmp_path)
    forget_store()
    yield Store.store.keys
    assert not list(tmp_path.iterdir())
    forget_store()


def test_what_is_remote(tmp_path):
    assert is_remote(RUN)
    assert is_remote(epath.Path(RUN) / "checkpoints")
    assert not is_remote("gs/run")
    assert not is_remote(tmp_path)


def test_a_run_begins_and_goes_on(store, tiny):
    run = open_run(RUN, tiny)
    assert os.fspath(run) == RUN
    assert set(store()) == {"/bucket/runs/one/config.json"}
    assert open_run(epath.Path(RUN), tiny) == run
    with pytest.raises(InputError) as error:
        open_run(RUN, dataclasses.replace(tiny, seed=3))
    assert f"'{RUN}' holds a run of another config (seed 0, not 3)" in str(error.value)


def test_other_files_are_kept(store, tiny):
    epath.Path(f"{RUN}/notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        open_run(RUN, tiny)
    assert set(store()) == {"/bucket/runs/one/notes.txt"}


def test_a_directory_is_replaced_and_not_merged(store):
    for name in ("first", "second"):
        with replacing_directory(f"{RUN}/bundle") as partial:
            write_json(partial / name, {"a": 1})
    assert set(store()) == {"/bucket/runs/one/bundle/second"}


def test_scalars_are_copied_there(store, tiny):
    log = Log(epath.Path(RUN) / "tensorboard", tiny.train, 0)
    log.push(5, {"loss": np.ones(5)})
    log.flush()  # as at a checkpoint
    log.push(10, {"loss": np.full(5, 2.0)})
    log.close()
    (event,) = store()
    assert event.startswith("/bucket/runs/one/tensorboard/events.out")
    assert Store.store[event].getvalue().count(b"train/loss") == 2


def test_checkpoints_go_there(store, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(ocp, "CheckpointManager", lambda path, options: seen.append(path))
    Checkpoints(f"{RUN}/checkpoints")
    Checkpoints("here/checkpoints")
    assert [os.fspath(path) for path in seen] == [f"{RUN}/checkpoints", str(tmp_path / "here/checkpoints")]


def archive(run):
    records = [json.loads(line) for line in epath.Path(f"{run}/archive.jsonl").read_text().splitlines()]
    return [{**record, "seconds": None} for record in records]


@pytest.mark.long
def test_a_whole_run(store, monkeypatch, tiny, tiny_run, tmp_path_factory):
    """All but the checkpoints, which Orbax writes to `gs://` by itself and not through this store."""
    local, real = tmp_path_factory.mktemp("checkpoints"), ocp.CheckpointManager
    monkeypatch.setattr(ocp, "CheckpointManager", lambda _, options: real(local, options=options))
    bundle = run_search(tiny, RUN, log=lambda _: None)
    files = {path.removeprefix("/bucket/runs/one/") for path in store()}
    mine = {str(file.relative_to(tiny_run.path)) for file in tiny_run.path.rglob("*")}
    # Members are measured in each run, and as many pictures are compared as stay on the front.
    other = ("checkpoints", "tensorboard", "comparison/0")
    assert {name for name in files if not name.startswith(other)} == {
        name for name in mine if not name.startswith(other) and (tiny_run.path / name).is_file()
    }
    assert "comparison/00.png" in files
    assert archive(RUN) == archive(tiny_run.path)
    # What is there already is read from there when the run goes on.
    epath.Path(f"{RUN}/pareto.json").unlink()
    said: list[str] = []
    again = run_search(tiny, RUN, log=said.append)
    assert "latency table of" not in "".join(said)
    assert again.space == bundle.space
    assert set(store()) >= {"/bucket/runs/one/pareto.json"}
    assert archive(RUN) == archive(tiny_run.path)


def test_unknown_places(tiny):
    with pytest.raises(InputError, match=r"out 'foo://run': must be a folder or gs://"):
        open_run("foo://run", tiny)


@pytest.mark.skipif(bool(importlib.util.find_spec("gcsfs")), reason="gcsfs is installed")
def test_without_the_extra_it_is_named(monkeypatch, tiny):
    monkeypatch.setenv("EPATH_USE_TF", "false")
    forget_store()
    with pytest.raises(InputError) as error:
        open_run(RUN, tiny)
    assert f"out '{RUN}' cannot be reached" in str(error.value)
    assert "pip install 'dysr_jax[gcs]'" in str(error.value)
    assert "\n" not in str(error.value)
