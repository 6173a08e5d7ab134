"""A stream without a device: loads, written down or recorded, replayed through a policy, and its score."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from dysr_jax.errors import InputError
from dysr_jax.fields import require
from dysr_jax.runtime.policy.base import CheckedPolicy, MemberTiming, Observation, Policy

_ROUNDING_FRAMES = 1e-9  # times are sums of floats


@dataclasses.dataclass(frozen=True)
class Decision:
    """A frame of a simulated stream."""

    member: str
    psnr_y: float  # of that member, dB
    frame_ms: float  # the member's time at rest, times the load
    late: bool  # it took longer than the deadline
    behind_ms: float  # from its deadline to its end: what frames before it left behind counts too
    queued: int  # frames that waited when it was finished


class StreamScore(NamedTuple):
    """A simulated stream in four figures."""

    late: int  # frames that took longer than the deadline
    behind: int  # frames finished after it; what a viewer sees who is shown every frame
    switches: int
    psnr_y: float  # mean over the frames, dB


def simulate(
    policy: Policy[Any], timings: Iterable[MemberTiming], deadline_ms: float, loads: Sequence[float]
) -> list[Decision]:
    """Play a live stream: a frame comes every `deadline_ms`, none is dropped, one is made at a time.

    `timings` come in any order; `loads` are each frame's times over those at rest. Bad values are refused.
    """
    for load in loads:
        require(0.0 < load < math.inf, "loads", load, "finite and above 0")
    running = CheckedPolicy(policy, tuple(timings))
    members = {timing.name: timing for timing in running.timings}
    state, name = running.start(deadline_ms)
    done_ms, decisions = 0.0, []
    for frame, load in enumerate(loads):
        frame_ms = members[name].frame_ms * load
        done_ms = max(done_ms, frame * deadline_ms) + frame_ms
        queued = max(0, math.ceil(done_ms / deadline_ms - _ROUNDING_FRAMES) - 1 - frame)
        seen = Observation(frame_ms, name, deadline_ms, queued)
        behind_ms = max(0.0, done_ms - (frame + 1) * deadline_ms)
        decisions.append(Decision(name, members[name].psnr_y, frame_ms, seen.late, behind_ms, queued))
        state, name = running(state, seen)
    return decisions


def score(decisions: Sequence[Decision]) -> StreamScore:
    """Late frames, switches and mean PSNR-Y; raises `InputError` where there are no decisions."""
    if not decisions:
        raise InputError("decisions is empty: a stream of no frames has no score")
    return StreamScore(
        late=sum(decision.late for decision in decisions),
        behind=sum(decision.queued > 0 for decision in decisions),
        switches=sum(a.member != b.member for a, b in itertools.pairwise(decisions)),
        psnr_y=math.fsum(decision.psnr_y for decision in decisions) / len(decisions),
    )


def recorded_loads(timings: Iterable[MemberTiming], observations: Iterable[Observation]) -> list[float]:
    """The loads of a stream that ran: each frame's time over its member's time at rest."""
    rest_ms = {timing.name: timing.frame_ms for timing in timings}
    loads = []
    for seen in observations:
        require(seen.member in rest_ms, "member", seen.member, f"one of {', '.join(rest_ms)}")
        loads.append(seen.frame_ms / rest_ms[seen.member])
    return loads
