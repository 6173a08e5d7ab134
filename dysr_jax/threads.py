"""Getting many executables ready: in threads, which XLA compiles in beside each other."""

import concurrent.futures
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

import jax

T = TypeVar("T")
R = TypeVar("R")


def in_threads(make: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What `make` makes of each item, in their order.

    On an accelerator the last one is made alone before the others: XLA times kernels for each operation that
    it has not seen, and threads that meet the same ones at once would time them all, and disturb each other.

    Args:
        make: compiles or loads an executable; called from several threads.
        items: the largest last.
    """
    done = []
    if jax.default_backend() != "cpu" and items:
        *items, last = items
        done = [make(last)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
        return [*threads.map(make, items), *done]
