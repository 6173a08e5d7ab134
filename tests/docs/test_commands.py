"""Every command line in the documents: executed where it takes seconds, else accepted by the real parser."""

import configparser
import dataclasses
import itertools
import json
import pathlib
import re
import shlex
import sys

import pytest

from dysr_jax.cli import main
from dysr_jax.commands import parsing
from dysr_jax.commands.parsing import command
from dysr_jax.config import load_config, to_dict
from dysr_jax.model import BODY

ROOT = pathlib.Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"))
    if "```sh\n" in path.read_text()
)

WITH_BUNDLE = ("upscale", "eval", "stream")
"""Commands that are executed, with a small bundle where the documents take the package's own weights."""
EXECUTED = (*WITH_BUNDLE, "report", "data list", "bench front")

ELSEWHERE = {
    ".",
    "curl",
    "export",
    "ffmpeg",
    "gcloud",
    "git",
    "head",
    "mpv",
    "npm",
    "on_all()",
    "sh",
    "tar",
    "}",
}
"""What the documents call and this project does not make."""


def parts(line):
    """The commands of a line of a shell, as words; redirections and comments are left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split, lexer.commenters = True, "#"
    groups = itertools.groupby(lexer, lambda word: set(word) <= set("|&;"))
    return [list(words) for is_operator, words in groups if not is_operator]


def shell_lines(texts):
    whole = "\n".join(texts).replace("\\\n", " ")
    return [line for line in whole.splitlines() if line.strip() and not line.startswith("#")]


def without_modules(words):
    """The words of a `dysr` command, and the modules that it registers."""
    words, modules = list(words), []
    while "--register" in words:
        at = words.index("--register")
        modules.append(words[at + 1])
        del words[at : at + 2]
    return words, modules


@pytest.mark.parametrize("page", PAGES)
def test_command_lines_are_accepted(page, blocks, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(parsing, "config_from_run", lambda run: load_config("quickstart"))
    lines = shell_lines(blocks(page, "sh"))
    assert lines
    for line in lines:
        for words in parts(line):
            check(words)


def check(words):
    tool = words[0].rpartition("/")[2] or words[0]
    if tool == "dysr":
        check_dysr(words[1:])
    elif tool == "on_all":
        for inner in parts(words[1]):
            check(inner)
    elif tool == "make":
        check_make(words[1:])
    elif tool in ("pip", "uv"):
        check_install(words)
    elif tool == "bash":
        check_ci(words[1:])
    elif tool == "python":
        check_python(words[1:])
    else:
        assert tool in ELSEWHERE, f"nothing checks {words}"


def check_dysr(words):
    words, _ = without_modules(words)
    try:
        command(words)
    except SystemExit as stop:  # --help was printed
        assert stop.code == 0
    except Exception as error:
        raise AssertionError(f"dysr {shlex.join(words)}: {error}") from error


def check_make(words):
    variables = dict(word.split("=", 1) for word in words if "=" in word)
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        target = word in variables or "=" in word or re.search(rf"^{word}:", makefile, re.MULTILINE)
        assert target, f"make {word}"
    for name in variables:
        assert re.search(rf"^{name} \?=", makefile, re.MULTILINE), f"make {name}=..."


def check_install(words):
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for extras in re.findall(r"\[(.*?)\]", shlex.join(words)):
        for extra in extras.split(","):
            assert extra in config["options.extras_require"], f"{words}: no extra {extra}"


def check_ci(words):
    script = (ROOT / words[0]).read_text()
    for lane in words[1:]:
        assert re.search(rf"^{lane}\(\) {{", script, re.MULTILINE), f"{words[0]} {lane}"


def check_python(words):
    files = [word for word in words if word.endswith(".py")]
    assert files or words[0] == "-m", words
    for file in files:
        assert (ROOT / file).is_file(), file


def executed(line):
    """The command of a line that is executed as it stands; None for all others, and for addresses, patterns
    of a shell and films of more than a second.
    """
    words, *others = parts(line)
    elsewhere = {"--register", "--figures", "--start"} & set(words) or re.search(r"://|/dev/|\*", line)
    if words[0] != "dysr" or others or elsewhere:
        return None
    return next((name for name in EXECUTED if words[1:][: len(name.split())] == name.split()), None)


RUNNABLE = [
    page
    for page in PAGES
    if any(
        executed(line)
        for line in shell_lines(re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL))
    )
]


@pytest.mark.parametrize("page", RUNNABLE)
def test_command_lines_run(page, blocks, workplace, capsys):
    """In the order of the page; what takes minutes or another machine is passed over."""
    policy = blocks("docs/howto/policy.md", "python")[0]
    (workplace / "cautious.py").write_text(policy)
    try:
        for line in shell_lines(blocks(page, "sh")):
            if name := executed(line):
                ((_, *words),) = parts(line)
                alone = name in WITH_BUNDLE and "--bundle" not in words
                given = ["--bundle", "runs/quickstart/bundle"] if alone else []
                assert main([*words, *given]) == 0, f"{line}\n{capsys.readouterr().err}"
    finally:
        sys.modules.pop("cautious", None)


def test_a_branch_of_ones_own_from_the_shell(blocks, workplace, tiny, capsys):
    """The commands of howto/branch.md as they stand, over a configuration that takes seconds."""
    (workplace / "pointwise.py").write_text(blocks("docs/howto/branch.md", "python")[0])
    config = dataclasses.replace(
        tiny,
        space=dataclasses.replace(tiny.space, slots=1, upsamplers=("u1",)),
        train=dataclasses.replace(tiny.train, steps=tiny.train.chunk),
        search=dataclasses.replace(tiny.search, population=4, generations=2, rounds=1, members=2),
    )
    (workplace / "tiny.json").write_text(json.dumps(to_dict(config)))
    lines = shell_lines(blocks("docs/howto/branch.md", "sh"))
    assert len(lines) == 3
    try:
        for line in lines:
            words = shlex.split(line)[1:]
            assert words[0] != "data"
            given = ["--config", "tiny.json"] if words[0] == "search" else []
            assert main([*words, *given]) == 0, f"{line}\n{capsys.readouterr().err}"
    finally:
        BODY.pop("p1", None)
        sys.modules.pop("pointwise", None)
    found = json.loads((workplace / "runs/with_p1/config.json").read_text())
    assert "p1" in found["space"]["branches"]
