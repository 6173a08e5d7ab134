"""Counting compilations, to show that a switch makes none."""

import contextlib
from collections.abc import Iterator

import jax

_EVENT = "/jax/core/compile/backend_compile_duration"


class Count:
    """How many programs XLA compiled (or loaded from its cache) since the count began."""

    def __init__(self) -> None:
        self.value = 0

    def __call__(self, event: str, duration_secs: float, **_: str | int) -> None:
        """JAX's monitoring calls this; it hears of every event."""
        del duration_secs
        self.value += event == _EVENT


@contextlib.contextmanager
def count_compilations() -> Iterator[Count]:
    """Count the compilations of this process within the context, those of other threads included."""
    count = Count()
    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        yield count
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
