"""Where a search's time goes by the wall clock: named parts, appended to a file of the run per generation."""

import contextlib
import dataclasses
import json
import math
import operator
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from etils import epath

from dysr_jax.errors import InputError
from dysr_jax.fields import from_dict
from dysr_jax.search.archive import JsonLines, Record, candidates_per_second

CLOCK_FILE: Final = "search_clock.jsonl"
BEFORE, AFTER = "latency", "members"
"""The stages of a search that are no generations: what comes before the first, and after the last."""


@dataclasses.dataclass(frozen=True)
class PartSeconds:
    """Seconds of the wall clock by part: what the host did or waited for, so that no second counts twice."""

    compile: float = 0.0  # the search program, and NSGA-II's own
    schedule: float = 0.0  # on the host: partition, tiles, their way to the devices
    evaluate: float = 0.0  # dispatch, and waiting for the devices
    nsga2: float = 0.0  # ask and tell
    surrogate: float = 0.0  # fitting, proposing and screening, where a surrogate or the additive method asks
    latency: float = 0.0  # probing the device for the latency table
    members: float = 0.0  # choosing, compiling and measuring members
    write: float = 0.0  # archive, state, bundle, figures
    other: float = 0.0

    @property
    def total(self) -> float:
        """The sum of all parts."""
        return sum(dataclasses.astuple(self))


PARTS: Final = tuple(field.name for field in dataclasses.fields(PartSeconds))


class Clock:
    """Charges every moment since it was made to one part: the innermost `part` that is open, else `other`."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._part, self._since = "other", time.perf_counter()

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Charge a block to one of `PARTS`, but for the parts within it."""
        outer = self._turn(name)
        try:
            yield
        finally:
            self._turn(outer)

    def _turn(self, name: str) -> str:
        now = time.perf_counter()
        self._seconds[self._part] += now - self._since
        before, self._part, self._since = self._part, name, now
        return before

    def lap(self) -> PartSeconds:
        """What was charged since the last lap, or since the clock was made."""
        self._turn(self._part)
        seconds, self._seconds = self._seconds, dict.fromkeys(PARTS, 0.0)
        return PartSeconds(**seconds)


class Lap(NamedTuple):
    """A stage's time."""

    stage: int | str  # number of a generation, from 0; or `BEFORE`, `AFTER`
    evaluated: int  # candidates that were new in it
    seconds: PartSeconds


class Laps:
    """The laps of a run by stage, kept as the archive is; of several lines of one stage the last counts.

    Processes that only read set `write` to False. Raises `InputError`: a line that is whole and no lap.
    """

    def __init__(self, path: epath.PathLike, *, write: bool = True) -> None:
        self._lines = JsonLines(path, write=write)
        self.by_stage: dict[int | str, Lap] = {}
        for number, line in enumerate(self._lines.found, 1):
            try:
                lap = _parse(line)
            except (ValueError, TypeError, KeyError, RecursionError, OverflowError, InputError):
                raise InputError(f"clock {os.fspath(path)!r}: line {number} is damaged") from None
            self.by_stage[lap.stage] = lap

    def append(self, lap: Lap) -> None:
        """Write a lap to the end of the file and wait until it is on disk."""
        self._lines.append([{**lap._asdict(), "seconds": dataclasses.asdict(lap.seconds)}])
        self.by_stage[lap.stage] = lap

    def generations(self) -> list[Lap]:
        """Those of generations, in their order."""
        return [self.by_stage[stage] for stage in sorted(s for s in self.by_stage if isinstance(s, int))]


def _parse(line: bytes) -> Lap:
    fields = json.loads(line)
    stage, evaluated = fields["stage"], operator.index(fields["evaluated"])
    stage = stage if stage in (BEFORE, AFTER) else operator.index(stage)
    seconds = from_dict(PartSeconds, fields["seconds"], "seconds")
    sane = all(math.isfinite(spent) and spent >= 0 for spent in dataclasses.astuple(seconds))
    if not sane or evaluated < 0 or (isinstance(stage, int) and not 0 <= stage < 2**31):
        raise ValueError
    return Lap(stage, evaluated, seconds)


@contextlib.contextmanager
def timed_stage(run: epath.PathLike, stage: str, part: str) -> Iterator[Clock]:
    """Keep the time of a block as a stage's lap in a run's folder; it is of `part`, but for parts within."""
    clock = Clock()
    with clock.part(part):
        yield clock
    Laps(epath.Path(run) / CLOCK_FILE).append(Lap(stage, 0, clock.lap()))


@dataclasses.dataclass(frozen=True)
class SearchTimes:
    """Where a whole search's time went."""

    seconds: PartSeconds
    total: float  # seconds: the sum of the parts
    evaluated: int  # candidates in that time
    wall_candidates_per_second: float  # over the total: from the first probe to the last member
    candidates_per_second: float  # the evaluator's own: over scheduling and evaluation alone


def search_times(laps: Iterable[Lap], records: Sequence[Record]) -> SearchTimes | None:
    """The sum of laps, beside the rate of evaluation of all records; None where nothing was timed."""
    kept = list(laps)
    sums = {name: math.fsum(getattr(lap.seconds, name) for lap in kept) for name in PARTS}
    seconds, evaluated = PartSeconds(**sums), sum(lap.evaluated for lap in kept)
    if not records or not seconds.total:
        return None
    wall = evaluated / seconds.total
    return SearchTimes(seconds, seconds.total, evaluated, wall, candidates_per_second(records))
