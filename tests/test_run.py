"""How a run begins: what it needs the first time, and what it can do without later."""

import dataclasses
import json
import sys

import jax
import pytest

from dysr_jax import run
from dysr_jax.config import with_groups
from dysr_jax.data.grain_stream import GrainStream
from dysr_jax.data.pool import CropPool
from dysr_jax.errors import InputError
from dysr_jax.rundir import open_run
from dysr_jax.search.latency import LatencyTable


def test_a_run_with_its_own_table_does_not_need_the_named_one(tiny, tmp_path):
    search = dataclasses.replace(tiny.search, latency=str(tmp_path / "gone.json"))
    config, out = dataclasses.replace(tiny, search=search), tmp_path / "run"
    with pytest.raises(InputError, match=r"gone\.json' is missing or damaged"):
        run._begin(config, out, print)
    assert not out.exists()
    begun = with_groups(config, len(jax.devices()))
    begun = dataclasses.replace(begun, data=dataclasses.replace(begun.data, pipeline="pool"))
    open_run(out, begun)
    with pytest.raises(InputError, match=r"gone\.json' is missing or damaged"):
        run._begin(config, out, print)  # begun, and killed before it had a table of its own
    (out / "latency.json").write_text("{}")
    assert run._begin(config, out, print).run == out


def test_an_unknown_place_is_named_though_a_table_is_given(tiny, tmp_path):
    search = dataclasses.replace(tiny.search, latency=str(tmp_path / "gone.json"))
    with pytest.raises(InputError, match=r"gone\.json"):
        run._begin(dataclasses.replace(tiny, search=search), "foo://run", print)


def test_two_searches_in_one_folder(tiny, tmp_path):
    """The second is refused in a line while the first runs, wherever it runs, and not after it."""
    out = tmp_path / "new" / "run"

    class StopError(Exception):
        pass

    def work(job):
        assert job.run == out
        with pytest.raises(InputError, match=r"run' is being written by another dysr command"):
            run.run_search(tiny, out, log=lambda _: None)
        with pytest.raises(InputError, match=r"another dysr command"):
            run.run_search(tiny, out / ".." / "run", log=lambda _: None)
        raise StopError

    for _ in range(2):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(StopError):
            patch.setattr(run, "_train_and_search", work)
            run.run_search(tiny, out, log=lambda _: None)
    assert [path.name for path in out.parent.iterdir()] == ["run"]


def begun(config, out, **changes):
    """What a run starts to train on, and what it says."""
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, **changes))
    given, lines = [], []

    class StopError(Exception):
        pass

    def train(key, net, data, *_, **__):
        given.append(data)
        raise StopError

    job = run._begin(config, out, lines.append)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StopError):
        patch.setattr(run, "train", train)
        patch.setattr(run, "_latency_table", lambda job: LatencyTable({}, (), {}, ""))
        patch.setattr(run, "predict", lambda *_: None)
        run._train_and_search(job)
    said = "\n".join(lines)
    return given[0], said, json.loads((out / "config.json").read_text())["data"]["pipeline"]


def test_one_config_runs_with_the_pool_and_with_grain(tiny, tmp_path):
    pool, said, written = begun(tiny, tmp_path / "pool")
    assert (type(pool), written) == (CropPool, "pool")
    assert f"4 training images in the pool, {pool.nbytes / 1e6:,.1f} MB on each device" in said
    stream, said, written = begun(tiny, tmp_path / "grain", pool_share=1e-6)
    assert (type(stream), written) == (GrainStream, "grain")
    assert "4 training images read by Grain as they are needed" in said
    assert f"the pool would take {pool.nbytes / 1e6:,.1f} MB" in said


def test_a_run_begun_with_grain_does_not_go_on_with_the_pool(tiny, tmp_path):
    begun(tiny, tmp_path / "run", pipeline="grain")
    with pytest.raises(InputError, match=r"data\.pipeline grain, not pool"):
        run._begin(tiny, tmp_path / "run", print)


def test_grain_that_is_chosen_and_not_there(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)
    run._begin(tiny, tmp_path / "pool", print)
    data = dataclasses.replace(tiny.data, pool_share=1e-6)
    with pytest.raises(InputError, match="needs the package grain"):
        run._begin(dataclasses.replace(tiny, data=data), tmp_path / "run", print)
    assert not (tmp_path / "run").exists()
