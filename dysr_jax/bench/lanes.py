"""The lanes of the switch experiment: a strategy in each, which gets ready and takes turns."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from tqdm import tqdm

from dysr_jax.bench.children import Child, ChildError
from dysr_jax.bench.contestant import Contestant, Taken, Turn
from dysr_jax.bench.switch_rows import times_row
from dysr_jax.errors import InputError
from dysr_jax.runtime.baselines.shelf import Shelf
from dysr_jax.runtime.baselines.strategies import STRATEGIES

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


def contest(
    stack: contextlib.ExitStack, plan: Plan, names: Sequence[str], bar: tqdm
) -> list[dict[str, Any]]:
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
