"""Words of a command line: usage, help, and one line for everything that cannot be."""

import re
import subprocess
import sys

import pytest

import dysr_jax.cli
import dysr_jax.commands.bench
import dysr_jax.commands.images
import dysr_jax.commands.runs
import dysr_jax.run
from dysr_jax.cli import main
from dysr_jax.commands.parsing import COMMANDS


def dysr(*args: object) -> int:
    return main([str(arg) for arg in args])


def test_no_arguments_print_the_usage(capsys):
    assert main([]) == 2
    usage = capsys.readouterr().out
    assert usage.startswith("usage: dysr COMMAND")
    for command in COMMANDS:
        assert f"dysr {command} " in usage


def test_the_usage_says_what_every_command_is_for(capsys):
    main([])
    listed = dict(re.findall(r"^  dysr (\S+(?: \S+)?)  +(\S.*)$", capsys.readouterr().out, re.M))
    names = (
        *("step", "candidates", "search", "scaling", "data", "front"),
        *("fps", "switch", "steady", "stream"),
    )
    benchmarks = {f"bench {name}" for name in names}
    data = {"data prepare", "data list"}
    assert (
        set(listed)
        == {"search", "upscale", "stream", "demo", "eval", "report", "merge", "export", "profile"}
        | benchmarks
        | data
    )
    assert len({*listed.values()}) == len(listed)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_prints_the_same_and_succeeds(capsys, flag):
    main([])
    usage = capsys.readouterr().out
    assert main([flag]) == 0
    assert capsys.readouterr().out == usage


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_names_its_options(capsys, command):
    assert main([*command.split(), "--help"]) == 0
    own = {
        "upscale": "--member",
        "demo": "--runtime",
        "eval": "--json",
        "report": "--steady",
        "merge": "--gpu",
        "export": "--calibration",
        "stream": "--real-time",
        "bench fps": "--limit-s",
        "bench front": "--figure",
        "bench switch": "--strategies",
        "bench steady": "--figures",
        "bench stream": "--encoder",
        "data prepare": "--from",
        "data list": "--data-dir",
    }
    assert own.get(command, "--train.learning-rate") in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "dysr_jax 0.1.0\n"


def test_the_installed_command():
    command = [sys.executable, "-m", "dysr_jax.cli", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "dysr_jax 0.1.0\n")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["foo"], ["unknown command 'foo'", "search", "upscale", "eval", "bench step"]),
        (["bench"], ["unknown command 'bench'", "bench step", "bench candidates"]),
        (["bench"], ["bench search", "bench scaling", "profile"]),
        (["bench", "foo"], ["unknown command 'bench foo'", "bench candidates"]),
        (["--foo"], ["unknown command '--foo'"]),
        (["search"], ["Missing", "--out"]),
        (["search", "--out"], ["--out", "Missing value"]),
        (["search", "--out", "OUT", "--foo", "3"], ["unknown option '--foo'", "search --help"]),
        (["search", "--out", "OUT", "--train.step", "3"], ["unknown option '--train.step'"]),
        (["search", "--out", "OUT", "stray"], ["unknown option 'stray'"]),
        (["search", "--out", "OUT", "--config"], ["--config", "quickstart", "base", ".json"]),
        (["search", "--out", "OUT", "--config", "foo"], ["config 'foo'", "quickstart, base"]),
        (["search", "--out", "OUT", "--config", "foo.json"], ["'foo.json'", "cannot be read"]),
        (["search", "--out", "OUT", "--train.steps", "abc"], ["--train.steps", "'abc'", "int"]),
        (["search", "--out", "OUT", "--train.steps", "1.5"], ["--train.steps", "'1.5'", "int"]),
        (["search", "--out", "OUT", "--search.frame", "3"], ["--search.frame", "2 values"]),
        (["search", "--out", "OUT", "--space.widths", "16", "x"], ["--space.widths", "'x'"]),
        (["search", "--out", "OUT", "--space.width", "16"], ["unknown option '--space.width'"]),
        (["search", "--out", "OUT", "--dtype", "f8"], ["--dtype", "'f8'", "bfloat16"]),
        (["upscale"], ["Missing", "IN", "upscale --help"]),
        (["upscale", "a", "b", "c"], ["unknown option 'c'"]),
        (["upscale", "a", "--foo"], ["unknown option '--foo'"]),
        (["upscale", "a", "--overwrit"], ["unknown option '--overwrit'", "--overwrite?"]),
        (["upscale", "a", "--scale", "x"], ["--scale", "'x'", "int"]),
        (["eval"], ["Missing", "eval"]),
        (["bench", "step", "--rounds", "x"], ["--rounds", "'x'", "int"]),
        (["bench", "search", "--populations", "x"], ["--populations", "'x'"]),
        (["bench", "scaling", "--steps", "1.5"], ["--steps", "'1.5'", "int"]),
        (["profile"], ["Missing", "--out"]),
        (["profile", "caf\udce9"], ["Missing", "--out"]),
    ],
)
def test_arguments_that_cannot_be(refused, tmp_path, args, words):
    line = refused(*(tmp_path / arg if arg == "OUT" else arg for arg in args))
    for word in words:
        assert word in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "ascii"])
def test_the_line_is_the_same_on_every_terminal(capsys, monkeypatch, tmp_path, encoding):
    # Tyro draws its boxes in other characters unless the encoding of stdout is called "utf-8".
    with (tmp_path / "stdout").open("w", encoding=encoding) as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        dysr("search", "--out", tmp_path / "out", "--train.steps", "abc")
        monkeypatch.undo()
    line = capsys.readouterr().err
    assert line.startswith("dysr: error: Error parsing --train.steps: invalid literal for int()")
    assert "---" not in line
    assert "helptext" not in line


BAD_VALUES = {
    "space.slots": [0],
    "space.widths": [0, -4, 10_000],
    "space.scale": [5],
    "space.branches": ["zz"],
    "space.upsamplers": ["zz"],
    "data.source": ["foo"],
    "data.validation": ["foo"],
    "data.holdout": [0, 3],
    "data.boundary": ["wrap"],
    "data.small": ["maybe"],
    "data.patch": [0, -3, 99],
    "data.rescale": [0, 1, "nan"],
    "data.pipeline": ["disk"],
    "data.pool-share": [0, 1.5, "nan"],
    "data.crops-per-image": [0],
    "data.workers": [-1],
    "train.steps": [0, 7],
    "train.batch": [0],
    "train.groups": [3, -4],
    "train.random-archs": [0],
    "train.chunk": [0],
    "train.checkpoint-chunks": [0],
    "train.distill": [-0.1, 1.1, "nan"],
    "train.ema": [1.1],
    "train.learning-rate": ["nan", -1],
    "train.archs": ["each"],
    "train.sampling": ["all"],
    "train.warmup": [-1],
    "train.clip": [0, "inf"],
    "search.population": [1, 5],
    "search.generations": [0],
    "search.mutation": [2],
    "search.crossover": ["nan"],
    "search.patches": [0],
    # The metric cuts `scale` pixels off each side: nothing is left of a patch of 2 LR pixels.
    "search.patch": [0, 2, 99],
    "search.rounds": [0],
    "search.members": [1],
    "train.color-jitter": [2, "nan"],
    "layers": ["fast"],
    "search.switch-cost-weight": [-0.1, "nan", "inf"],
    "search.max-latency-ms": [-1, "inf"],
    "search.min-psnr-y": [-1, "nan"],
    "search.objectives": ["psnr_y"],
    "search.latency-archs": [-1],
    "seed": [2**70],
    "devices": [-1, 99],
}


@pytest.mark.parametrize(
    ("option", "value"), [(option, value) for option, values in BAD_VALUES.items() for value in values]
)
def test_values_that_cannot_be(refused, small, tmp_path, monkeypatch, option, value):
    # What is not refused would train; that is told apart here and not waited for.
    monkeypatch.setattr(dysr_jax.run, "_train_and_search", lambda job: pytest.fail("it went on"))
    out = tmp_path / "run"
    line = refused("search", "--out", out, *small, f"--{option}", value)
    named = {"space.branches": "branch", "space.upsamplers": "branch", "data.source": "data source"}
    named |= {"data.validation": "data source"}
    assert named.get(option, option.rpartition(".")[2].replace("-", "_")) in line.replace("-", "_")
    assert str(value) in line
    assert not out.exists()


def test_widths_are_given_one_after_the_other(refused, small, tmp_path, monkeypatch):
    configs = []
    monkeypatch.setattr(dysr_jax.run, "_train_and_search", lambda job: configs.append(job.config))
    options = ["--space.widths", 8, 12, 16]
    dysr("search", "--out", tmp_path / "run", *small, *options)
    assert [config.space.widths for config in configs] == [(8, 12, 16)]
    line = refused("search", "--out", tmp_path / "other", *small, "--space.widths", 8, 16, 12)
    assert "space.widths (8, 16, 12): must be increasing integers in [1, 9999]" in line


@pytest.mark.parametrize("command", ["step", "candidates", "search", "scaling", "data"])
def test_benchmarks_need_a_round(refused, small, command):
    assert "rounds 0" in refused("bench", command, *small, "--rounds", 0)


def test_benchmarks_need_two_archs(refused, small):
    line = refused("bench", "candidates", *small, "--compiled", 1)
    assert "1: must be at least 2" in line
