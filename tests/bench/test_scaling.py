"""Efficiencies are those of the measured times; every count of devices has a row."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from dysr_jax.bench import scaling
from dysr_jax.bench.scaling import bench_scaling
from dysr_jax.bench.setup import Setup
from dysr_jax.config import SpaceConfig
from dysr_jax.errors import InputError
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.train.config import TrainConfig

POPULATION, STEPS = 2, 2


@pytest.fixture(scope="module")
def config(tiny):
    """Of two archs and the plainest recipe, because every count of devices compiles a training step."""
    space = SpaceConfig(slots=1, widths=(4,), scale=2, branches=("id", "c3"), upsamplers=("u1",))
    recipe = dataclasses.replace(tiny.search, population=POPULATION)
    train = dataclasses.replace(tiny.train, random_archs=1, distill=0.0)
    return dataclasses.replace(tiny, space=space, search=recipe, train=train)


@pytest.mark.long
def test_rows_of_what_is_measured(config):
    result = bench_scaling(dataclasses.replace(config, devices=2), steps=STEPS, rounds=1).to_json()
    assert set(result) == {"device", "space", "batch", "population", "dtype", "scaling"}
    assert result["batch"] == "2 patches of 12x12 per device"
    assert result["population"] == "2 per device"
    rows = result["scaling"]
    assert [row["devices"] for row in rows] == [1, 2]
    for row in rows:
        count = row["devices"]
        assert set(row) == {
            *("devices", "step_ms", "groups_per_second", "step_efficiency", "arch_wait"),
            *("candidates_per_second", "computed", "candidate_efficiency"),
        }
        assert row["step_ms"] * row["groups_per_second"] == pytest.approx(1e3 * count)
        groups = row["groups_per_second"] / rows[0]["groups_per_second"]
        assert row["step_efficiency"] == pytest.approx(groups / count)
        candidates = row["candidates_per_second"] / rows[0]["candidates_per_second"]
        work = row["computed"] / rows[0]["computed"]  # what a larger population shares is no work
        assert row["candidate_efficiency"] == pytest.approx(candidates / count * work)


MS = {
    "step 1": 6.0,
    "step 2": 8.0,
    "step 3": 12.0,
    "step 4": 24.0,
    "candidates 1": 10.0,
    "candidates 2": 10.0,
    "candidates 3": 40.0,
    "candidates 4": 20.0,
}


@pytest.fixture
def planted(monkeypatch):
    """No device works: the times of a chunk and of a dispatch are made up."""
    asked = {}

    def median_ms(calls, rounds):
        asked.update(rounds=rounds, calls=list(calls))
        return {name: MS[name] for name in calls}

    monkeypatch.setattr(scaling, "device_table", lambda *_: (None, False))
    monkeypatch.setattr(scaling, "branch_ms", lambda *_: None)
    monkeypatch.setattr(scaling, "_training", lambda *_: None)
    monkeypatch.setattr(scaling, "_evaluation", lambda *_: None)
    monkeypatch.setattr(scaling, "computed_share", lambda *_: 1.0)
    monkeypatch.setattr(scaling, "_arch_wait", lambda *_: 0.0)
    monkeypatch.setattr(scaling, "median_ms", median_ms)
    return asked


def test_rates_and_efficiencies_of_planted_times(config, planted):
    result = bench_scaling(dataclasses.replace(config, devices=3), steps=STEPS, rounds=7)
    assert planted["rounds"] == 7
    assert sorted(planted["calls"]) == sorted(name for name in MS if "4" not in name)
    names = ("devices", "step_ms", "groups_per_second", "step_efficiency")
    names = (*names, "candidates_per_second", "candidate_efficiency")
    found = [tuple(getattr(row, name) for name in names) for row in result.scaling]
    assert found == [
        pytest.approx(row)
        for row in (
            (1, 3.0, 1000 / 3, 1.0, 200.0, 1.0),
            (2, 4.0, 500.0, 0.75, 400.0, 1.0),
            (3, 6.0, 500.0, 0.5, 150.0, 0.25),
        )
    ]


def test_rows_for_1_2_4_devices(config, planted):
    assert len(jax.devices()) == 4
    rows = bench_scaling(config, steps=STEPS).scaling
    assert [row.devices for row in rows] == [1, 2, 4]
    assert [row.step_efficiency for row in rows] == [1.0, 0.75, 0.25]
    assert [row.candidate_efficiency for row in rows] == [1.0, 1.0, 0.5]


def test_what_a_larger_population_shares_is_no_work_done(config, planted, monkeypatch):
    share = {POPULATION: 1.0, 2 * POPULATION: 0.5}
    monkeypatch.setattr(scaling, "computed_share", lambda _, genes: share[len(genes)])
    rows = bench_scaling(dataclasses.replace(config, devices=2), steps=STEPS).scaling
    assert [row.candidate_efficiency for row in rows] == [1.0, 0.5]


def test_one_group_waits_for_nobody_and_more_wait_longer():
    space = uniform_space(slots=6, widths=4, scale=2, branches=("id", "s3", "c3"), upsamplers=("u1",))
    setup = Setup(make_supernet(space, "float32"), [], [], [])
    table = jnp.array([[0.0, 1.0, 4.0]] * 6 + [[1.0] * 3])

    def costs(archs):
        return table[jnp.arange(7), archs].sum(-1)

    waits = [scaling._arch_wait(setup, TrainConfig(), groups, costs) for groups in (1, 2, 8)]
    assert waits[0] == pytest.approx(0.0, abs=1e-6)
    assert 0.0 < waits[1] < waits[2] < 0.2
    assert scaling._arch_wait(setup, TrainConfig(), 2, lambda archs: 0.0 * costs(archs)) == 0.0
    assert scaling._arch_wait(setup, TrainConfig(archs="patch"), 8, costs) == 0.0


def test_one_device_is_a_row(config, planted):
    (row,) = bench_scaling(dataclasses.replace(config, devices=1), steps=STEPS).scaling
    assert (row.devices, row.step_efficiency, row.candidate_efficiency) == (1, 1.0, 1.0)


@pytest.mark.parametrize(
    ("change", "asked", "message"),
    [
        ({}, {"steps": 0}, "^steps 0: must be at least 1$"),
        ({}, {"rounds": 0}, "^rounds 0: must be at least 1$"),
        ({"devices": 5}, {}, r"^devices 5: must be in \[1, 4\]$"),
        ({"devices": -1}, {}, r"^devices -1: must be in \[1, 4\]$"),
    ],
)
def test_what_cannot_be_measured(config, change, asked, message):
    with pytest.raises(InputError, match=message):
        bench_scaling(dataclasses.replace(config, **change), **asked)
