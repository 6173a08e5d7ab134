"""Parts of the documents that the code itself writes, as Markdown.

`python docs/hooks/generate.py PART` prints one of them.
"""

import ast
import contextlib
import dataclasses
import functools
import io
import itertools
import os
import pathlib
import re
import sys
from collections.abc import Callable, Iterator
from typing import Final
from unittest import mock

ROOT: Final = pathlib.Path(__file__).parents[2]
PACKAGE: Final = ROOT / "dysr_jax"
PRESETS: Final = ("quickstart", "base", "full")


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join([_row(*head), _row(*("---",) * len(head)), *(_row(*row) for row in rows)])


def _first_line(path: pathlib.Path) -> str:
    """The first sentence of a module's docstring, in one line."""
    doc = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(doc.split("\n\n")[0].split())


def packages() -> list[pathlib.Path]:
    """Folders of the package that hold modules, itself first."""
    return sorted({path.parent for path in PACKAGE.rglob("*.py")})


def modules() -> str:
    """A table per folder: each module and what it is."""
    parts = []
    for folder in packages():
        name = folder.relative_to(ROOT).as_posix()
        files = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
        rows = [(f"[{path.name}](../../{name}/{path.name})", _first_line(path)) for path in files]
        parts += [f"### `{name}/`", _first_line(folder / "__init__.py"), _table(("file", "what it is"), rows)]
    return "\n\n".join(parts)


@dataclasses.dataclass(frozen=True)
class Option:
    """A line of a command's help."""

    name: str
    about: str
    default: str


@dataclasses.dataclass(frozen=True)
class Help:
    """What `dysr COMMAND --help` prints."""

    usage: str
    about: str
    boxes: dict[str, list[Option]]


@functools.cache
def _printed(*args: str) -> str:
    """What a `dysr` command prints; at 100 columns its boxes stand one below the other."""
    from dysr_jax.cli import main

    out = io.TextIOWrapper(io.BytesIO(), "utf-8")  # its encoding decides how boxes are drawn
    wide = {"COLUMNS": "100", "NO_COLOR": "1"}
    with mock.patch.dict(os.environ, wide), contextlib.redirect_stdout(out):
        code = main(list(args))
    if code:
        raise SystemExit(f"dysr {' '.join(args)} ended with exit code {code}")
    out.seek(0)
    return out.read()


def commands() -> dict[str, str]:
    """Names of the commands, with a line about each."""
    found = re.findall(r"^ +dysr (\w+(?: \w+)?) {2,}(.+)$", _printed("--help"), re.MULTILINE)
    if not found:
        raise SystemExit("dysr --help lists no commands")
    return dict(found)


def _options(lines: list[str]) -> Iterator[Option]:
    """The options of a box: a name at its left edge begins one, all else goes on with it."""
    entries: list[list[str]] = []
    for line in lines:
        if not line.strip(" ─"):
            continue
        if line.startswith(" ") and entries:
            entries[-1].append(line.strip())
        elif not line.startswith(" "):
            name, _, about = line.partition("  ")
            entries.append([name, about.strip()])
    for name, *about in entries:
        text = " ".join(about).strip()
        default = re.search(r"\((?:default: (.*)|(required))\)$", text)
        names = re.sub(r"\{None\}\|(\{)?([^}]*)(?(1)\})", r"\2", name)
        if not default:
            yield Option(names, text, "")
        else:
            yield Option(
                names, text[: default.start()].strip(), default[1] if default[2] is None else "required"
            )


@functools.cache
def read_help(name: str, *more: str) -> Help:
    """The help of a command, taken apart."""
    lines = _printed(*name.split(), *more, "--help").splitlines()
    boxes: dict[str, list[str]] = {}
    title, text = "", []
    for line in lines:
        if top := re.match(r"╭─ (.*?) ─+╮", line):
            title = top[1]
            boxes[title] = []
        elif line.startswith("│"):
            boxes[title].append(line.strip("│")[1:].rstrip())
        elif not boxes:
            text.append(line)
    # A rule ends what a box says about itself.
    cut = {t: rows[_rule(rows) :] for t, rows in boxes.items()}
    usage, _, about = "\n".join(text).strip().partition("\n\n")
    parsed = {t: [o for o in _options(rows) if o.name != "-h, --help"] for t, rows in cut.items()}
    about = re.sub(r"--register \S+ imports .*", "", about)  # said once, at the top of the page
    return Help(usage, about.strip(), parsed)


def _rule(rows: list[str]) -> int:
    return next((i + 1 for i, row in enumerate(rows) if row and not row.strip(" ─")), 0)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _name(text: str) -> str:
    """An option as code, with what it takes beside it."""
    names, _, value = text.partition(" ") if "," not in text.split(" ")[0] else (text, "", "")
    value = re.sub(r"^\[(.*?) \[.*\]\]$", r"\1 ...", value)
    shown = ", ".join(re.sub("[{}]", "", value).split(",")) if value.startswith("{") else value
    return " ".join([*map(_code, names.split(", ")), *([f"*{shown}*"] if shown else [])])


def _default(text: str) -> str:
    """Nothing where nothing is given without the option."""
    return "" if text in ("None", "", "''") else _code(text) if text != "required" else text


def _is_config(title: str) -> bool:
    """Whether a box of options is one of the configuration's."""
    return title in {"space options", "data options", "train options", "search options"}


def cli() -> str:
    """A section per command: usage, what it does, its own options."""
    parts = []
    for name, line in commands().items():
        found = read_help(name)
        about = found.about if found.about.startswith(line.rstrip(".")) else f"{line}\n\n{found.about}"
        usage = found.usage.removeprefix("usage: ").replace("{None}|", "")
        parts += [f"## dysr {name}", about, f"```text\n{usage}\n```"]
        own = [o for title, options in found.boxes.items() if not _is_config(title) for o in options]
        if own:
            rows = [(_name(o.name), _default(o.default), o.about) for o in own]
            parts.append(_table(("option", "default", "effect"), rows))
        if any(map(_is_config, found.boxes)):
            parts.append("Every field of the [configuration](configuration.md) is an option as well.")
    return "\n\n".join(parts)


def configuration() -> str:
    """A table per group of fields, with their values in the presets."""
    found = [read_help("search", "--config", preset).boxes for preset in PRESETS]
    parts = []
    for title in found[0]:
        options = [{o.name: o for o in boxes[title]} for boxes in found]
        names = [name for name in options[0] if _is_config(title) or _is_run_field(name)]
        rows = [
            (_name(name), *(_default(preset[name].default) for preset in options), options[0][name].about)
            for name in names
        ]
        if rows:
            heading = title.removesuffix(" options") if _is_config(title) else "run"
            parts += [f"## {heading}", _table(("option", *PRESETS, "effect"), rows)]
    return "\n\n".join(parts)


def _is_run_field(name: str) -> bool:
    """Whether an option without a group is a field of `RunConfig`, which stands in config.json."""
    from dysr_jax.config import RunConfig

    field = name.split()[0].strip(",").lstrip("-").replace("-", "_")
    return field in {field.name for field in dataclasses.fields(RunConfig)}


def exported(folder: pathlib.Path) -> dict[str, str]:
    """The names that a package's `__init__` imports from its own modules, with the module of each."""
    tree = ast.parse((folder / "__init__.py").read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "etils"]
    names = {alias.asname or alias.name: node.module or "" for node in found for alias in node.names}
    return dict(sorted(names.items(), key=lambda item: item[0].lower()))


@functools.cache
def documented(module: str) -> frozenset[str]:
    """Names of a module with a docstring: functions, classes, and values with a text below them."""
    body = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text()).body
    names = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node, after in itertools.pairwise(body):
        told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if told and isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names.add(node.targets[0].id)
        elif told and isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return frozenset(names)


def public_names() -> list[str]:
    """`dysr_jax.__all__`."""
    import dysr_jax

    return sorted(dysr_jax.__all__, key=str.lower)


def api() -> str:
    """The public names of `dysr_jax`, with their docstrings."""
    return "\n\n".join(f"::: dysr_jax.{name}" for name in public_names())


def api_packages() -> str:
    """The names that each package below `dysr_jax` exports, with their docstrings."""
    parts = []
    for folder in packages()[1:]:
        if folder.name == "commands":  # the command line's own
            continue
        names = [name for name, module in exported(folder).items() if name in documented(module)]
        dotted = folder.relative_to(ROOT).as_posix().replace("/", ".")
        if names:
            parts += [f"## {dotted}", _first_line(folder / "__init__.py")]
            parts += [f"::: {dotted}.{name}" for name in names]
    return "\n\n".join(parts)


def demo() -> str:
    """A link to the page that the build of the site writes."""
    return "[Open the page](../demo/index.html) of the package's x4 weights."


PARTS: Final[dict[str, Callable[[], str]]] = {
    "modules": modules,
    "cli": cli,
    "configuration": configuration,
    "api": api,
    "api-packages": api_packages,
    "demo": demo,
}

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        print(PARTS[sys.argv[1]]())
    else:
        sys.exit(f"usage: generate.py {{{','.join(PARTS)}}}")
