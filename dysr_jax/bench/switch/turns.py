"""The lanes of the switch experiment: a strategy in each, which gets ready and takes turns.

From the times of frames to the rows of the switch experiment.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from tqdm import tqdm

from dysr_jax.bench.switch.process import Child, ChildError
from dysr_jax.bench.switch.reload import Shelf
from dysr_jax.bench.switch.servers import STRATEGIES
from dysr_jax.bench.switch.worker import Contestant, Taken, Turn
from dysr_jax.errors import InputError


def missed(seconds: float, period: float) -> int:
    """Frames that a frame of this duration leaves out, when one is due every period."""
    return max(0, math.ceil(seconds / period) - 1)


def member_row(name: str, taken: Sequence[Taken]) -> dict[str, Any]:
    """Milliseconds of one member's frames: after switches to it, and the others."""
    first = [1e3 * one.first for one in taken]
    steady = [1e3 * seconds for one in taken for seconds in one.steady]
    return {
        "name": name,
        **_percentiles("steady_ms", steady),
        **_percentiles("switch_ms", first),
        "switches": len(first),
        "steady_frames": len(steady),
    }


def times_row(taken: Sequence[Taken], names: Sequence[str], fps: float) -> dict[str, Any]:
    """What is told of a strategy's times.

    A first frame is compared with the steady frames of the same member, because members take different times:
    `switch_over_steady_p99` is the 99th percentile of their ratio to that member's steady p99, and
    `within_steady_p99` the share of first frames that take no longer (0.99 of steady frames do not).

    Args:
        taken: every switch, with at least one steady frame after it.
        names: the members; those that no switch went to get no row.
        fps: frames a second that are due.
    """
    own = {name: [one for one in taken if one.member == name] for name in names}
    rows = [member_row(name, of_member) for name, of_member in own.items() if of_member]
    steady = [1e3 * seconds for one in taken for seconds in one.steady]
    limit = {row["name"]: row["steady_ms_p99"] for row in rows}
    ratios = np.array([1e3 * one.first / limit[one.member] for one in taken])
    after_switch = sum(missed(one.first, 1 / fps) for one in taken)
    others = sum(missed(seconds, 1 / fps) for one in taken for seconds in one.steady)
    return {
        **_percentiles("steady_ms", steady),
        **_percentiles("switch_ms", [1e3 * one.first for one in taken]),
        "switch_over_steady_p99": float(np.percentile(ratios, 99)),
        "within_steady_p99": float(np.mean(ratios <= 1)),
        "host_us": 1e6 * float(np.median([one.host for one in taken])),
        "host_us_p99": 1e6 * float(np.percentile([one.host for one in taken], 99)),
        "missed_frames": after_switch + others,
        "missed_after_switch": after_switch,
        "switches": len(taken),
        "steady_frames": len(steady),
        "members": rows,
    }


def _percentiles(name: str, values: Sequence[float]) -> dict[str, float]:
    return {f"{name}_p{q}": float(np.percentile(values, q)) for q in (50, 99)}


TURN: Final = 20
"""Switches that a child makes before the next one's turn."""


class Plan(NamedTuple):
    """What is measured."""

    shelf: Shelf
    frame: tuple[int, int]
    fps: float
    path: list[str]
    """Members in the order of the switches, the one to start from first."""
    steady: int


class Lane:
    """A strategy, its child and what it took; after a failure only the reason."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.child: Child | None = None
        self.row: dict[str, Any] = {"name": name}
        self.taken: list[Taken] = []
        self.compilations = 0

    def fail(self, reason: str) -> None:
        """End the child, and keep nothing but why."""
        self.row = {"name": self.name, "failed": reason}
        if self.child is not None:
            self.child.__exit__()
        self.child = None


@contextlib.contextmanager
def _reported(lane: Lane) -> Iterator[None]:
    """What goes wrong in a child ends its lane and no other."""
    try:
        yield
    except (ChildError, InputError) as error:
        lane.fail(str(error))


def contest(stack: contextlib.ExitStack, plan: Plan, names: Sequence[str], bar: tqdm) -> list[dict[str, Any]]:
    """Start all, let them take turns, and tell of each: a row a name.

    Args:
        stack: ends the children.
        plan: what is measured.
        names: of the strategies.
        bar: advances by a switch.
    """
    lanes = [Lane(name) for name in names]
    _start(stack, lanes, plan)
    for lane in lanes:
        bar.set_description(f"{lane.name} gets ready")
        with _reported(lane):
            _get_ready(lane)
    bar.set_description("getting ready once more")
    with contextlib.ExitStack() as others:
        _repeat(others, lanes, plan)
    bar.unpause()  # its rate is that of switches
    for start in range(0, len(plan.path) - 1, TURN):
        part = plan.path[start : start + TURN + 1]
        for lane in lanes:
            bar.set_description(lane.name)
            _turn(lane, part, plan.steady)
            bar.update(len(part) - 1)
    for lane in lanes:
        with _reported(lane):
            _finish(lane, plan)
    return [lane.row for lane in lanes]


def _start(stack: contextlib.ExitStack, lanes: Sequence[Lane], plan: Plan) -> None:
    """A child a lane: all at once, and none is asked for anything before all are up and sleep."""
    for lane in lanes:
        given = (lane.name, plan.shelf, plan.frame, plan.shelf.folder / lane.name)
        lane.child = stack.enter_context(Child(Contestant, *given))
    for lane in lanes:
        assert lane.child is not None
        with _reported(lane):
            lane.child.ask("is_up")


def _get_ready(lane: Lane) -> None:
    """With nothing compiled."""
    if lane.child is not None:
        lane.row["ready_s"] = lane.child.ask("ready")
        lane.row["ready_warm_s"] = None
        lane.row["levels_off"] = lane.child.ask("levels_off")


def _repeat(stack: contextlib.ExitStack, lanes: Sequence[Lane], plan: Plan) -> None:
    """Get ready once more, in other processes, with what the first ones left on disk."""
    cached = [lane for lane in lanes if lane.child is not None and STRATEGIES[lane.name].cached]
    others = [Lane(lane.name) for lane in cached]
    _start(stack, others, plan)
    for lane, other in zip(cached, others, strict=True):
        with _reported(lane):
            if other.child is None:
                raise ChildError(other.row["failed"])
            lane.row["ready_warm_s"] = other.child.ask("ready")


def _turn(lane: Lane, part: list[str], steady: int) -> None:
    if lane.child is None:
        return
    with _reported(lane):
        turn: Turn = lane.child.ask("turn", part, steady)
        lane.taken += turn.taken
        lane.compilations += turn.compilations


def _finish(lane: Lane, plan: Plan) -> None:
    if lane.child is None:
        return
    lane.row |= {
        **times_row(lane.taken, plan.shelf.names, plan.fps),
        "compilations": lane.compilations,
        **lane.child.ask("bytes"),
    }
