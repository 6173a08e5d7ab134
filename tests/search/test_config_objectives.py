"""What candidates are judged by: exact costs, signs, relative violations, what is excluded."""

import dataclasses
import re

import jax
import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.model.space import (
    SearchSpace,
    arch_mult_adds,
    arch_parameters,
    sample_archs,
    to_archs,
    uniform_space,
)
from dysr_jax.search.archive import Record
from dysr_jax.search.config import (
    OBJECTIVES,
    SearchConfig,
    arch_costs,
    excesses,
    feasible_records,
    judge,
    objectives,
    violation,
)

SPACES = {
    "x2": uniform_space(slots=3, widths=5, scale=2),
    "x3, slots of different lengths": SearchSpace(
        (("c5", "id"), ("r2",), ("s3", "a1", "c3")), ("u2", "u1"), widths=7, scale=3
    ),
    "x2, three widths": uniform_space(slots=3, widths=(5, 8, 9), scale=2),
    "x4": uniform_space(slots=2, widths=8, scale=4, branches=("r1", "id")),
}
CONFIG = SearchConfig(max_latency_ms=4.0, min_psnr_y=25.0)
FIGURES = [(20.0, 3.0), (25.0, 4.0), (30.0, 5.0), (24.0, 6.0), (float("-inf"), 1.0)]
RECORDS = [Record(str(i), (i,), *each, 0, 0.0) for i, each in enumerate(FIGURES)]


def drawn(space, count=20):
    return to_archs(space, sample_archs(jax.random.key(0), space, (count,)))


@pytest.mark.parametrize(("name", "exact"), [("params", arch_parameters), ("mult_adds", arch_mult_adds)])
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_costs_are_those_of_each_arch(space, name, exact):
    archs = drawn(space)
    expected = [exact(space, arch) for arch in archs]
    assert len(set(expected)) > 2
    assert arch_costs(space, archs, name).tolist() == expected


def test_objectives_are_minimised_in_the_config_s_order():
    space = SPACES["x2"]
    archs = drawn(space, 3)
    records = [Record("", arch, 20.0 + i, 2.0 * i, 0, 0.0) for i, arch in enumerate(archs)]
    config = SearchConfig(objectives=("mult_adds", "latency_ms", "psnr_y", "params"))
    found = objectives(space, records, config)
    assert found.dtype == np.float32
    columns = dict(zip(config.objectives, found.T, strict=True))
    assert set(columns) == set(OBJECTIVES)
    assert columns["psnr_y"].tolist() == [-20.0, -21.0, -22.0]
    assert columns["latency_ms"].tolist() == [0.0, 2.0, 4.0]
    assert columns["params"].tolist() == [arch_parameters(space, arch) for arch in archs]
    np.testing.assert_allclose(columns["mult_adds"], [arch_mult_adds(space, a) for a in archs])


def test_violation_is_the_sum_of_the_relative_excesses():
    found = violation(RECORDS, CONFIG)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [5 / 25, 0, 1 / 4, 1 / 25 + 2 / 4, np.inf])
    values, excess = judge(SPACES["x2"], RECORDS, CONFIG)
    assert values.shape == (5, 2)
    np.testing.assert_array_equal(excess, found)


def test_without_bounds_nothing_is_violated():
    assert excesses(RECORDS, SearchConfig()) == {}
    assert violation(RECORDS, SearchConfig()).tolist() == [0.0] * 5
    assert feasible_records(RECORDS, SearchConfig()) == RECORDS
    assert feasible_records([], CONFIG) == []


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ({"max_latency_ms": 4.0}, [0, 1, 4]),
        ({"min_psnr_y": 25.0}, [1, 2]),
        ({"max_latency_ms": 4.0, "min_psnr_y": 25.0}, [1]),
    ],
)
def test_feasible_records_satisfy_every_constraint(bounds, kept):
    config = dataclasses.replace(SearchConfig(), **bounds)
    assert [record.arch[0] for record in feasible_records(RECORDS, config)] == kept


def test_where_none_is_feasible_each_constraint_is_counted():
    config = dataclasses.replace(CONFIG, max_latency_ms=3.0, min_psnr_y=30.0)
    message = (
        "no evaluated arch satisfies the constraints: search.max_latency_ms 3.0 excludes 3 of 5, "
        "search.min_psnr_y 30.0 excludes 4 of 5, together 5"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        feasible_records(RECORDS, config)
