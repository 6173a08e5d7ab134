"""Ready executables within a number and a number of bytes; the least recently used go first."""

import dataclasses
import itertools
import threading
from collections.abc import Mapping, Sequence

from dysr_jax.errors import InputError
from dysr_jax.runtime.executables import Executable
from dysr_jax.runtime.memory import Memory
from dysr_jax.runtime.program import Program


@dataclasses.dataclass
class Entry:
    """An executable, what a call of it takes, and when it was last used."""

    executable: Executable
    workspace: int
    """Bytes of temporaries, frame and result."""
    used: int = 0
    """By the count of all uses."""


class Held:
    """Executables by program. Any thread may read while another one adds.

    Args:
        weights: bytes of the resident weights.
        keep: how many executables are held; None: all.
        budget: bytes of weights, executables and the largest workspace together; None: no limit.

    Raises:
        InputError: the weights alone are more than the budget, or `keep` is below 1.
    """

    def __init__(self, *, weights: int, keep: int | None, budget: int | None) -> None:
        if keep is not None and keep < 1:
            raise InputError(f"keep {keep!r}: must be at least 1, or None for all")
        if budget is not None and weights > budget:
            raise InputError(f"budget {budget} bytes: the weights alone are {weights} bytes")
        self._weights = weights
        self._keep = keep
        self._budget = budget
        self._entries: dict[Program, Entry] = {}
        self._clock = itertools.count()
        self._changing = threading.Lock()

    def get(self, program: Program) -> Executable | None:
        """The executable, which counts as used now; waits for nobody."""
        entry = self._entries.get(program)
        if entry is None:
            return None
        entry.used = next(self._clock)
        return entry.executable

    def __contains__(self, program: Program) -> bool:
        """Whether it is ready."""
        return program in self._entries

    def programs(self) -> list[Program]:
        """What is ready, in the order of adding."""
        with self._changing:
            return list(self._entries)

    def memory(self) -> Memory:
        """Bytes of what is held."""
        with self._changing:
            return self._memory(self._entries)

    def add(self, new: Mapping[Program, Entry], asked: Sequence[Program]) -> None:
        """Hold more; what was not asked for just now, and is too much, goes.

        Args:
            new: executables.
            asked: these stay together: programs of `new`, and ones that are held already.

        Raises:
            InputError: what was asked for is more than the budget; nothing was changed.
        """
        with self._changing:
            every = {**self._entries, **new}
            stay = {program: every[program] for program in asked if program in every}
            self._refuse(stay)
            for entry in stay.values():
                entry.used = next(self._clock)
            others = [program for program in every if program not in stay]
            for program in sorted(others, key=lambda program: every[program].used):
                if self._fits(every, len(stay)):
                    break
                del every[program]
            self._entries = every  # a reader has the old ones or the new ones

    def _fits(self, entries: Mapping[Program, Entry], asked: int) -> bool:
        few = self._keep is None or len(entries) <= max(self._keep, asked)
        return few and (self._budget is None or self._memory(entries).total <= self._budget)

    def _refuse(self, asked: Mapping[Program, Entry]) -> None:
        """Raise if what was asked for is more than the budget."""
        needed = self._memory(asked)
        if self._budget is None or needed.total <= self._budget:
            return
        fitting: dict[Program, Entry] = {}
        for program, entry in asked.items():
            if self._memory({**fitting, program: entry}).total <= self._budget:
                fitting[program] = entry
        names = ", ".join(str(program) for program in fitting)
        raise InputError(
            f"budget {self._budget} bytes: {needed.total} are needed ({needed.weights} of weights, "
            f"{needed.executables} of {len(asked)} executables, {needed.workspace} of workspace); what fits "
            f"is {names or 'none of them'}"
        )

    def _memory(self, entries: Mapping[Program, Entry]) -> Memory:
        return Memory(
            weights=self._weights,
            executables=sum(entry.executable.code_bytes for entry in entries.values()),
            workspace=max((entry.workspace for entry in entries.values()), default=0),
        )
