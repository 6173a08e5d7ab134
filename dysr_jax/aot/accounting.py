"""What executables take: device memory, as the backend reports it, and compilations."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import jax


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes, each kind separately."""

    weights: int
    """Resident arrays; what several members read counts once."""
    executables: int
    """All generated code; where the backend does not report it (the CPU), the serialised executables."""
    workspace: int
    """Temporaries, frame and result of the largest executable, for one frame at a time."""
    own_workspaces: int = 0
    """The same of all executables together: what they take where each keeps its own."""

    @property
    def total(self) -> int:
        """Weights, executables and the one workspace."""
        return self.weights + self.executables + self.workspace


def tree_bytes(tree: Any) -> int:
    """Bytes of the arrays (or shapes) of a pytree, each counted once."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in {id(x): x for x in jax.tree.leaves(tree)}.values())


def generated_bytes(run: jax.stages.Compiled) -> int:
    """Bytes of an executable's generated code; 0 where the backend does not report it."""
    return _analysed(run, "generated_code")


def workspace_bytes(run: jax.stages.Compiled, weights: int) -> int:
    """Bytes of temporaries, arguments and result of an executable on the device, less those of its `weights`.

    A result in the host's memory does not count; one in the place of a donated argument counts once.
    """
    arguments, output, alias, temp = (_analysed(run, of) for of in ("argument", "output", "alias", "temp"))
    return temp + max(0, arguments - weights) + output - alias


def _analysed(run: jax.stages.Compiled, kind: str) -> int:
    """A figure of XLA's own analysis of an executable; 0 where the backend has none."""
    return int(getattr(run.memory_analysis(), f"{kind}_size_in_bytes", 0) or 0)


LOADED: Final = "/dysr_jax/executable_load_duration"
"""The event of an executable that was read from disk (`dysr_jax.aot.executables`)."""

_COMPILED: Final = "/jax/core/compile/backend_compile_duration"


class Count:
    """The number of programs that were compiled, or loaded from disk, since the count began."""

    def __init__(self) -> None:
        self.value = 0

    def __call__(self, event: str, duration_secs: float, **_: str | int) -> None:
        """JAX's monitoring calls this with every event."""
        self.value += event in (_COMPILED, LOADED)


@contextlib.contextmanager
def count_compilations() -> Iterator[Count]:
    """Count the compilations of this process within the context, those of other threads included."""
    count = Count()
    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        yield count
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
