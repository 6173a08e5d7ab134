"""Memory of the device that executables and their weights take, as the backend reports it."""

import dataclasses
from typing import Any

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

    @property
    def total(self) -> int:
        """The sum of all three."""
        return self.weights + self.executables + self.workspace


def tree_bytes(tree: Any) -> int:
    """Bytes of the arrays (or shapes) of a pytree, each counted once."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in {id(x): x for x in jax.tree.leaves(tree)}.values())


def generated_bytes(run: jax.stages.Compiled) -> int:
    """Bytes of an executable's generated code; 0 where the backend does not report it."""
    return _analysed(run, "generated_code_size_in_bytes")


def workspace_bytes(run: jax.stages.Compiled, weights: int) -> int:
    """Bytes of temporaries, arguments and result of an executable on the device, less those of its `weights`.

    A result in the host's memory does not count; one in the place of a donated argument counts once.
    """
    arguments = _analysed(run, "argument_size_in_bytes") - weights
    result = _analysed(run, "output_size_in_bytes") - _analysed(run, "alias_size_in_bytes")
    return _analysed(run, "temp_size_in_bytes") + max(0, arguments) + result


def _analysed(run: jax.stages.Compiled, figure: str) -> int:
    """A figure of XLA's own analysis of an executable; 0 where the backend has none."""
    return int(getattr(run.memory_analysis(), figure, 0) or 0)
