"""Counting compilations, to show that a switch makes none."""

import contextlib
from collections.abc import Iterator
from typing import Final

import jax

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
