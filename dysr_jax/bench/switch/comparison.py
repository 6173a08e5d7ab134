"""The strategies of the switch experiment: each gets ready in a process of its own, and they take turns."""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

import numpy as np
from tqdm import tqdm

from dysr_jax.bench.switch.result import FailedStrategy, MemberTimes, Outcome, StrategyResult
from dysr_jax.bench.switch.servers import find_strategy
from dysr_jax.bench.switch.weights_store import WeightsStore
from dysr_jax.bench.switch.worker import Child, ChildError, StrategyWorker, SwitchTiming
from dysr_jax.errors import InputError

TURN_SWITCHES: Final = 20  # switches per turn of a child


def missed_frames(seconds: float, period: float) -> int:
    """Number of frames that are missed during a frame of this duration, if one is due every period."""
    return max(0, math.ceil(seconds / period) - 1)


def _percentiles(timings: Sequence[SwitchTiming]) -> dict[str, Any]:
    """Milliseconds of first frames after a switch, and of steady ones."""
    first = [1e3 * one.first for one in timings]
    steady = [1e3 * seconds for one in timings for seconds in one.steady]
    kinds = {"steady_ms": steady, "switch_ms": first}
    times = {f"{kind}_p{q}": float(np.percentile(ms, q)) for kind, ms in kinds.items() for q in (50, 99)}
    return {**times, "switches": len(first), "steady_frames": len(steady)}


def strategy_times(timings: Sequence[SwitchTiming], names: Sequence[str], fps: float) -> dict[str, Any]:
    """The times of a `StrategyResult`, by field. Each switch has at least one steady frame after it."""
    own = {name: [one for one in timings if one.member == name] for name in names}
    members = tuple(MemberTimes(name, **_percentiles(each)) for name, each in own.items() if each)
    limit = {member.name: member.steady_ms_p99 for member in members}
    ratios = np.array([1e3 * one.first / limit[one.member] for one in timings])
    host_us = [1e6 * one.host for one in timings]
    after_switch = sum(missed_frames(one.first, 1 / fps) for one in timings)
    others = sum(missed_frames(seconds, 1 / fps) for one in timings for seconds in one.steady)
    return {
        **_percentiles(timings),
        "switch_over_steady_p99": float(np.percentile(ratios, 99)),
        "within_steady_p99": float(np.mean(ratios <= 1)),
        "host_us": float(np.median(host_us)),
        "host_us_p99": float(np.percentile(host_us, 99)),
        "missed_frames": after_switch + others,
        "missed_after_switch": after_switch,
        "members": members,
    }


class Setup(NamedTuple):
    """What is measured."""

    store: WeightsStore
    frame: tuple[int, int]
    fps: float
    path: list[str]  # members in the order of the switches, the one to start from first
    steady: int  # frames after the first one, before the next switch


class _Run:
    """A strategy, its child and what it took; after a failure only the reason."""

    def __init__(self, stack: ExitStack, name: str, setup: Setup) -> None:
        self.name = name
        given = (name, setup.store, setup.frame, setup.store.folder / name)
        self._child = stack.enter_context(Child(StrategyWorker, *given))
        self.fields: dict[str, Any] = {"ready_warm_s": None}
        self.timings: list[SwitchTiming] = []
        self.compilations = 0
        self.failed = ""

    def ask(self, method: str, *given: Any) -> Any:
        """The child's answer; None once it has failed, which ends this run and no other."""
        try:
            return None if self.failed else self._child.call(method, *given)
        except (ChildError, InputError) as error:
            self.fail(str(error))

    def fail(self, reason: str) -> None:
        """End the child and keep the reason."""
        self.failed = reason
        self._child.__exit__()

    def result(self) -> Outcome:
        """What was measured, or why it was not."""
        if self.failed:
            return FailedStrategy(self.name, self.failed)
        return StrategyResult(self.name, compilations=self.compilations, **self.fields)


def compare(stack: ExitStack, setup: Setup, names: Sequence[str], bar: tqdm) -> tuple[Outcome, ...]:
    """What each strategy took; they take turns, `stack` ends their children, `bar` advances by a switch."""
    runs = _start(stack, names, setup)
    for run in runs:  # with nothing compiled
        bar.set_description(f"{run.name} gets ready")
        run.fields["ready_s"] = run.ask("ready")
        run.fields["max_abs_diff"] = run.ask("max_abs_diff")
    bar.set_description("getting ready once more")
    cached = [run for run in runs if find_strategy(run.name).cached and not run.failed]
    with ExitStack() as others:  # in other processes, with what the first ones left on disk
        for run, other in zip(cached, _start(others, [run.name for run in cached], setup), strict=True):
            run.fields["ready_warm_s"] = other.ask("ready")
            if other.failed:
                run.fail(other.failed)
    bar.unpause()  # its rate is that of switches
    for start in range(0, len(setup.path) - 1, TURN_SWITCHES):
        part = setup.path[start : start + TURN_SWITCHES + 1]
        for run in runs:
            bar.set_description(run.name)
            if answer := run.ask("time_switches", part, setup.steady):
                run.timings += answer[0]
                run.compilations += answer[1]
            bar.update(len(part) - 1)
    for run in runs:
        if sizes := run.ask("bytes"):
            run.fields |= {**strategy_times(run.timings, setup.store.names, setup.fps), **sizes}
    return tuple(run.result() for run in runs)


def _start(stack: ExitStack, names: Sequence[str], setup: Setup) -> list[_Run]:
    """Start a child per strategy, all at once; none is used before all are up and sleep."""
    runs = [_Run(stack, name, setup) for name in names]
    for run in runs:
        run.ask("is_up")
    return runs
