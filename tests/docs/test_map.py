"""The map in the documents is the code's: folders, import directions, and the functions on the ways."""

import ast
import re
import tomllib

import pytest

MAP = "docs/explanation/map.md"


@pytest.fixture(scope="module")
def page(root):
    return (root / MAP).read_text()


@pytest.fixture(scope="module")
def layers(page):
    """The names of each line of the table, from top to bottom."""
    table = page.split("## The folders")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return [set(re.findall(r"`(\w+)`", row)) for row in rows]


def test_layers_are_those_of_the_import_contract(layers, root):
    config = tomllib.loads((root / "pyproject.toml").read_text())
    (contract,) = [c for c in config["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    assert layers == [set(re.split(r"\s*[|:]\s*", layer)) for layer in contract["layers"]]


def test_every_folder_and_module_at_the_top_stands_in_a_layer(layers, root):
    package = root / "dysr_jax"
    found = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    assert set.union(*layers) == found - {"__init__"}


def test_every_module_is_listed(page, generate, root):
    assert "<!-- generate: modules -->" in page
    listed = set(re.findall(r"\]\(\.\./\.\./(dysr_jax/.*?\.py)\)", generate.modules()))
    files = {path.relative_to(root).as_posix() for path in (root / "dysr_jax").rglob("*.py")}
    assert listed == {file for file in files if not file.endswith("__init__.py")}


def test_every_module_says_what_it_is(generate):
    rows = re.findall(r"^\| \[(\S+)\]\(.*?\) \| (.*) \|$", generate.modules(), re.MULTILINE)
    assert rows
    assert [name for name, about in rows if not about.strip()] == []


def test_functions_on_the_ways_exist(page, root):
    rows = re.findall(r"^\| .+ \| \[(.+?)\]\(\.\./\.\./(.+?)\) \| (.+) \|$", page, re.MULTILINE)
    assert len(rows) > 30
    missing = [
        f"{path}: {name}"
        for shown, path, names in rows
        for name in re.findall(r"`([\w.]+)`", names)
        if path != f"dysr_jax/{shown}" or name not in defined(root / path)
    ]
    assert missing == []


def defined(path):
    """Functions, classes and `Class.method` of a file."""
    if not path.is_file():
        return set()
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            }
    return names
