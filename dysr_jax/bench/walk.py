"""In which order members are switched to: a random walk that makes every ordered pair equally often."""

import numpy as np


def walk(rng: np.random.Generator, members: int, switches: int) -> list[int]:
    """A random walk that goes from every member to every other; how often differs by one at most.

    Args:
        rng: draws it.
        members: their number, at least 2.
        switches: steps of the walk.

    Returns:
        `switches + 1` indices, neighbours never equal; the first is where the walk starts.
    """
    path = [int(rng.integers(members))]
    while len(path) <= switches:
        path += _circuit(rng, members, path[-1])[1:]
    return path[: switches + 1]


def _circuit(rng: np.random.Generator, members: int, start: int) -> list[int]:
    """From `start` back to it over every ordered pair once: an Eulerian circuit (Hierholzer 1873)."""
    ahead = [
        rng.permutation([other for other in range(members) if other != member]).tolist()
        for member in range(members)
    ]
    path, found = [start], []
    while path:
        if ahead[path[-1]]:
            path.append(ahead[path[-1]].pop())
        else:
            found.append(path.pop())
    return found[::-1]
