"""The choice of members: from the front of what satisfies the constraints."""

import numpy as np
import pytest

from dysr_jax.errors import InputError
from dysr_jax.model.space import uniform_space
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.select import choose_members, front_records

SPACE = uniform_space(slots=1, widths=4, scale=2, branches=("id", "s3", "c3", "c5", "r1"), upsamplers=("u1",))
FIGURES = [(20.0, 1.0), (22.0, 2.0), (21.0, 3.0), (25.0, 4.0), (27.0, 5.0)]
RECORDS = [Record("", (i, 0), *each, 0, 0.0) for i, each in enumerate(FIGURES)]


def chosen(**fields):
    return [arch[0] for arch in choose_members(SPACE, RECORDS, SearchConfig(**fields))]


def test_front_is_fastest_first_without_the_dominated():
    order = np.random.default_rng(0).permutation(len(RECORDS))
    found = front_records(RECORDS[i] for i in order)
    assert [record.arch[0] for record in found] == [0, 1, 3, 4]


def test_all_of_a_small_front_are_chosen():
    assert chosen() == [0, 1, 3, 4]


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [
        ({"max_latency_ms": 4.0}, [0, 1, 3]),
        ({"min_psnr_y": 21.5}, [1, 3, 4]),
        ({"max_latency_ms": 3.0, "min_psnr_y": 20.5}, [1]),
    ],
)
def test_members_satisfy_the_constraints(bounds, kept):
    assert chosen(**bounds) == kept


def test_no_candidate_within_the_constraints():
    message = r"^no evaluated arch satisfies the constraints: search\.max_latency_ms 0\.01 excludes 5 of 5$"
    with pytest.raises(InputError, match=message):
        chosen(max_latency_ms=0.01)
