"""The default policy: what it promises, over random ladders, deadlines and loads."""

import dataclasses
import itertools
import json
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dysr_jax.errors import InputError
from dysr_jax.runtime.policy.adaptive import AdaptivePolicy, AdaptiveState, Cooldown
from dysr_jax.runtime.policy.base import MemberTiming, Observation
from dysr_jax.runtime.policy.simulation import simulate

POLICY = AdaptivePolicy()
DEADLINE = 1000 / 30
NOISE = 0.04
"""Within what the hysteresis of the defaults covers: (1 + e) / (1 - e) <= 1.1."""
TIMINGS = tuple(MemberTiming(f"{ms}", float(ms), 27 + i / 10) for i, ms in enumerate((5, 8, 12, 17, 22, 27)))


@st.composite
def tables(draw):
    times = draw(st.lists(st.floats(0.5, 80.0), min_size=1, max_size=8))
    psnr = draw(st.lists(st.floats(24.0, 34.0), min_size=len(times), max_size=len(times)))
    if draw(st.booleans()):  # a front, as bundles have it
        times, psnr = sorted(times), sorted(psnr)
    return [MemberTiming(f"m{i}", *figures) for i, figures in enumerate(zip(times, psnr, strict=True))]


deadlines = st.sampled_from([1000 / 60, 1000 / 30, 1000 / 24, 1000.0])
levels = st.floats(0.3, 5.0)


@st.composite
def segments(draw):
    """Some frames of a load: a step, a ramp, a square wave, or one with spikes; noise on all."""
    frames, level, other = draw(st.integers(1, 80)), draw(levels), draw(levels)
    period = draw(st.integers(1, 40))
    shape = draw(st.sampled_from(["step", "ramp", "square", "spikes"]))
    noise = draw(st.lists(st.floats(1 - NOISE, 1 + NOISE), min_size=4, max_size=4))
    share = {
        "step": lambda i: 0.0,
        "ramp": lambda i: i / frames,
        "square": lambda i: i // period % 2,
        "spikes": lambda i: 3.0 * (i % period == 0),
    }[shape]
    return [
        (level + share(i) * (other if shape == "spikes" else other - level)) * noise[i * i % 4]
        for i in range(frames)
    ]


traces = st.lists(segments(), min_size=1, max_size=5).map(lambda parts: list(itertools.chain(*parts)))


def play(loads, timings, *, policy=POLICY, deadline=DEADLINE, truth=None, state=None, queued=None):
    """Yield each frame's observation and the state after it; no queue unless one is given."""
    rest = truth or {timing.name: timing.frame_ms for timing in timings}
    if state is None:
        state, _ = policy.start(timings, deadline)
    for i, load in enumerate(loads):
        member = state.running.name
        waiting = queued[i] if queued else 0
        seen = Observation(rest[member] * load, member, deadline, waiting)
        state, chosen = policy(state, seen)
        assert chosen == state.running.name
        yield seen, state


def end(loads, timings, **options):
    """The state after the last load."""
    *_, (_, state) = play(loads, timings, **options)
    return state


def switches(states, first):
    indices = [first, *(state.index for state in states)]
    return [(a, b) for a, b in itertools.pairwise(indices) if a != b]


@settings(max_examples=60)
@given(tables(), deadlines, traces, st.data())
def test_what_is_chosen_is_predicted_to_fit_or_is_the_fastest(timings, deadline, loads, data):
    queued = data.draw(st.lists(st.integers(0, 12), min_size=len(loads), max_size=len(loads)))
    for seen, state in play(loads, timings, deadline=deadline, queued=queued):
        fits = POLICY.predict(state, state.running.name) <= POLICY.limit(seen)
        assert fits or state.index == 0


@given(tables())
def test_the_members_are_the_front(timings):
    state, member = POLICY.start(timings, DEADLINE)

    def beaten(one):
        return any(
            (other.frame_ms <= one.frame_ms and other.psnr_y > one.psnr_y)
            or (other.frame_ms < one.frame_ms and other.psnr_y == one.psnr_y)
            for other in timings
        )

    figures = {(timing.frame_ms, timing.psnr_y) for timing in state.members}
    assert figures == {(timing.frame_ms, timing.psnr_y) for timing in timings if not beaten(timing)}
    assert len(figures) == len(state.members)
    assert list(state.members) == sorted(state.members, key=lambda timing: timing.frame_ms)
    assert member == state.running.name


@settings(max_examples=60)
@given(tables(), deadlines, levels)
def test_a_constant_load(timings, deadline, load):
    """At rest within a window and a wait, on the best member that fits, up to the hysteresis."""
    states = [state for _, state in play([load] * 400, timings, deadline=deadline)]
    settled = states[POLICY.window + POLICY.wait :]
    assert len({state.index for state in settled}) == 1
    limit = deadline * (1 - POLICY.margin)
    members, index = settled[0].members, settled[0].index
    assert index == 0 or members[index].frame_ms * load <= limit * (1 + 1e-12)
    for timing in members[index + 1 :]:
        assert timing.frame_ms * load > limit / (1 + POLICY.hysteresis) * (1 - 1e-12)


@st.composite
def noises(draw):
    """400 frames of bounded noise, in stretches that are all low or all high as well."""
    values = st.one_of(st.sampled_from([-NOISE, NOISE]), st.floats(-NOISE, NOISE))
    stretches = st.lists(st.tuples(values, st.integers(1, 70)), min_size=1, max_size=12)
    noise = [value for value, frames in draw(stretches) for _ in range(frames)]
    return list(itertools.islice(itertools.cycle(noise), 400))


@given(tables(), deadlines, st.floats(0.85, 1.15), noises(), st.data())
def test_a_constant_load_with_noise_does_not_flap(timings, deadline, factor, noise, data):
    # Beside this load one of the members fits just so, or just not.
    limit = deadline * (1 - POLICY.margin)
    load = factor * limit / data.draw(st.sampled_from(timings)).frame_ms
    loads = [load * (1 + x) for x in noise]
    states = [state for _, state in play(loads, timings, deadline=deadline)]
    first, _ = POLICY.start(timings, deadline)
    steps = switches(states, first.index)
    assert len(steps) <= 2 * (len(first.members) - 1)
    ups = [b > a for a, b in steps]
    assert ups == sorted(ups)  # no step down after a step up
    # The member that fits whatever the noise does is reached.
    surely = limit / (1 + POLICY.hysteresis) / (1 + NOISE)
    assert states[-1].index >= sum(timing.frame_ms * load <= surely for timing in first.members) - 1


@given(tables(), deadlines, traces)
def test_steps_up_are_apart_under_any_load(timings, deadline, loads):
    found = simulate(POLICY, timings, deadline, loads)
    first, _ = POLICY.start(timings, deadline)
    order = {timing.name: i for i, timing in enumerate(first.members)}
    indices = [order[decision.member] for decision in found]
    changed = [i for i, (a, b) in enumerate(itertools.pairwise(indices)) if a != b]
    for i in changed:
        if indices[i + 1] > indices[i]:
            assert i + 1 - max((j + 1 for j in changed if j < i), default=0) >= POLICY.wait


@settings(max_examples=60)
@given(tables(), traces, levels, st.booleans(), st.data())
def test_frames_that_are_late_after_a_step_of_the_load(timings, before, load, noisy, data):
    """Two, or three with noise; whatever went before."""
    assume(min(timing.frame_ms for timing in timings) * load * (1 + NOISE) < DEADLINE * 0.9)
    state = end(before, timings)
    noise = data.draw(st.lists(st.floats(-NOISE, NOISE), min_size=60, max_size=60))
    loads = [load * (1 + x * noisy) for x in noise]
    late = [seen.late for seen, _ in play(loads, timings, state=state)]
    assert sum(late) <= 2 + noisy


@settings(max_examples=60)
@given(tables(), deadlines, traces, st.integers(0, 400))
def test_a_state_goes_through_json(timings, deadline, loads, cut):
    played = list(play(loads, timings, deadline=deadline))
    _, state = played[min(cut, len(played) - 1)]
    read = AdaptiveState.from_json(json.loads(json.dumps(dataclasses.asdict(state))))
    assert read == state
    rest = loads[min(cut, len(played) - 1) + 1 :]
    assert list(play(rest, timings, deadline=deadline, state=read)) == played[len(played) - len(rest) :]


@settings(max_examples=60)
@given(tables(), traces, st.randoms())
def test_the_order_of_the_rungs_does_not_matter(timings, loads, random):
    shuffled = random.sample(timings, len(timings))
    assert simulate(POLICY, shuffled, DEADLINE, loads) == simulate(POLICY, timings, DEADLINE, loads)


@given(st.floats(1.5, 50.0), st.integers(0, 29))
def test_one_slow_frame_is_forgiven_and_two_are_not(size, apart):
    states = [s for _, s in play([1.0] * 40 + [size] + [1.0] * 40, TIMINGS)]
    assert {state.index for state in states} == {5}
    loads = [1.0] * 40 + [size] + [1.0] * apart + [size]
    *before, last = (state for _, state in play(loads, TIMINGS))
    assert {state.index for state in before} == {5}
    fits = [timing.frame_ms * size <= DEADLINE * 0.95 for timing in TIMINGS]
    assert last.index == (max(sum(fits) - 1, 0) if apart < POLICY.window - 1 else 5)


def test_a_pause_with_its_queue_costs_a_rung_not_all():
    found = simulate(POLICY, TIMINGS, DEADLINE, [1.0] * 40 + [100 / 27] + [1.0] * 200)
    after = found[41:]
    assert {decision.member for decision in after} == {"27", "22"}
    assert [decision.queued for decision in after[8:]] == [0] * 192
    assert [decision.member for decision in after].index("27") == POLICY.wait
    assert {decision.member for decision in after[POLICY.wait :]} == {"27"}


@pytest.mark.parametrize(("queued", "index"), [(0, 5), (1, 5), (3, 4), (5, 2), (9, 0), (500, 0)])
def test_a_queue_shortens_the_limit(queued, index):
    assert end([1.0], TIMINGS, queued=[queued]).index == index


def test_nobody_steps_up_while_frames_wait():
    loads = [1.0] * 40 + [4.0] * 3 + [1.0] * 100
    states = [s for _, s in play(loads, TIMINGS, queued=[0] * 43 + [1] * 100)]
    assert states[-1].index == states[43].index < 5


@given(st.floats(0.4, 3.0))
def test_a_table_measured_beside_a_load_repairs_itself(factor):
    """Only the proportions count: all times off by a factor, the same member in the end."""
    truth = {timing.name: timing.frame_ms for timing in TIMINGS}
    table = [dataclasses.replace(timing, frame_ms=timing.frame_ms * factor) for timing in TIMINGS]
    assert end([1.0] * 100, table, truth=truth).running.name == "27"


def test_a_rung_that_is_slower_than_its_table_is_tried_ever_less():
    truth = {timing.name: timing.frame_ms for timing in TIMINGS} | {"27": 50.0}
    played = list(play([1.0] * 7000, TIMINGS, truth=truth))
    late = [i for i, (seen, _) in enumerate(played) if seen.late]
    assert 6 <= len(late) <= 9
    gaps = [b - a for a, b in itertools.pairwise(late[1:])]
    assert all(b >= 1.9 * a for a, b in itertools.pairwise(gaps[:5]))
    assert {state.running.name for _, state in played[100:]} == {"27", "22"}


def test_a_cooldown_ends_when_the_load_does():
    """27 fails beside a load that hits it more than the others, and is tried as soon as that is gone."""
    beside = {timing.name: timing.frame_ms * 1.05 for timing in TIMINGS} | {"27": 40.0}
    cooling = end([1.0] * 3000, TIMINGS, truth=beside)
    assert cooling.running.name == "22"
    assert cooling.cooldowns[5].until > cooling.frame + 300
    assert end([0.95] * 300, TIMINGS, truth=beside, state=cooling).running.name == "22"
    lighter = end([0.9] * POLICY.window, TIMINGS, state=cooling)
    assert (lighter.running.name, lighter.frame) == ("27", cooling.frame + POLICY.window)


def test_a_passed_trial_takes_a_failure_back():
    truth = {timing.name: timing.frame_ms for timing in TIMINGS}
    failed = end([1.0] * 300, TIMINGS, truth=truth | {"27": 50.0})
    assert failed.cooldowns[5].failures >= 2
    state = end([1.0] * 1000, TIMINGS, truth=truth, state=failed)
    assert state.running.name == "27"
    assert state.cooldowns[5] == Cooldown(failed.cooldowns[5].failures - 1)


@pytest.mark.parametrize(("added", "late", "member"), [(15.0, 2, "12"), (20.0, 3, "8")])
def test_a_load_that_costs_every_frame_the_same(added, late, member):
    """Not a factor but milliseconds on top: the smaller the member, the larger its slowdown."""
    state, found = POLICY.start(TIMINGS, DEADLINE)[0], 0
    for i in range(400):
        ms = state.running.frame_ms + (added if i >= 50 else 0.0)
        state, _ = POLICY(state, Observation(ms, state.running.name, DEADLINE))
        found += ms > DEADLINE
    # 17 would take 32 and 37 ms; the first frame that is late after a step down is believed.
    assert (found, state.running.name) == (late, member)


def _tried(policy):
    """27 was left beside a load, the load is gone, and it was stepped up to just now."""
    state = end([1.25] * 40, TIMINGS, policy=policy)
    assert state.running.name == "22"
    while state.running.name == "22":
        state = end([1.0], TIMINGS, policy=policy, state=state)
    assert (state.running.name, state.trial) == ("27", policy.trial)
    return state


@pytest.mark.parametrize("ms", [22.0, 100.0])
def test_a_trial_is_of_the_member_that_is_tried(ms):
    """A frame still in flight of the member before neither passes nor fails it."""
    for left in (POLICY.trial, 1):
        state = dataclasses.replace(_tried(POLICY), trial=left, cooldowns=(Cooldown(failures=2),) * 6)
        after, member = POLICY(state, Observation(ms, "22", DEADLINE))
        assert (member, after.trial, after.cooldowns) == ("27", left, state.cooldowns)


def test_a_trial_ends_at_the_first_late_frame():
    state = end([1.3], TIMINGS, state=_tried(POLICY))
    assert (state.running.name, state.cooldowns[5].failures) == ("22", 1)
    assert end([1.0] * 2 * POLICY.wait, TIMINGS, state=state).running.name == "27"
    assert end([1.0] * (2 * POLICY.wait - 1), TIMINGS, state=state).running.name == "22"


def test_nobody_steps_up_further_on_trial():
    policy = AdaptivePolicy(window=5, wait=2, trial=20)
    state = _tried(policy)
    members = (*state.members, MemberTiming("28", 28.0, 30.0))
    state = dataclasses.replace(state, members=members, cooldowns=(*state.cooldowns, Cooldown()))
    state = end([1.0] * 19, members, policy=policy, state=state)
    assert state.running.name == "27"
    assert end([1.0], members, policy=policy, state=state).running.name == "28"


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_frames_in_flight(depth):
    """A frame is judged by the member that made it, which need not be the last chosen."""
    state, name = POLICY.start(TIMINGS, DEADLINE)
    flight, late, chosen = [name] * depth, 0, []
    for i in range(300):
        load = 2.0 if 50 <= i < 150 else 1.0
        member = flight.pop(0)
        ms = load * {timing.name: timing.frame_ms for timing in TIMINGS}[member]
        state, name = POLICY(state, Observation(ms, member, DEADLINE))
        flight.append(name)
        chosen.append(name)
        late += ms > DEADLINE
    assert late == 1 + depth
    assert (chosen[60], chosen[149], chosen[-1]) == ("12", "12", "27")
    assert sum(a != b for a, b in itertools.pairwise(chosen)) == 2


def test_a_deadline_that_changes():
    state, _ = POLICY.start(TIMINGS, DEADLINE)
    chosen = []
    for i in range(200):
        deadline = 1000 / 60 if 50 <= i < 100 else DEADLINE
        state, name = POLICY(state, Observation(state.running.frame_ms, state.running.name, deadline))
        chosen.append(name)
    assert (chosen[49], chosen[50], chosen[99], chosen[-1]) == ("27", "12", "12", "27")


def test_without_tolerance_the_first_slow_frame_is_believed():
    policy = AdaptivePolicy(outliers=0)
    assert end([1.0] * 40 + [2.0], TIMINGS, policy=policy).running.name == "12"


def test_a_frame_of_a_stranger():
    state, _ = POLICY.start(TIMINGS, DEADLINE)
    with pytest.raises(InputError, match="member 'x': the policy chooses among 5, 8, 12, 17, 22, 27"):
        POLICY(state, Observation(1.0, "x", DEADLINE))
    with pytest.raises(InputError, match="member 'x'"):
        POLICY.predict(state, "x")


def test_a_state_that_is_none():
    state, _ = POLICY.start(TIMINGS, DEADLINE)
    fields = dataclasses.asdict(state)
    with pytest.raises(InputError, match="policy state: unknown key 'speed'"):
        AdaptiveState.from_json(json.loads(json.dumps(fields | {"speed": 1})))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": 1.0}, r"policy.margin 1.0: must be in \[0, 1\)"),
        ({"margin": -0.1}, "policy.margin -0.1"),
        ({"margin": math.nan}, "policy.margin nan"),
        ({"hysteresis": -0.1}, "policy.hysteresis -0.1: must be finite and at least 0"),
        ({"hysteresis": math.inf}, "policy.hysteresis inf"),
        ({"window": 0}, "policy.window 0: must be at least 1"),
        ({"wait": 0}, "policy.wait 0"),
        ({"longest_wait": 0}, "policy.longest_wait 0"),
        ({"trial": 0}, "policy.trial 0"),
        ({"catch_up": 0}, "policy.catch_up 0"),
        ({"outliers": -1}, "policy.outliers -1"),
        ({"outliers": 30}, r"policy.outliers 30: must be in \[0, window - 1 = 29\]"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        AdaptivePolicy(**options)
