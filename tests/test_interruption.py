"""A run that is killed outright and started again ends as one that was not."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from dysr_jax.atomic import write_json
from dysr_jax.config import to_dict
from dysr_jax.run import run_search
from dysr_jax.search.clock import CLOCK_FILE, Laps
from dysr_jax.search.config import SearchConfig
from dysr_jax.train.state import Checkpoints, init_state

PATIENCE_S = 240


@pytest.fixture(scope="module")
def config(tiny):
    """TINY with more to interrupt, on one device."""
    search = SearchConfig(
        population=4, generations=12, patches=2, patch=24, frame=(24, 32), rounds=3, members=4
    )
    train = dataclasses.replace(tiny.train, steps=60)
    space = dataclasses.replace(tiny.space, slots=3)
    return dataclasses.replace(tiny, space=space, train=train, search=search, devices=1)


@pytest.fixture(scope="module")
def uninterrupted(config, tmp_path_factory):
    """Also leaves the device's latency table, so that both runs search with the same one."""
    run = tmp_path_factory.mktemp("whole") / "run"
    run_search(config, run, log=lambda _: None)
    return run


def archive(run):
    """The candidates of a run; the seconds they took are no part of the comparison."""
    lines = (run / "archive.jsonl").read_text().splitlines()
    return [{**json.loads(line), "seconds": None} for line in lines]


def parameters(run, config):
    like = init_state(jax.random.key(0), config.space.build(), config.train)
    checkpoints = Checkpoints(run / "checkpoints")
    state = checkpoints.restore(like)
    checkpoints.close()
    return state


def start(config_file, run):
    command = [sys.executable, "-m", "dysr_jax.cli", "search"]
    return subprocess.Popen(
        [*command, "--config", str(config_file), "--out", str(run)],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_when(process, happened):
    """SIGKILL as soon as `happened()`; fails if the run ends before."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "the run did not come so far"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def committed_steps(run: pathlib.Path) -> list[int]:
    found = (run / "checkpoints").glob("*/_CHECKPOINT_METADATA")
    return [int(path.parent.name) for path in found if path.parent.name.isdigit()]


@pytest.mark.long
def test_sigkill_in_training_and_in_the_search(config, uninterrupted, tmp_path):
    run, config_file = tmp_path / "run", tmp_path / "config.json"
    write_json(config_file, to_dict(config))

    kill_when(start(config_file, run), lambda: committed_steps(run))
    assert max(committed_steps(run)) < config.train.steps

    kill_when(start(config_file, run), (run / "search_state.msgpack").exists)
    assert 0 < len(archive(run)) < len(archive(uninterrupted))
    assert not (run / "pareto.json").exists()
    clock = (run / CLOCK_FILE).read_bytes()  # the last line may be a part of one

    process = start(config_file, run)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "0 compilations" in out

    assert archive(run) == archive(uninterrupted)
    assert (run / CLOCK_FILE).read_bytes().startswith(clock[: clock.rfind(b"\n") + 1])
    laps = Laps(run / CLOCK_FILE, write=False).by_stage
    stages = {"latency", *range(config.search.generations), "members"}
    assert set(laps) <= stages and len(laps) >= len(stages) - 1  # a kill between a state and its lap
    told = json.loads((run / "pareto.json").read_text())["clock"]
    assert told["total"] == pytest.approx(sum(lap.seconds.total for lap in laps.values()))
    state = [folder / "search_state.msgpack" for folder in (run, uninterrupted)]
    assert state[0].read_bytes() == state[1].read_bytes()
    mine, theirs = parameters(run, config), parameters(uninterrupted, config)
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_ctrl_c_says_how_to_go_on(config, tmp_path):
    run, config_file = tmp_path / "run", tmp_path / "config.json"
    space = dataclasses.replace(config.space, slots=1, branches=("id", "c3"))
    write_json(config_file, to_dict(dataclasses.replace(config, space=space)))
    process = start(config_file, run)
    deadline = time.monotonic() + PATIENCE_S
    while not (run / "checkpoints").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "the same command goes on" in err
    assert "Traceback" not in err
