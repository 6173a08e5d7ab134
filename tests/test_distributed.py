"""Jobs of two processes of two fake devices each: they search as one process with four does."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from dysr_jax.atomic import write_json
from dysr_jax.cli import main
from dysr_jax.config import to_dict
from dysr_jax.known import config_from_run
from dysr_jax.results import read_results
from dysr_jax.run import run_search
from dysr_jax.search.latency import LatencyTable, WidthTerms, load_table, save_table, table_key

TIMEOUT_S = 240
"""Of every wait; a machine that does nothing else needs a tenth."""

LOSING = """
import os, pathlib, signal, sys, time
import dysr_jax.distributed
dysr_jax.distributed.BEAT_S, dysr_jax.distributed.PATIENCE_S = 1, 8
from dysr_jax.cli import main
from dysr_jax.train import loop

def option(name):
    return sys.argv[sys.argv.index(name) + 1]

make, checkpoints = loop.make_train_chunk, pathlib.Path(option("--out"), "checkpoints")

def dying(*args, **options):
    chunk, done = make(*args, **options), []

    def run(*given):
        if done:
            while not any(path.parent.name.isdigit() for path in checkpoints.glob("*/_CHECKPOINT_METADATA")):
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(True)
        return chunk(*given)

    return run

if option("--process-id") == "1":
    loop.make_train_chunk = dying
sys.exit(main())
"""
"""`dysr` whose second process is killed after the first checkpoint; it takes a process for lost sooner."""


class Job:
    """`dysr search --distributed` in two processes; one process may be given options of its own."""

    def __init__(self, config, out, *, start="--config", second=(), program=("-m", "dysr_jax.cli")):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        place = ["--distributed", "--coordinator", f"127.0.0.1:{port}", "--processes", "2"]
        command = [sys.executable, *program, "search", start, str(config), "--out", str(out)]
        flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
        self.processes = [
            subprocess.Popen(
                [*command, *place, "--process-id", str(number), *options],
                env={**os.environ, **flags, "TF_CPP_MIN_LOG_LEVEL": "2"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number, options in enumerate([(), second])
        ]

    def end(self):
        """Exit code, stdout and stderr of each process."""
        try:
            texts = [process.communicate(timeout=TIMEOUT_S) for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()
        return [(p.returncode, *text) for p, text in zip(self.processes, texts, strict=True)]


def archive(run: pathlib.Path) -> list[dict]:
    """The candidates of a run; the seconds they took are no part of the comparison."""
    lines = (run / "archive.jsonl").read_text().splitlines()
    return [{**json.loads(line), "seconds": None} for line in lines]


def committed_steps(run: pathlib.Path) -> list[int]:
    found = (run / "checkpoints").glob("*/_CHECKPOINT_METADATA")
    return [int(path.parent.name) for path in found if path.parent.name.isdigit()]


@pytest.fixture(scope="module")
def config(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tiny.json"
    write_json(path, to_dict(tiny))
    return path


@pytest.fixture(scope="module")
def little(tiny, tmp_path_factory):
    """TINY with hardly anything to compile, and a latency table of costs that nobody measured."""
    space, folder = (
        dataclasses.replace(tiny.space, slots=1, branches=("id", "c3")),
        tmp_path_factory.mktemp("little"),
    )
    key = table_key(space.build(), "float32", tiny.search.frame)
    terms = WidthTerms(4, 0.5, {"c3": 0.25}, {"u2": 0.125})
    save_table(folder / "latency.json", LatencyTable(key, (terms,), {}, "in a test"))
    search = dataclasses.replace(tiny.search, population=4, latency=str(folder / "latency.json"))
    write_json(folder / "little.json", to_dict(dataclasses.replace(tiny, space=space, search=search)))
    return folder / "little.json"


def lose(config, run):
    """How the processes of a job ended whose second one was killed in training, and after how long."""
    job = Job(config, run, program=("-c", LOSING))
    try:
        job.processes[1].wait(TIMEOUT_S)
    finally:
        start = time.monotonic()
        ends = job.end()
    return ends, time.monotonic() - start


@pytest.fixture(scope="module")
def killed(config, tiny_run, tmp_path_factory):
    """The run of a job whose second process was killed in training.

    `tiny_run`, of one process, has left the latency table that all these searches use.
    """
    run = tmp_path_factory.mktemp("job") / "run"
    lose(config, run)
    assert committed_steps(run)
    return run


@pytest.fixture(scope="module")
def resumed(config, killed):
    """The same job, started again."""
    return Job(config, killed).end()


def test_a_killed_process_ends_the_job_with_one_line(little, tmp_path, tiny):
    ((code, _, errors), (signalled, _, _)), seconds = lose(little, tmp_path / "run")
    assert 0 < max(committed_steps(tmp_path / "run")) < tiny.train.steps
    assert signalled == -signal.SIGKILL
    assert code == 1, errors
    assert "dysr: error: another process of the job ended or cannot be reached" in errors
    assert errors.rstrip().endswith("start all of them again with the same command, the run goes on")
    assert "Traceback" not in errors
    assert seconds < 60


@pytest.mark.long
def test_started_again_it_ends_as_one_process_does(killed, resumed, tiny, tiny_run):
    run = killed
    for code, _, errors in resumed:
        assert code == 0, errors
    clock = [json.loads(line)["stage"] for line in (run / "search_clock.jsonl").read_text().splitlines()]
    assert clock == ["latency", *range(tiny.search.generations), "members"]  # of one writer
    found, expected = archive(run), archive(tiny_run.path)
    names = [record["name"] for record in expected]
    assert len(names) == len(set(names)) > 8
    for key in ("name", "arch", "latency_ms", "generation"):
        assert [r[key] for r in found] == [r[key] for r in expected]
    # Sums over processes have another order: weights differ in their last bits.
    mine, theirs = (load_file(path / "supernet.safetensors") for path in (run, tiny_run.path))
    assert {*mine} == {*theirs}
    for name, weights in theirs.items():
        np.testing.assert_allclose(mine[name], weights, rtol=1e-3, atol=2e-5, err_msg=name)


@pytest.mark.long
def test_with_its_weights_one_process_finds_the_same(killed, resumed, tiny, tmp_path):
    """A rounded pixel is worth some 1e-4 dB, so qualities are compared where the weights are the same."""
    run = killed
    search = dataclasses.replace(tiny.search, latency=str(run / "latency.json"))
    weights = str(run / "supernet.safetensors")
    run_search(dataclasses.replace(tiny, weights=weights, search=search), tmp_path, log=print)
    found, expected = archive(run), archive(tmp_path)
    assert [r["name"] for r in found] == [r["name"] for r in expected]
    psnr = [record["psnr_y"] for record in expected]
    assert max(psnr) - min(psnr) > 5e-3
    assert [r["psnr_y"] for r in found] == pytest.approx(psnr, abs=1e-4)


@pytest.mark.long
def test_process_0_alone_speaks_and_writes(killed, resumed):
    run = killed
    (_, said, bars), (_, silent, no_bars) = resumed
    assert "0 compilations during them" in said
    assert "search: 100%" in bars
    assert "front on" not in silent
    assert no_bars == ""
    events = list((run / "tensorboard").iterdir())
    assert len(events) == 2  # one before the kill and one after it, and none of process 1
    for name in ("config.json", "latency.json", "pareto.json", "bundle", "figures/pareto.png"):
        assert (run / name).exists()


def test_processes_with_other_configs_say_what_differs(little, tmp_path):
    ends = Job(little, tmp_path / "run", second=["--train.steps", "40"]).end()
    for code, _, errors in ends:
        assert code == 2, errors
        assert errors.count("dysr: error: ") == 1
        assert "train.steps: process 0 was given 20, process 1 40" in errors
        assert "Traceback" not in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--coordinator", "a:1"], "must be all three, or none"),
        (["--processes", "2", "--process-id", "0"], "must be all three, or none"),
        (["a", "2", "0"], "--coordinator 'a': must be HOST:PORT"),
        (["a:b", "2", "0"], "--coordinator 'a:b': must be HOST:PORT"),
        (["a:70000", "2", "0"], "--coordinator 'a:70000': must be HOST:PORT"),
        (["a:1", "0", "0"], "--processes 0: must be at least 1"),
        (["a:1", "2", "2"], "--process-id 2: must be 0 to 1"),
        (["a:1", "2", "-1"], "--process-id -1: must be 0 to 1"),
    ],
)
def test_places_in_a_job_that_cannot_be(capsys, tmp_path, options, message):
    if not options[0].startswith("--"):
        names = ("--coordinator", "--processes", "--process-id")
        options = [f"{name}={value}" for name, value in zip(names, options, strict=True)]
    assert main(["search", "--out", str(tmp_path / "run"), "--distributed", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_place_without_distributed_is_refused(capsys, tmp_path):
    assert main(["search", "--out", str(tmp_path / "run"), "--process-id", "1"]) == 2
    assert "must come with --distributed" in capsys.readouterr().err


def test_no_cluster_to_detect(tmp_path):
    command = [sys.executable, "-m", "dysr_jax.cli", "search", "--distributed", "--out"]
    result = subprocess.run(
        [*command, str(tmp_path / "run")],
        env={k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "OMPI", "KUBE"))},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("dysr: error: --distributed: JAX detects no cluster here")
    assert "--coordinator HOST:PORT --processes N --process-id I" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.long
def test_all_processes_let_a_surrogate_choose_the_same(tiny, tiny_run, tmp_path):
    """They compare what they ask for: a job whose processes differ ends with another exit code."""
    given = {"latency": str(tiny_run.path / "latency.json"), "generations": 4}
    search = dataclasses.replace(tiny.search, **given, population=16, surrogate="mlp")
    config = dataclasses.replace(tiny, weights=str(tiny_run.path / "supernet.safetensors"), search=search)
    write_json(tmp_path / "config.json", to_dict(config))
    for code, _, errors in Job(tmp_path / "config.json", tmp_path / "run").end():
        assert code == 0, errors
    found = archive(tmp_path / "run")
    assert {record["generation"] for record in found if "predicted_psnr_y" in record}


@pytest.mark.long
def test_what_a_run_knows_is_searched_again_as_by_one_process(tiny, tiny_run, tmp_path):
    """For a device that is not here: members' latencies are predicted, so that fronts are the same too."""
    known = tmp_path / "known"
    shutil.copytree(tiny_run.path, known, ignore=shutil.ignore_patterns("checkpoints"))
    table = load_table(known / "latency.json")
    (terms,) = table.terms
    odd = dataclasses.replace(terms, body_ms=dict(zip(terms.body_ms, (7.0, 1.0, 3.0), strict=True)))
    key = {**table.key, "device": "Phone 9", "platform": "phone"}
    save_table(tmp_path / "phone.json", dataclasses.replace(table, key=key, terms=(odd,)))
    search = dataclasses.replace(tiny.search, latency=str(tmp_path / "phone.json"), generations=5)
    write_json(known / "config.json", to_dict(dataclasses.replace(tiny, search=search)))
    shutil.copy(tmp_path / "phone.json", known / "latency.json")
    run_search(config_from_run(known), tmp_path / "one", log=lambda line: None)
    (code, said, errors), (other, silent, _) = Job(known, tmp_path / "two", start="--from").end()
    assert (code, other) == (0, 0), errors
    found, expected = archive(tmp_path / "two"), archive(tmp_path / "one")
    for key in ("name", "arch", "latency_ms", "generation"):
        assert [record[key] for record in found] == [record[key] for record in expected]
    assert [r["psnr_y"] for r in found] == pytest.approx([r["psnr_y"] for r in expected], abs=1e-4)
    two, one = (read_results(tmp_path / name, tiny.space.build()) for name in ("two", "one"))
    assert (two.reused, two.evaluated) == (one.reused, one.evaluated)
    assert one.reused == len(archive(known)) and one.evaluated > 0
    assert [m.name for m in two.members] == [m.name for m in one.members]
    assert [m.latency_ms for m in two.members] == [m.latency_ms for m in one.members]
    assert f"{one.reused} of another run reused" in said
    assert "reused" not in silent
