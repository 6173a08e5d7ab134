"""The clock: every moment is of one part; its file survives a kill."""

import dataclasses
import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dysr_jax.errors import InputError
from dysr_jax.search.archive import Record
from dysr_jax.search.clock import (
    AFTER,
    BEFORE,
    CLOCK_FILE,
    PARTS,
    Clock,
    Lap,
    Laps,
    PartSeconds,
    search_times,
    timed_stage,
)

LAPS = [
    Lap(BEFORE, 0, PartSeconds(latency=3.5)),
    Lap(0, 6, PartSeconds(compile=1 / 3, evaluate=0.1 + 0.2)),
    Lap(1, 2, PartSeconds(evaluate=1e-17, other=2.0)),
]


class Time:
    """A clock on the wall that stands still until it is moved."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)


@pytest.fixture
def wall(monkeypatch):
    return Time(monkeypatch)


@pytest.fixture
def path(tmp_path):
    return tmp_path / CLOCK_FILE


@pytest.fixture
def written(path):
    laps = Laps(path)
    for lap in LAPS:
        laps.append(lap)
    return path


def test_a_part_within_a_part_is_taken_out_of_it(wall):
    clock = Clock()
    wall.now += 1
    with clock.part("schedule"):
        wall.now += 2
        with clock.part("evaluate"):
            wall.now += 4
        wall.now += 8
    wall.now += 16
    assert clock.lap() == PartSeconds(schedule=10, evaluate=4, other=17)
    assert clock.lap() == PartSeconds()


def test_a_part_that_fails_ends_too(wall):
    clock = Clock()
    with pytest.raises(KeyError), clock.part("write"):
        wall.now += 1
        raise KeyError
    wall.now += 2
    assert clock.lap() == PartSeconds(write=1, other=2)


def test_a_lap_within_a_part_begins_the_next_with_it(wall):
    clock = Clock()
    with clock.part("write"):
        wall.now += 1
        assert clock.lap() == PartSeconds(write=1)
        wall.now += 2
    assert clock.lap() == PartSeconds(write=2)


moves = st.recursive(
    st.floats(0, 1e3), lambda inner: st.lists(st.tuples(st.sampled_from(PARTS), inner), max_size=4)
)


@given(moves)
def test_parts_add_up_to_the_time_that_passed(steps):
    with pytest.MonkeyPatch.context() as patch:
        wall, expected = Time(patch), dict.fromkeys(PARTS, 0.0)
        clock = Clock()

        def go(step, part):
            if isinstance(step, float):
                wall.now += step
                expected[part] += step
                return
            for name, inner in step:
                with clock.part(name):
                    go(inner, name)

        go(steps, "other")
        passed, lap = wall.now - 100.0, clock.lap()
    assert lap.total == pytest.approx(passed, abs=1e-6)
    assert dataclasses.asdict(lap) == pytest.approx(expected, abs=1e-6)


def test_laps_come_back(written):
    laps = Laps(written, write=False)
    assert list(laps.by_stage.values()) == LAPS
    assert laps.generations() == LAPS[1:]
    rows = [json.loads(line) for line in written.read_text().splitlines()]
    assert [list(row) for row in rows] == [["stage", "evaluated", "seconds"]] * len(LAPS)
    assert all(tuple(row["seconds"]) == PARTS for row in rows)


def test_the_later_line_of_a_stage_counts(written):
    again = Lap(0, 0, PartSeconds(other=1.0))
    Laps(written).append(again)
    found = Laps(written, write=False)
    assert found.by_stage[0] == again and len(found.by_stage) == len(LAPS)
    assert [lap.stage for lap in found.generations()] == [0, 1]


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_cut_short_is_dropped_and_appending_goes_on(written, cut):
    content = written.read_bytes()
    written.write_bytes(content[:-cut])
    laps = Laps(written)
    assert list(laps.by_stage.values()) == LAPS[:2]
    laps.append(LAPS[2])
    assert written.read_bytes() == content


ROW = {"stage": 0, "evaluated": 1, "seconds": {"other": 1.0}}


@pytest.mark.parametrize(
    "row",
    [
        *([], 7, {}, {**ROW, "stage": "dinner"}, {**ROW, "stage": -1}, {**ROW, "stage": 0.5}),
        *({**ROW, "evaluated": -1}, {**ROW, "evaluated": "1"}, {**ROW, "seconds": 3}),
        *({**ROW, "seconds": {"other": value}} for value in (-1.0, float("nan"), "1")),
        {**ROW, "seconds": {"dinner": 1.0}},
    ],
)
def test_a_damaged_line_is_named(written, row):
    lines = written.read_text().splitlines()
    lines[1] = json.dumps(row)
    written.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=r"^clock '.*search_clock\.jsonl': line 2 is damaged$"):
        Laps(written)


def test_who_does_not_write_leaves_no_file(path):
    laps = Laps(path, write=False)
    laps.append(LAPS[0])
    assert laps.by_stage == {BEFORE: LAPS[0]} and not path.exists()


def test_a_stage_of_its_own(wall, tmp_path):
    with timed_stage(tmp_path, AFTER, "members") as clock:
        wall.now += 2
        with clock.part("write"):
            wall.now += 1
    expected = Lap(AFTER, 0, PartSeconds(members=2, write=1))
    assert Laps(tmp_path / CLOCK_FILE).by_stage == {AFTER: expected}


def test_a_stage_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), timed_stage(tmp_path, AFTER, "members"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_times_are_sums():
    records = [Record("", (i,), 0.0, 0.0, 0, 0.05) for i in range(8)]
    times = search_times(LAPS, records)
    table = np.array([dataclasses.astuple(lap.seconds) for lap in LAPS])
    np.testing.assert_allclose(dataclasses.astuple(times.seconds), table.sum(0))
    assert times.total == pytest.approx(table.sum())
    assert times.evaluated == 8
    assert times.wall_candidates_per_second == pytest.approx(8 / table.sum())
    assert times.candidates_per_second == pytest.approx(20.0)


def test_nothing_timed_has_no_times():
    assert search_times([], [Record("", (0,), 0.0, 0.0, 0, 0.1)]) is None
    assert search_times(LAPS, []) is None
