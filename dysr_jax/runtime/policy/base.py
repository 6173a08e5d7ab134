"""What chooses the member of the next frame: the interface, the simplest policy, the check around any.

A policy is pure: `(state, observation) -> (state, member)`. It reads no clock, draws no random number and
touches no device, so a recorded stream can be replayed through it (`dysr_jax.runtime.policy.simulation`), and
state and trace tell why each member was chosen. Yours has the two methods of `Policy`:

    class Cautious:
        def start(self, timings, deadline_ms):
            return timings, timings[0].name                 # any state, the first frame's member

        def __call__(self, timings, seen):
            better = seen.frame_ms < 0.5 * seen.deadline_ms
            return timings, timings[1 if better else 0].name

    policy = Cautious()      # dysr stream ... --policy cautious:policy, if this is cautious.py
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from dysr_jax.errors import InputError
from dysr_jax.model import canonical_name

S = TypeVar("S")
"""A policy's state. JSON of `dataclasses.asdict` goes into traces where it is a dataclass."""


def _check_positive(what: str, value: float) -> None:
    if not 0.0 < value < math.inf:
        raise InputError(f"{what} must be finite and above 0, got {value}")


@dataclasses.dataclass(frozen=True)
class MemberTiming:
    """A member as a policy sees it: how long a frame takes, and how good it is."""

    name: str
    frame_ms: float
    """Of a frame at rest, measured on this machine."""
    psnr_y: float
    """dB."""

    def __post_init__(self) -> None:
        if not self.name:
            raise InputError("timing '': a member has a name")
        _check_positive(f"timing {self.name!r}: frame_ms", self.frame_ms)
        if not math.isfinite(self.psnr_y):
            raise InputError(f"timing {self.name!r}: psnr_y must be finite, got {self.psnr_y}")


@dataclasses.dataclass(frozen=True)
class Observation:
    """The frame that was just finished."""

    frame_ms: float
    """What it took, without waiting for its turn."""
    member: str
    """What made it. With several frames in flight that may be the member before the last switch."""
    deadline_ms: float
    """Time from a frame to the next, 1000 / fps."""
    queued: int = 0
    """Frames that ought to have been begun by now and still wait; frames read ahead do not count."""

    def __post_init__(self) -> None:
        for name in ("frame_ms", "deadline_ms"):
            _check_positive(f"observation.{name}", getattr(self, name))
        if self.queued < 0:
            raise InputError(f"observation.queued must be at least 0, got {self.queued}")

    @property
    def late(self) -> bool:
        """The frame took longer than its deadline."""
        return self.frame_ms > self.deadline_ms


class Policy(Protocol[S]):
    """Chooses the member of the next frame."""

    def start(self, timings: Sequence[MemberTiming], deadline_ms: float, /) -> tuple[S, str]:
        """The state before the first frame, and that frame's member; `timings` come fastest first."""
        ...

    def __call__(self, state: S, observation: Observation, /) -> tuple[S, str]:
        """The state after a frame, and the member of the next frame to begin."""
        ...


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
    """Fastest first, of equal times the worse first.

    Raises:
        InputError: there are none, or two of one name.
    """
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
    """A policy that is held to naming only members with a timing: what a stream runs.

    Its two methods raise `InputError` where the policy names another member.
    """

    policy: Policy[S]
    timings: tuple[MemberTiming, ...]
    """Fastest first."""

    def start(self, deadline_ms: float) -> tuple[S, str]:
        """The state before the first frame, and that frame's member."""
        _check_positive("deadline_ms", deadline_ms)
        return self._check(self.policy.start(self.timings, deadline_ms))

    def __call__(self, state: S, observation: Observation) -> tuple[S, str]:
        """The state after a frame, and the member of the next."""
        return self._check(self.policy(state, observation))

    def _check(self, answer: Any) -> tuple[S, str]:
        who = f"policy {type(self.policy).__name__}"
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise InputError(f"{who} returned {answer!r}: must be (state, member)")
        names = [timing.name for timing in self.timings]
        name = _find_name(answer[1], names)
        if name not in names:
            raise InputError(f"{who}: member {answer[1]!r}: must be one of {', '.join(names)}")
        return answer[0], name


def checked(policy: Policy[S], timings: Iterable[MemberTiming]) -> CheckedPolicy[S]:
    """The policy over members in any order; a member that it makes up is refused.

    Raises:
        InputError: no members, or two of one name.
    """
    return CheckedPolicy(policy, sort_timings(timings))
