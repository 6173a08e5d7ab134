"""What chooses the member of the next frame: the interface, the simplest policy, the check around any.

A policy is pure: `(state, observation) -> (state, member)`. It reads no clock, draws no random number and
touches no device, so a recorded stream can be replayed through it (`dysr_jax.runtime.policy.simulation`), and
state and trace tell why each member was chosen. Yours has the two methods of `Policy`:

    class Cautious:
        def start(self, rungs, deadline_ms):
            return rungs, rungs[0].name                     # any state, the first frame's member

        def __call__(self, rungs, seen):
            better = seen.frame_ms < 0.5 * seen.deadline_ms
            return rungs, rungs[1 if better else 0].name

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


@dataclasses.dataclass(frozen=True)
class Rung:
    """A member as a policy sees it.

    Raises:
        InputError: no name, or figures that no member has.
    """

    name: str
    frame_ms: float
    """Of a frame at rest, measured on this machine."""
    psnr_y: float
    """dB."""

    def __post_init__(self) -> None:
        if not self.name:
            raise InputError("rung '': a member has a name")
        if not 0.0 < self.frame_ms < math.inf:
            raise InputError(
                f"rung {self.name!r}: frame_ms {self.frame_ms}: allowed are finite values above 0"
            )
        if not math.isfinite(self.psnr_y):
            raise InputError(f"rung {self.name!r}: psnr_y {self.psnr_y}: allowed are finite values")


@dataclasses.dataclass(frozen=True)
class Observation:
    """The frame that was just finished.

    Raises:
        InputError: times that no frame has, or a negative number of frames.
    """

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
            value = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise InputError(f"observation.{name} {value}: allowed are finite values above 0")
        if self.queued < 0:
            raise InputError(f"observation.queued {self.queued}: allowed is 0 or more")

    @property
    def late(self) -> bool:
        """The frame took longer than its deadline."""
        return self.frame_ms > self.deadline_ms


class Policy(Protocol[S]):
    """Chooses the member of the next frame."""

    def start(self, rungs: Sequence[Rung], deadline_ms: float) -> tuple[S, str]:
        """The state before the first frame, and that frame's member; `rungs` come fastest first."""
        ...

    def __call__(self, state: S, observation: Observation, /) -> tuple[S, str]:
        """The state after a frame, and the member of the next frame to begin."""
        ...


@dataclasses.dataclass(frozen=True)
class FixedPolicy:
    """Always the same member, whatever it takes."""

    member: str
    """A member's name, however it is spelled; `fastest` or `best`."""

    def start(self, rungs: Sequence[Rung], deadline_ms: float) -> tuple[str, str]:
        """The state is the member's name."""
        best = max(rungs, key=lambda rung: rung.psnr_y)
        ends = {"fastest": rungs[0].name, "best": best.name}
        name = ends.get(self.member) or find_name(self.member, [rung.name for rung in rungs])
        return name, name

    def __call__(self, state: str, observation: Observation, /) -> tuple[str, str]:
        """As at the start."""
        return state, state


def find_name(name: str, names: Sequence[str]) -> str:
    """The one of `names` that a name means, however an arch is spelled; else the name itself."""
    if name in names:
        return name
    canonical = canonical_name(name)
    return canonical if canonical in names else name


def sort_rungs(rungs: Iterable[Rung]) -> tuple[Rung, ...]:
    """Fastest first, of equal times the worse first.

    Raises:
        InputError: there are none, or two of one name.
    """
    ordered = tuple(sorted(rungs, key=lambda rung: (rung.frame_ms, rung.psnr_y, rung.name)))
    names = [rung.name for rung in ordered]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names:
        raise InputError("rungs is empty: a policy needs a member to choose")
    if twice:
        raise InputError(f"rungs: {', '.join(twice)} there more than once; names are unique")
    return ordered


@dataclasses.dataclass(frozen=True)
class CheckedPolicy(Generic[S]):
    """A policy over its rungs, held to naming only these: what a stream runs."""

    policy: Policy[S]
    rungs: tuple[Rung, ...]
    """Fastest first."""

    def start(self, deadline_ms: float) -> tuple[S, str]:
        """The state before the first frame, and that frame's member.

        Raises:
            InputError: the deadline is none, or the policy names a member that is not among the rungs.
        """
        if not 0.0 < deadline_ms < math.inf:
            raise InputError(f"deadline_ms {deadline_ms}: allowed are finite values above 0")
        return self._check(self.policy.start(self.rungs, deadline_ms))

    def __call__(self, state: S, observation: Observation) -> tuple[S, str]:
        """The state after a frame, and the member of the next.

        Raises:
            InputError: the policy names a member that is not among the rungs.
        """
        return self._check(self.policy(state, observation))

    def _check(self, answer: Any) -> tuple[S, str]:
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise InputError(f"{self._who} returned {answer!r}: expected (state, member)")
        names = [rung.name for rung in self.rungs]
        name = find_name(answer[1], names)
        if name not in names:
            raise InputError(f"{self._who}: member {answer[1]!r}: allowed are {', '.join(names)}")
        return answer[0], name

    @property
    def _who(self) -> str:
        return f"policy {type(self.policy).__name__}"


def checked(policy: Policy[S], rungs: Iterable[Rung]) -> CheckedPolicy[S]:
    """The policy over these rungs, given in any order; a member it makes up is refused.

    Raises:
        InputError: no rungs, or two of one name.
    """
    return CheckedPolicy(policy, sort_rungs(rungs))
