"""The search's config: what it refuses, and the limits that pass."""

import dataclasses

import pytest

from dysr_jax.errors import InputError
from dysr_jax.model.space import uniform_space
from dysr_jax.search.config import SearchConfig

SPACE = uniform_space(slots=2, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))


CONFIG = SearchConfig(population=6, generations=5, patches=2, patch=8, frame=(8, 8), rounds=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("population", 0),
        ("population", 1),
        ("population", 33),
        ("generations", 0),
        ("patches", 0),
        ("patch", 0),
        ("rounds", 0),
        ("frame", (0, 8)),
        ("frame", (8, -1)),
        ("members", 1),
        ("mutation", -0.1),
        ("mutation", 1.1),
        ("crossover", -0.1),
        ("crossover", 1.1),
        ("mutation", float("nan")),
        *[
            (bound, value)
            for bound in ("max_latency_ms", "min_psnr_y")
            for value in (-1.0, 0.0, float("inf"), float("nan"))
        ],
        ("objectives", ()),
        ("objectives", ("psnr_y",)),
        ("objectives", ("latency_ms", "params")),
        ("objectives", ("psnr_y", "latency_ms", "psnr_y")),
    ],
)
def test_a_wrong_field_is_named_with_its_value(field, value):
    with pytest.raises(InputError) as caught:
        dataclasses.replace(CONFIG, **{field: value}).check_space(SPACE)
    assert str(caught.value).startswith(f"search.{field} must be ")
    assert str(caught.value).endswith(f", got {value}")


def test_an_unknown_objective_is_named():
    with pytest.raises(InputError, match=r"^search\.objectives: 'fps' is not one of psnr_y, "):
        dataclasses.replace(CONFIG, objectives=("psnr_y", "latency_ms", "fps"))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"population": 2},
        {"population": 32},
        {"mutation": 1.0, "crossover": 0.0},
        {"max_latency_ms": 1e-9, "min_psnr_y": 99.0},
        {"objectives": ("mult_adds", "latency_ms", "params", "psnr_y")},
    ],
)
def test_the_limits_pass(fields):
    dataclasses.replace(CONFIG, **fields).check_space(SPACE)
