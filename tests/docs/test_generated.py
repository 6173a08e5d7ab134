"""What the documents print of the code: every command, option, field and public name."""

import dataclasses
import re

import dysr_jax
from dysr_jax.commands.parsing import COMMANDS
from dysr_jax.config import PRESETS, RunConfig


def test_every_command_has_a_section(generate):
    assert re.findall(r"^## dysr (.+)$", generate.cli(), re.MULTILINE) == [*COMMANDS]


def test_options_of_a_command_stand_with_default_and_effect(generate):
    section = generate.cli().split("## dysr upscale\n")[1].split("\n## ")[0]
    rows = [row.split(" | ") for row in section.splitlines() if row.startswith("| `")]
    assert [re.findall(r"`([^ `,]+)", row[0])[0] for row in rows][:4] == [
        "IN",
        "[OUT]",
        "--bundle",
        "--scale",
    ]
    assert rows[0][1] == "required"
    assert all(len(row) == 3 and row[2].strip(" |") for row in rows)
    assert "│" not in section


def test_every_field_of_a_config_stands_with_its_presets(generate):
    page = generate.configuration()
    assert tuple(PRESETS) == generate.PRESETS
    listed = re.findall(r"^\| `--([\w.-]+)", page, re.MULTILINE)
    fields = []
    for field in dataclasses.fields(RunConfig):
        inner = getattr(RunConfig(), field.name)
        if dataclasses.is_dataclass(inner):
            fields += [f"{field.name}.{one.name}" for one in dataclasses.fields(inner)]
        else:
            fields.append(field.name)
    assert sorted(listed) == sorted(field.replace("_", "-") for field in fields)
    row = next(row for row in page.splitlines() if row.startswith("| `--train.steps"))
    steps = [f"`{PRESETS[name].train.steps}`" for name in PRESETS]
    assert [cell.strip() for cell in row.split("|")][2:5] == steps


def test_public_names_stand_in_the_reference(generate):
    assert re.findall(r"^::: dysr_jax\.(\w+)$", generate.api(), re.MULTILINE) == sorted(
        dysr_jax.__all__, key=str.lower
    )
    assert "::: dysr_jax.model.Branch\n" in generate.api_packages()
