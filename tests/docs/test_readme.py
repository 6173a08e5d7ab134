"""The README as a front door: short, and its names and links are there."""

import pathlib
import re

import pytest

import dysr_jax

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *sorted((ROOT / "experiments").rglob("*.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
    )
]


def test_length(root):
    assert len((root / "README.md").read_text().splitlines()) <= 180


def test_public_names_are_those_of_the_package(root):
    section = (root / "README.md").read_text().split("## Public names")[1].split("\n## ")[0]
    listed = [
        name
        for row in re.findall(r"^\|.*\|(.*)\|$", section, re.MULTILINE)[2:]
        for name in re.findall(r"`(\w+)`", row)
    ]
    assert len(listed) == len(set(listed))
    assert sorted(listed) == sorted(dysr_jax.__all__)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_of_the_repository(page, root):
    path = root / page
    text = re.sub("```.*?```", "", path.read_text(), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if not (path.parent / link).exists()] == []
