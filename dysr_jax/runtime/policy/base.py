"""What chooses the member of the next frame: the interface, the simplest policy, the check around any.

A policy is pure: `(state, observation) -> (state, member)`. It reads no clock, draws no random number and
touches no device, so a recorded stream can be replayed through it (`dysr_jax.runtime.policy.simulation`), and
state and trace tell why each member was chosen. Yours has the two methods of `Policy`: see
docs/howto/policy.md.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from dysr_jax.errors import InputError
from dysr_jax.fields import require
from dysr_jax.model import canonical_name

S = TypeVar("S")  # A policy's state. JSON of `dataclasses.asdict` goes into traces where it is a dataclass


def _require_positive(what: str, value: float) -> None:
    require(0.0 < value < math.inf, what, value, "finite and above 0")


@dataclasses.dataclass(frozen=True)
class MemberTiming:
    """A member as a policy sees it: how long a frame takes, and how good it is."""

    name: str
    frame_ms: float
    """Of a frame at rest, measured on this machine."""
    psnr_y: float
    """dB."""

    def __post_init__(self) -> None:
        require(bool(self.name), "timing", self.name, "of a member with a name")
        _require_positive(f"timing {self.name!r}: frame_ms", self.frame_ms)
        require(math.isfinite(self.psnr_y), f"timing {self.name!r}: psnr_y", self.psnr_y, "finite")


@dataclasses.dataclass(frozen=True)
class Observation:
    """The frame that was just finished."""

    frame_ms: float
    """Its time, without waiting for its turn."""
    member: str
    """The member that made it; with several frames in flight perhaps the one before the last switch."""
    deadline_ms: float
    """Time from a frame to the next, 1000 / fps."""
    queued: int = 0
    """Frames that are due and still wait; frames read ahead do not count."""

    def __post_init__(self) -> None:
        for name in ("frame_ms", "deadline_ms"):
            _require_positive(f"observation.{name}", getattr(self, name))
        require(self.queued >= 0, "observation.queued", self.queued, "at least 0")

    @property
    def late(self) -> bool:
        """The frame took longer than its deadline."""
        return self.frame_ms > self.deadline_ms


class Policy(Protocol[S]):
    """Chooses the member of the next frame."""

    def start(self, timings: Sequence[MemberTiming], deadline_ms: float, /) -> tuple[S, str]:
        """The state before the first frame, and that frame's member; `timings` come fastest first."""

    def __call__(self, state: S, observation: Observation, /) -> tuple[S, str]:
        """The state after a frame, and the member of the next frame to begin."""


@dataclasses.dataclass(frozen=True)
class FixedPolicy:
    """Always the same member, whatever it takes."""

    member: str
    """A member's name in any spelling; `fastest` or `best`."""

    def start(self, timings: Sequence[MemberTiming], deadline_ms: float, /) -> tuple[str, str]:
        """The state is the member's name."""
        best = max(timings, key=lambda timing: timing.psnr_y)
        ends = {"fastest": timings[0].name, "best": best.name}
        name = ends.get(self.member) or _find_name(self.member, [timing.name for timing in timings])
        return name, name

    def __call__(self, state: str, observation: Observation, /) -> tuple[str, str]:
        """As at the start."""
        return state, state


def _find_name(name: str, names: Sequence[str]) -> str:
    """The one of `names` that a name means, however an arch is spelled; else the name itself."""
    if name in names:
        return name
    canonical = canonical_name(name)
    return canonical if canonical in names else name


def sort_timings(timings: Iterable[MemberTiming]) -> tuple[MemberTiming, ...]:
    """Sorted fastest first, of equal times the worse first. An empty list and equal names are refused."""
    ordered = tuple(sorted(timings, key=lambda timing: (timing.frame_ms, timing.psnr_y, timing.name)))
    names = [timing.name for timing in ordered]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names:
        raise InputError("timings is empty: a policy needs a member to choose")
    if twice:
        raise InputError(f"timings: {', '.join(twice)} there more than once; names must be unique")
    return ordered


@dataclasses.dataclass(frozen=True)
class CheckedPolicy(Generic[S]):
    """A policy over members, given in any order: what a stream runs.

    Raises `InputError` if there are no members or two of one name, and if the policy names another one.
    """

    policy: Policy[S]
    timings: Sequence[MemberTiming]
    """Fastest first."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "timings", sort_timings(self.timings))

    def start(self, deadline_ms: float) -> tuple[S, str]:
        """The state before the first frame, and that frame's member."""
        _require_positive("deadline_ms", deadline_ms)
        return self._check(self.policy.start(self.timings, deadline_ms))

    def __call__(self, state: S, observation: Observation) -> tuple[S, str]:
        """The state after a frame, and the member of the next."""
        return self._check(self.policy(state, observation))

    def _check(self, answer: Any) -> tuple[S, str]:
        who = f"policy {type(self.policy).__name__}"
        pair = isinstance(answer, tuple) and len(answer) == 2
        require(pair, f"{who} returned", answer, "(state, member)")
        names = [timing.name for timing in self.timings]
        name = _find_name(answer[1], names)
        require(name in names, f"{who}: member", answer[1], f"one of {', '.join(names)}")
        return answer[0], name
