"""The switch experiment: ways to serve the same members, each in a process of its own, taking turns.

This process uses no device: whoever it starts has the whole of it while the others sleep.
"""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from dysr_jax.bench.switch.comparison import Setup, compare
from dysr_jax.bench.switch.process import Child, ChildError
from dysr_jax.bench.switch.result import MemberAtRest, SwitchResult
from dysr_jax.bench.switch.servers import STRATEGIES
from dysr_jax.bench.switch.worker import RestTimings, RestWorker
from dysr_jax.errors import InputError


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
    seed: int = 0,
    progress: bool = False,
) -> SwitchResult:
    """What a switch between members costs, by how they are served.

    Frames are timed from uint8 on the host to uint8 on the host, one at a time. The strategies are processes
    of their own on one device. They take turns of a few switches, so that a slow moment of the machine hits
    all alike; all walk the same random walk, which makes every ordered pair of members equally often. A
    script that calls this needs `if __name__ == "__main__":`.

    Args:
        bundle: a bundle directory; None: the weights that come with the package.
        scale: that the bundle has; None: of the package's weights, 4.
        frame: LR rows and columns; None: the bundle's.
        members: names; none: all. Those whose frame at rest takes longer than a period are left out.
        strategies: names out of `dysr_jax.bench.switch.STRATEGIES`.
        switches: of each strategy.
        steady: frames after the first one, before the next switch.
        fps: frames per second that are due.
        seed: of the walk.
        progress: draw a bar on stderr.

    Raises:
        InputError: no such bundle, member or strategy, an argument that cannot be, or fewer than two members
            that fit.
    """
    _check(strategies, switches, steady, fps, frame)
    names = tuple(dict.fromkeys(strategies))
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dysr_")))
        total = switches * len(names)
        bar = stack.enter_context(tqdm(total=total, unit="switch", disable=not progress, leave=False))
        bar.set_description("members at rest")
        given = None if bundle is None else os.fspath(bundle)
        with Child(RestWorker, given, scale, frame, tuple(members)) as child:
            rest = _time_members(child, frame)
            store = child.call("write_store", folder, _fitting(rest, fps))
        order = walk(np.random.default_rng(seed), len(store.names), switches)
        path = [store.names[index] for index in order]
        compared = compare(stack, Setup(store, rest.frame, fps, path, steady), names, bar)
    at_rest = tuple(MemberAtRest(name, ms) for name, ms in rest.frame_ms.items())
    return SwitchResult(
        device=rest.device,
        frame=rest.frame,
        scale=rest.scale,
        dtype=rest.dtype,
        fps=fps,
        members=tuple(member for member in at_rest if member.name in store.names),
        left_out=tuple(member for member in at_rest if member.name not in store.names),
        strategies=compared,
    )


def walk(rng: np.random.Generator, members: int, switches: int) -> list[int]:
    """A random walk that goes from every member to every other; how often differs by one at most.

    Returns:
        `switches + 1` indices out of `members`, at least 2; neighbours are never equal, and the first is
        where the walk starts.
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


def _check(
    strategies: Sequence[str], switches: int, steady: int, fps: float, frame: tuple[int, int] | None
) -> None:
    known = ", ".join(STRATEGIES)
    for name in strategies:
        if name not in STRATEGIES:
            raise InputError(f"strategies {name!r}: must be out of {known}")
    if not strategies:
        raise InputError(f"strategies is empty: must be some of {known}")
    for argument, value in (("switches", switches), ("steady", steady)):
        if value < 1:
            raise InputError(f"{argument} must be at least 1, got {value}")
    if not 0 < fps < float("inf"):
        raise InputError(f"fps must be finite and above 0, got {fps}")
    if frame is not None and min(frame) < 1:
        raise InputError(f"frame must be at least 1x1, got {frame[0]}x{frame[1]}")


def _time_members(child: Child, frame: tuple[int, int] | None) -> RestTimings:
    try:
        return child.call("time_members")
    except ChildError as error:
        size = "of the bundle" if frame is None else "x".join(map(str, frame))
        raise InputError(f"frame {size}: the members cannot run ({error})") from None


def _fitting(rest: RestTimings, fps: float) -> list[str]:
    """The members whose frame at rest takes no longer than a period; raises `InputError` below two."""
    fit = [name for name, ms in rest.frame_ms.items() if ms <= 1e3 / fps]
    if len(rest.frame_ms) < 2:
        raise InputError("members: one has nothing to switch to; must be at least two")
    if len(fit) < 2:
        quick = ", ".join(f"{ms:.1f}" for ms in sorted(rest.frame_ms.values())[:2])
        raise InputError(
            f"fps {fps:g}: of frames of {rest.frame[0]}x{rest.frame[1]} the fastest members make one in "
            f"{quick} ms; must be what two members hold at least (fewer fps, or a smaller frame)"
        )
    return fit
