"""Executables of stages, each distinct one compiled once."""

from collections.abc import Sequence

from dysr_jax.model.programs import Output
from dysr_jax.model.stages import Key, Part
from dysr_jax.model.supernet import Supernet
from dysr_jax.runtime.executables import ExecutableCache
from dysr_jax.runtime.held import Entry
from dysr_jax.runtime.memory import Memory, tree_bytes, workspace_bytes
from dysr_jax.runtime.plan import Link
from dysr_jax.runtime.static import stage_executable
from dysr_jax.threads import in_threads


class Stages:
    """Ready executables by what tells them apart; slots that store the same shapes share them.

    Args:
        net: whose stages they are.
        output: where results lie.
        cache: where executables are looked for and kept on disk; None: all are compiled.
    """

    def __init__(self, net: Supernet, *, output: Output, cache: ExecutableCache | None) -> None:
        self._net = net
        self._output = output
        self._cache = cache
        self._entries: dict[Key, Entry] = {}

    def __len__(self) -> int:
        """How many are ready."""
        return len(self._entries)

    def add(self, parts: Sequence[Part]) -> None:
        """Compile or load what is not there yet, in threads."""
        missing = {part.key: part for part in parts if part.key not in self._entries}
        entries = in_threads(self._entry, list(missing.values()))
        self._entries.update(zip(missing, entries, strict=True))

    def _entry(self, part: Part) -> Entry:
        executable = stage_executable(self._net, part, output=self._output, cache=self._cache)
        return Entry(executable, workspace_bytes(executable.compiled, tree_bytes(part.kernels)))

    def link(self, part: Part) -> Link:
        """The executable of a part that was added, over the part's kernels."""
        return Link(self._entries[part.key].executable, part.kernels)

    def memory(self, weights: int) -> Memory:
        """Bytes of the executables and of the largest workspace, beside those of the weights."""
        entries = list(self._entries.values())
        return Memory(
            weights=weights,
            executables=sum(entry.executable.code_bytes for entry in entries),
            workspace=max((entry.workspace for entry in entries), default=0),
        )
