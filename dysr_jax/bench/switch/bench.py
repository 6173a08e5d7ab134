"""The switch experiment: ways to serve the same members, each in a process of its own, taking turns.

This process uses no device: whoever it starts has the whole of it while the others sleep.
"""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from dysr_jax.aot import find_provider
from dysr_jax.bench.switch.comparison import Setup, compare
from dysr_jax.bench.switch.result import SwitchResult
from dysr_jax.bench.switch.servers import STRATEGIES, find_strategy
from dysr_jax.bench.switch.worker import Child, ChildError, RestWorker
from dysr_jax.errors import InputError
from dysr_jax.fields import require


def bench_switch(
    bundle: str | os.PathLike[str] | None = None,
    *,
    scale: int | None = None,
    frame: tuple[int, int] | None = None,
    members: Sequence[str] = (),
    strategies: Sequence[str] = tuple(STRATEGIES),
    switches: int = 200,
    steady: int = 4,
    fps: float = 30.0,
    backend: str = "auto",
    seed: int = 0,
    progress: bool = False,
) -> SwitchResult:
    """What a switch between members costs, by how they are served.

    Frames are timed from uint8 on the host to uint8 on the host, one at a time. The strategies are processes
    of their own on one device. They take turns of a few switches, so that a slow moment of the machine hits
    all alike; all walk the same random walk, which makes every ordered pair of members equally often. A
    script that calls this needs `if __name__ == "__main__":`.

    `bundle` is a bundle directory of this `scale`; without one, the weights that come with the package (by
    default x4). `frame` is LR rows and columns, by default the bundle's. Without `members` all are taken;
    those whose frame at rest takes longer than a period of `fps` are left out. `strategies` are names out of
    `STRATEGIES`, each of which makes so many `switches`, with `steady` frames after the first one before the
    next switch; another `backend` than XLA (`dysr_jax.aot.find_provider`) is one more; `seed` is of the walk.
    `progress` draws a bar on stderr.

    Raises InputError: no such bundle, member or strategy, an argument that cannot be, or fewer than two
    members that fit.
    """
    require(bool(strategies), "strategies", strategies, f"some of {', '.join(STRATEGIES)}")
    for name in strategies:
        find_strategy(name)
    require(switches >= 1, "switches", switches, "at least 1")
    require(steady >= 1, "steady", steady, "at least 1")
    require(0 < fps < float("inf"), "fps", fps, "finite and above 0")
    require(frame is None or min(frame) >= 1, "frame", frame, "at least one row and one column")
    other = [] if find_provider(backend) is None else [backend]
    names = tuple(dict.fromkeys([*strategies, *other]))
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dysr_")))
        given = {"total": switches * len(names), "disable": not progress}
        bar = stack.enter_context(tqdm(desc="members at rest", unit="switch", leave=False, **given))
        path = None if bundle is None else os.fspath(bundle)
        with Child(RestWorker, path, scale, frame, tuple(members)) as child:
            rest = _time_members(child, frame, fps)
            store = child.call("write_store", folder, [member.name for member in rest.members])
        order = walk(np.random.default_rng(seed), len(store.names), switches)
        setup = Setup(store, rest.frame, fps, [store.names[index] for index in order], steady)
        return dataclasses.replace(rest, strategies=compare(stack, setup, names, bar))


def walk(rng: np.random.Generator, members: int, switches: int) -> list[int]:
    """A random walk that makes every ordered pair of members equally often, or once more.

    It has `switches + 1` indices of at least two members, and begins with the one to start from.
    """
    path = [int(rng.integers(members))]
    while len(path) <= switches:
        path += _circuit(rng, members, path[-1])[1:]
    return path[: switches + 1]


def _circuit(rng: np.random.Generator, members: int, start: int) -> list[int]:
    """From `start` back to it over every ordered pair once: an Eulerian circuit (Hierholzer 1873)."""
    ahead = [rng.permutation([j for j in range(members) if j != i]).tolist() for i in range(members)]
    path, found = [start], []
    while path:
        if ahead[path[-1]]:
            path.append(ahead[path[-1]].pop())
        else:
            found.append(path.pop())
    return found[::-1]


def _time_members(child: Child, frame: tuple[int, int] | None, fps: float) -> SwitchResult:
    """The result without strategies; raises `InputError` where fewer than two members hold the frame rate."""
    try:
        rest = child.call("time_members", fps)
    except ChildError as error:
        size = "of the bundle" if frame is None else "x".join(map(str, frame))
        raise InputError(f"frame {size}: the members cannot run ({error})") from None
    timed = sorted(member.rest_ms for member in (*rest.members, *rest.left_out))
    if len(timed) < 2:
        raise InputError("members: one has nothing to switch to; must be at least two")
    if len(rest.members) < 2:
        raise InputError(
            f"fps {fps:g}: of frames of {rest.frame[0]}x{rest.frame[1]} the fastest members make one in "
            f"{timed[0]:.1f}, {timed[1]:.1f} ms; must be what two members hold at least (fewer fps, or a "
            f"smaller frame)"
        )
    return rest
