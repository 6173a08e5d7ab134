"""The default policy: the best member whose frames meet the deadline beside what else the machine runs.

*Slowdown* is a frame's time over its member's time at rest. The policy believes the second largest of the
last `window` frames: one frame a window that was slow by accident, a pause for garbage collection say, is
forgiven; a second one is believed at once (fast attack), until it leaves the window (slow release). A
member is *predicted* to take its time at rest times the slowdown.

Down: when the running member is predicted to take more than the deadline less `margin`, the best member
that is not predicted to do so runs next, however many rungs that is, or the fastest if there is none. Its
first frame is not forgiven. Frames that wait in a queue shorten the limit so that they are caught up with.

Up: to the best member that is predicted to leave room for `hysteresis` too, `wait` frames after the last
switch at the earliest. For `trial` frames it is forgiven nothing: late once, or predicted to take too long,
it is left at once, and it and all slower members are barred for a time that doubles with each failure. A
trial that is passed takes one failure back. A bar falls too when the slowdown falls below that of the
failed trial by `hysteresis`: what failed, failed beside a heavier load.

Why it does not flap: let every frame take its member's time at rest, times a constant, within a factor of
1 +- e, and let (1 + e) / (1 - e) <= 1 + hysteresis (e = 4.7 % for the default). The believed slowdown stays
within the same factors, so what was stepped up to has every frame within the limit and is never left. All
steps down thus come before the first step up, and with R members there are at most 2 (R - 1) switches,
ever. Under any other load steps up are at least `wait` frames apart, and a member that fails every trial is
barred for 2, 4, 8, ... times `wait` frames, `longest_wait` at most.

Times at rest are not refined. With one member running, a change of its time cannot be told from a change of
the load: what a ramp of the load teaches would be wrong, and could lock a member out. Only their
proportions count, since the slowdown may be below 1: a table that was measured beside a constant load
repairs itself within a window. A member whose time alone is understated fails its trials and is barred.
One whose time alone is overstated is tried late, or not, and once it runs is held by its own frames.

What the default policy remembers: the ladder, the last slowdowns, and which rungs failed a trial.
"""

import dataclasses
import heapq
import math
from collections.abc import Iterable, Sequence
from typing import Any

from dysr_jax.errors import InputError
from dysr_jax.fields import from_dict
from dysr_jax.runtime.policy.base import Observation, Rung, sort_rungs


@dataclasses.dataclass(frozen=True)
class Bar:
    """Why a rung is not to be tried now."""

    failures: int = 0
    """Trials that failed, less those that were passed."""
    until: int = 0
    """Frame before which it is barred."""
    slowdown: float = 0.0
    """Believed when the last trial failed."""


@dataclasses.dataclass(frozen=True)
class AdaptiveState:
    """Everything that the policy knows; `dataclasses.asdict` of it is JSON."""

    ladder: tuple[Rung, ...]
    """Fastest first, each better than all before it."""
    recent: tuple[float, ...]
    """Slowdowns of the last frames, the newest last; 1 for those before the first."""
    bars: tuple[Bar, ...]
    """A rung each."""
    index: int = 0
    """Of the rung that runs."""
    frame: int = 0
    """Frames seen."""
    switched: int = 0
    """Frames seen at the last switch."""
    trial: int = 0
    """Frames left of a step up's trial."""
    fresh: bool = False
    """The last switch was a step down, and no frame of its rung was seen yet."""

    @classmethod
    def from_json(cls, fields: Any) -> "AdaptiveState":
        """A state from its JSON.

        Raises:
            InputError: a key or value that no state has.
        """
        return from_dict(cls, fields, "policy state")

    @property
    def rung(self) -> Rung:
        """The rung that runs."""
        return self.ladder[self.index]

    def find(self, member: str) -> Rung:
        """The rung of this name.

        Raises:
            InputError: it is not in the ladder.
        """
        for rung in self.ladder:
            if rung.name == member:
                return rung
        names = ", ".join(rung.name for rung in self.ladder)
        raise InputError(f"member {member!r}: the policy's ladder has {names}")


def begin(rungs: Iterable[Rung], window: int) -> AdaptiveState:
    """The state before the first frame, on the fastest rung; nothing is known but the rungs.

    Rungs that are no better than a faster one, or than one as fast, are left out: none would be chosen.

    Raises:
        InputError: no rungs, or two of one name.
    """
    ladder: list[Rung] = []
    for rung in sort_rungs(rungs):
        if ladder and rung.psnr_y <= ladder[-1].psnr_y:
            continue
        if ladder and rung.frame_ms == ladder[-1].frame_ms:
            ladder.pop()
        ladder.append(rung)
    return AdaptiveState(tuple(ladder), (1.0,) * window, (Bar(),) * len(ladder))


def with_bar(state: AdaptiveState, bar: Bar) -> AdaptiveState:
    """The state with the running rung's bar replaced."""
    bars = (*state.bars[: state.index], bar, *state.bars[state.index + 1 :])
    return dataclasses.replace(state, bars=bars)


def forgiven(state: AdaptiveState) -> AdaptiveState:
    """The running rung passed its trial: one failure less for it and all faster ones, none barred."""
    bars = tuple(
        Bar(max(bar.failures - 1, 0)) if index <= state.index else bar for index, bar in enumerate(state.bars)
    )
    return dataclasses.replace(state, bars=bars)


@dataclasses.dataclass(frozen=True)
class AdaptivePolicy:
    """Holds the deadline with the best member that the load allows.

    Raises:
        InputError: an option out of its range.
    """

    margin: float = 0.05
    """Share of the deadline that a frame is predicted to leave free, at least."""
    hysteresis: float = 0.1
    """A step up is predicted to leave this much more: its prediction times 1 + hysteresis fits."""
    window: int = 30
    """Frames whose slowdown is remembered."""
    outliers: int = 1
    """Slow frames a window that are forgiven."""
    wait: int = 30
    """Frames after a switch before a step up."""
    longest_wait: int = 3600
    """Frames that a member is barred at most after failed trials."""
    trial: int = 30
    """Frames for which a step up is on trial."""
    catch_up: int = 10
    """Frames within which a queue is to be emptied."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.margin < 1.0:
            raise InputError(f"policy.margin {self.margin}: allowed is 0 to below 1")
        if not 0.0 <= self.hysteresis < math.inf:
            raise InputError(f"policy.hysteresis {self.hysteresis}: allowed are finite values of 0 or more")
        for name in ("window", "wait", "longest_wait", "trial", "catch_up"):
            if getattr(self, name) < 1:
                raise InputError(f"policy.{name} {getattr(self, name)}: allowed is 1 or more")
        if not 0 <= self.outliers < self.window:
            raise InputError(
                f"policy.outliers {self.outliers}: allowed is 0 to policy.window - 1 = {self.window - 1}"
            )

    def start(self, rungs: Sequence[Rung], deadline_ms: float) -> tuple[AdaptiveState, str]:
        """Begin with the best rung that would be risen to at rest.

        Raises:
            InputError: no rungs, or two of one name.
        """
        state = begin(rungs, self.window)
        index = self._best(state, self._rise_ms(deadline_ms))
        state = dataclasses.replace(state, index=index)
        return state, state.rung.name

    def slowdown(self, state: AdaptiveState) -> float:
        """What the policy believes of the machine: a frame's time over that at rest."""
        return heapq.nlargest(self.outliers + 1, state.recent)[-1]

    def predict(self, state: AdaptiveState, member: str) -> float:
        """Milliseconds that a frame of the member is predicted to take.

        Raises:
            InputError: the member is not in the ladder.
        """
        return self.slowdown(state) * state.find(member).frame_ms

    def limit(self, observation: Observation) -> float:
        """Milliseconds that the next frame may be predicted to take; 0 asks for the fastest."""
        # n frames of t ms each empty a queue of q if n t = (n - q) deadlines.
        share = max(0.0, 1.0 - observation.queued / self.catch_up)
        return observation.deadline_ms * (1.0 - self.margin) * share

    def __call__(self, state: AdaptiveState, observation: Observation, /) -> tuple[AdaptiveState, str]:
        """The state after the frame, and the member of the next.

        Raises:
            InputError: the frame was made by a member that is not in the ladder.
        """
        noted = self._note(state, observation)
        late = observation.late and observation.member == state.rung.name
        misses = self.predict(noted, state.rung.name) > self.limit(observation)
        if state.trial and (late or misses):
            noted = self._bar(noted, self.slowdown(state))
            index = min(self._best(noted, self.limit(observation)), state.index - 1)
        elif misses:
            index = min(self._best(noted, self.limit(observation)), state.index)
        else:
            index = self._risen(noted, observation)
        noted = self._switched(noted, index)
        return noted, noted.rung.name

    def _note(self, state: AdaptiveState, observation: Observation) -> AdaptiveState:
        """The state with the frame in it; the member stays."""
        ratio = float(observation.frame_ms / state.find(observation.member).frame_ms)
        own = observation.member == state.rung.name
        # What was stepped down to was thought to be fast enough: its first frame is no accident.
        copies = self.outliers + 1 if own and state.fresh and observation.late else 1
        if own and state.trial == 1:
            state = forgiven(state)
        return dataclasses.replace(
            state,
            recent=(*state.recent, *(ratio,) * copies)[-self.window :],
            frame=state.frame + 1,
            trial=max(state.trial - own, 0),
            fresh=state.fresh and not own,
        )

    def _bar(self, state: AdaptiveState, slowdown: float) -> AdaptiveState:
        failures = state.bars[state.index].failures + 1
        frames = min(self.wait * 2**failures, self.longest_wait)
        return with_bar(state, Bar(failures, state.frame + frames, slowdown))

    def _best(self, state: AdaptiveState, limit: float) -> int:
        """The best rung below the first barred one that is predicted to take `limit` ms, or 0."""
        slowdown, best = self.slowdown(state), 0
        for index, (rung, bar) in enumerate(zip(state.ladder, state.bars, strict=True)):
            lighter = slowdown * (1.0 + self.hysteresis) <= bar.slowdown
            if slowdown * rung.frame_ms > limit or (state.frame < bar.until and not lighter):
                break
            best = index
        return best

    def _rise_ms(self, deadline_ms: float) -> float:
        return deadline_ms * (1.0 - self.margin) / (1.0 + self.hysteresis)

    def _risen(self, state: AdaptiveState, observation: Observation) -> int:
        """The rung that runs, or a better one if it is time for a step up."""
        waited = state.frame - state.switched >= self.wait
        if observation.queued or state.trial or not waited:
            return state.index
        return max(self._best(state, self._rise_ms(observation.deadline_ms)), state.index)

    def _switched(self, state: AdaptiveState, index: int) -> AdaptiveState:
        if index == state.index:
            return state
        up = index > state.index
        trial = self.trial if up else 0
        return dataclasses.replace(state, index=index, switched=state.frame, trial=trial, fresh=not up)
