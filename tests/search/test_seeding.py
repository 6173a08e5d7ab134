"""What a search takes over: by brute force over all pairs of records."""

import dataclasses

import hypothesis.strategies as st
import jax
import numpy as np
from hypothesis import given, settings

from dysr_jax.model.space import arch_parameters, uniform_space
from dysr_jax.search import nsga2
from dysr_jax.search.archive import Archive, Record, candidates_per_second
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.latency import LatencyTable, WidthTerms
from dysr_jax.search.seeding import first_archs, reused_records, to_reused

SPACE = uniform_space(slots=2, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))
ARCHS = [tuple(arch) for arch in np.indices((4, 4, 2)).reshape(3, -1).T.tolist()]
CONFIG = SearchConfig(population=32)
EVERY = ("psnr_y", "latency_ms", "params")


def records(psnr_y, latency_ms, seconds=0.0):
    each = zip(ARCHS, psnr_y, latency_ms, strict=False)
    return [Record(str(arch), arch, float(q), float(ms), 0, seconds) for arch, q, ms in each]


few = st.lists(st.tuples(st.integers(20, 24), st.integers(1, 5)), min_size=1, max_size=32)


@given(few, st.sampled_from([None, 1.5, 3.5]), st.booleans())
@settings(max_examples=25)
def test_the_first_archs_are_those_that_none_dominates(points, bound, three):
    """Of archs that are equal in all, one stays."""
    known = records(*zip(*points, strict=True))
    names = EVERY if three else EVERY[:2]
    config = dataclasses.replace(CONFIG, max_latency_ms=bound, objectives=names)

    def costs(r):
        return (-r.psnr_y, r.latency_ms, arch_parameters(SPACE, r.arch))[: len(names)]

    inside = [r for r in known if bound is None or r.latency_ms <= bound]
    least = min(r.latency_ms for r in known)
    inside = inside or [r for r in known if r.latency_ms == least]
    best = {
        costs(r)
        for r in inside
        if not any(
            all(map(float.__le__, map(float, costs(o)), map(float, costs(r)))) and costs(o) != costs(r)
            for o in inside
        )
    }
    found = [tuple(arch) for arch in first_archs(SPACE, known, config).tolist()]
    assert sorted(costs(r) for r in known if r.arch in found) == sorted(best)


def test_ends_stay_where_a_population_is_too_small():
    quality = np.linspace(20, 30, 32)
    found = first_archs(SPACE, records(quality, quality**2), dataclasses.replace(CONFIG, population=5))
    assert found.shape == (5, 3)
    assert {ARCHS[0], ARCHS[-1]} <= {tuple(arch) for arch in found.tolist()}


def test_nothing_is_taken_over_of_what_was_evaluated_here():
    own = records([20.0, 21.0], [1.0, 2.0], seconds=0.5)
    assert first_archs(SPACE, own, CONFIG) is None
    assert reused_records([*own, *records([20.0], [1.0])]) == records([20.0], [1.0])
    assert candidates_per_second([*own, *records([20.0], [1.0])]) == 2.0
    assert candidates_per_second(records([20.0], [1.0])) == 0.0


def test_the_first_generation_begins_with_them_and_is_filled_up_as_ever():
    key, operators, given_archs = (
        jax.random.key(0),
        nsga2.Operators(SPACE),
        np.array([[1, 2, 1], [3, 0, 0]], np.int32),
    )
    plain = nsga2.init(key, operators, 8).genes.tolist()
    genes = nsga2.init(key, operators, 8, first=given_archs).genes.tolist()
    assert genes[:2] == given_archs.tolist()
    rest = [arch for arch in plain if arch not in genes[:2]]
    assert genes[2:] == rest[:6]


def test_reused_records_keep_their_quality_and_get_the_tables_latency(tmp_path):
    terms = WidthTerms(4, 0.5, {"s3": 0.25, "c3": 0.5, "r1": 1.0}, {"u2": 0.125})
    known = [r._replace(generation=7) for r in records(np.arange(32) + 20.0, np.ones(32), seconds=0.5)]
    taken = to_reused(SPACE, known, LatencyTable({}, (terms,), {}, ""))
    each = {"id": 0.0, "s3": 0.25, "c3": 0.5, "r1": 1.0}
    body = [sum(each[SPACE.slots[slot][r.arch[slot]]] for slot in (0, 1)) for r in known]
    upsampler = [0.125 * (SPACE.upsamplers[r.arch[2]] == "u2") for r in known]
    np.testing.assert_allclose([r.latency_ms for r in taken], 0.5 + np.add(body, upsampler))
    assert [(r.arch, r.psnr_y, r.generation, r.seconds) for r in taken] == [
        (r.arch, r.psnr_y, 0, 0.0) for r in known
    ]
    Archive(tmp_path / "archive.jsonl").append(taken)
    assert reused_records(Archive(tmp_path / "archive.jsonl").records.values()) == taken
