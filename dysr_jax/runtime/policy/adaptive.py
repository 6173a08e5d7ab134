"""The default policy: the best member whose frames meet the deadline beside what else the machine runs.

*Slowdown* is a frame's time over its member's time at rest. The policy believes the second largest of the
last `window` frames: one frame per window that was slow by accident, a pause for garbage collection say, is
forgiven; a second one is believed at once (fast attack), until it leaves the window (slow release). A
member is *predicted* to take its time at rest times the slowdown.

Down: when the running member is predicted to take more than the deadline less `margin`, the best member
that is not predicted to do so runs next, however far that is, or the fastest if there is none. Its first
frame is not forgiven. Frames that wait in a queue shorten the limit so that they are caught up with.

Up: to the best member that is predicted to leave room for `hysteresis` too, `wait` frames after the last
switch at the earliest. For `trial` frames it is forgiven nothing: late once, or predicted to take too long,
it is left at once, and it and all slower members get a cooldown that doubles with each failure. A trial
that is passed takes one failure back. A cooldown ends too when the slowdown falls below that of the failed
trial by `hysteresis`: what failed, failed beside a heavier load.

Why it does not flap: let every frame take its member's time at rest, times a constant, within a factor of
1 +- e, and let (1 + e) / (1 - e) <= 1 + hysteresis (e = 4.7 % for the default). The believed slowdown stays
within the same factors, so what was stepped up to has every frame within the limit and is never left. All
steps down thus come before the first step up, and with R members there are at most 2 (R - 1) switches,
ever. Under any other load steps up are at least `wait` frames apart, and the cooldown of a member that fails
every trial is 2, 4, 8, ... times `wait` frames, `longest_wait` at most.

Times at rest are not refined. With one member running, a change of its time cannot be told from a change of
the load: what a ramp of the load teaches would be wrong, and could lock a member out. Only their
proportions count, since the slowdown may be below 1: a table that was measured beside a constant load
repairs itself within a window. A member whose time alone is understated fails its trials and cools down.
One whose time alone is overstated is tried late, or not, and once it runs is held by its own frames.
"""

import dataclasses
import heapq
import math
from collections.abc import Sequence
from typing import Any

from dysr_jax.errors import InputError
from dysr_jax.fields import from_dict, require
from dysr_jax.runtime.policy.base import MemberTiming, Observation, sort_timings


@dataclasses.dataclass(frozen=True)
class Cooldown:
    """The reason why a member is not tried now."""

    failures: int = 0  # trials that failed, less those that were passed
    until: int = 0  # the first frame at which it may be tried again
    slowdown: float = 0.0  # believed when the last trial failed


@dataclasses.dataclass(frozen=True)
class AdaptiveState:
    """Everything that the policy knows; `dataclasses.asdict` of it is JSON."""

    members: tuple[MemberTiming, ...]  # fastest first, each better than all before it
    recent: tuple[float, ...]  # slowdowns of the last frames, the newest last; 1 before the first
    cooldowns: tuple[Cooldown, ...]  # one per member
    index: int = 0  # of the member that runs
    frame: int = 0  # frames seen
    switched: int = 0  # frames seen at the last switch
    trial: int = 0  # frames left of a step up's trial
    fresh: bool = False  # the last switch was a step down, and no frame of its member was seen yet

    @classmethod
    def from_json(cls, fields: Any) -> "AdaptiveState":
        """A state from its JSON; raises `InputError` at a key or value that no state has."""
        return from_dict(cls, fields, "policy state")

    @property
    def running(self) -> MemberTiming:
        """The member that runs."""
        return self.members[self.index]

    def find(self, member: str) -> MemberTiming:
        """The member of this name; raises `InputError` if the policy does not know it."""
        for timing in self.members:
            if timing.name == member:
                return timing
        names = ", ".join(timing.name for timing in self.members)
        raise InputError(f"member {member!r}: the policy chooses among {names}")


def _front(timings: Sequence[MemberTiming]) -> tuple[MemberTiming, ...]:
    """Fastest first, without members that are no better than one at least as fast: none would be chosen."""
    front: list[MemberTiming] = []
    for timing in sort_timings(timings):
        if front and timing.psnr_y <= front[-1].psnr_y:
            continue
        if front and timing.frame_ms == front[-1].frame_ms:
            front.pop()
        front.append(timing)
    return tuple(front)


@dataclasses.dataclass(frozen=True)
class AdaptivePolicy:
    """Holds the deadline with the best member that the load allows."""

    margin: float = 0.05
    """Share of the deadline that a frame is predicted to leave free, at least."""
    hysteresis: float = 0.1
    """A step up is predicted to leave this much more: its prediction times 1 + hysteresis fits."""
    window: int = 30
    """Frames whose slowdown is remembered."""
    outliers: int = 1
    """Slow frames per window that are forgiven."""
    wait: int = 30
    """Frames after a switch before a step up."""
    longest_wait: int = 3600
    """The longest cooldown of a member after failed trials, in frames."""
    trial: int = 30
    """Frames for which a step up is on trial."""
    catch_up: int = 10
    """Frames within which a queue is to be emptied."""

    def __post_init__(self) -> None:
        require(0.0 <= self.margin < 1.0, "policy.margin", self.margin, "in [0, 1)")
        finite = 0.0 <= self.hysteresis < math.inf
        require(finite, "policy.hysteresis", self.hysteresis, "finite and at least 0")
        for name in ("window", "wait", "longest_wait", "trial", "catch_up"):
            require(getattr(self, name) >= 1, f"policy.{name}", getattr(self, name), "at least 1")
        most = self.window - 1
        require(0 <= self.outliers <= most, "policy.outliers", self.outliers, f"in [0, window - 1 = {most}]")

    def start(self, timings: Sequence[MemberTiming], deadline_ms: float, /) -> tuple[AdaptiveState, str]:
        """Begin with the best member that would be stepped up to at rest; `timings` come in any order."""
        members = _front(timings)
        state = AdaptiveState(members, (1.0,) * self.window, (Cooldown(),) * len(members))
        state = dataclasses.replace(state, index=self._best(state, self._rise_ms(deadline_ms)))
        return state, state.running.name

    def slowdown(self, state: AdaptiveState) -> float:
        """The slowdown that the policy believes in: a frame's time over that at rest."""
        return heapq.nlargest(self.outliers + 1, state.recent)[-1]

    def predict(self, state: AdaptiveState, member: str) -> float:
        """Milliseconds that a frame of the member is predicted to take."""
        return self.slowdown(state) * state.find(member).frame_ms

    def limit(self, observation: Observation) -> float:
        """Milliseconds that the next frame may be predicted to take; 0 asks for the fastest."""
        # n frames of t ms each empty a queue of q if n t = (n - q) deadlines.
        share = max(0.0, 1.0 - observation.queued / self.catch_up)
        return observation.deadline_ms * (1.0 - self.margin) * share

    def __call__(self, state: AdaptiveState, observation: Observation, /) -> tuple[AdaptiveState, str]:
        """The state after the frame, and the member of the next; raises `InputError` at an unknown member."""
        noted = self._note(state, observation)
        late = observation.late and observation.member == state.running.name
        misses = self.predict(noted, state.running.name) > self.limit(observation)
        if state.trial and (late or misses):
            noted = self._cool_down(noted, self.slowdown(state))
            index = min(self._best(noted, self.limit(observation)), state.index - 1)
        elif misses:
            index = min(self._best(noted, self.limit(observation)), state.index)
        else:
            index = self._risen(noted, observation)
        if index != noted.index:
            up = index > noted.index
            trial = self.trial if up else 0
            noted = dataclasses.replace(noted, index=index, switched=noted.frame, trial=trial, fresh=not up)
        return noted, noted.running.name

    def _note(self, state: AdaptiveState, observation: Observation) -> AdaptiveState:
        ratio = float(observation.frame_ms / state.find(observation.member).frame_ms)
        own = observation.member == state.running.name
        # What was stepped down to was thought to be fast enough: its first frame is no accident.
        copies = self.outliers + 1 if own and state.fresh and observation.late else 1
        cooldowns = state.cooldowns
        if own and state.trial == 1:  # passed: a failure less for it and all faster ones, none cools down
            passed = cooldowns[: state.index + 1]
            forgiven = tuple(Cooldown(max(cooldown.failures - 1, 0)) for cooldown in passed)
            cooldowns = forgiven + cooldowns[len(passed) :]
        return dataclasses.replace(
            state,
            recent=(*state.recent, *(ratio,) * copies)[-self.window :],
            cooldowns=cooldowns,
            frame=state.frame + 1,
            trial=max(state.trial - own, 0),
            fresh=state.fresh and not own,
        )

    def _cool_down(self, state: AdaptiveState, slowdown: float) -> AdaptiveState:
        failures = state.cooldowns[state.index].failures + 1
        frames = min(self.wait * 2**failures, self.longest_wait)
        cooldowns = list(state.cooldowns)
        cooldowns[state.index] = Cooldown(failures, state.frame + frames, slowdown)
        return dataclasses.replace(state, cooldowns=tuple(cooldowns))

    def _best(self, state: AdaptiveState, limit: float) -> int:
        """The best member before the first that cools down, predicted to take at most `limit` ms; or 0."""
        slowdown, best = self.slowdown(state), 0
        for index, (timing, cooldown) in enumerate(zip(state.members, state.cooldowns, strict=True)):
            lighter = slowdown * (1.0 + self.hysteresis) <= cooldown.slowdown
            if slowdown * timing.frame_ms > limit or (state.frame < cooldown.until and not lighter):
                break
            best = index
        return best

    def _rise_ms(self, deadline_ms: float) -> float:
        return deadline_ms * (1.0 - self.margin) / (1.0 + self.hysteresis)

    def _risen(self, state: AdaptiveState, observation: Observation) -> int:
        """The member that runs, or a better one if it is time for a step up."""
        waited = state.frame - state.switched >= self.wait
        if observation.queued or state.trial or not waited:
            return state.index
        return max(self._best(state, self._rise_ms(observation.deadline_ms)), state.index)
