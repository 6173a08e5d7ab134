"""A stream in real time while other programs take the processor: what holds the rate, at what quality."""

import dataclasses
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from dysr_jax.bench.burners import burning
from dysr_jax.bench.steady_case import Case, SteadyOptions, make_case
from dysr_jax.device import device_name
from dysr_jax.runtime.adaptive import AdaptivePolicy
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.baselines.reload import ReloadCached
from dysr_jax.runtime.baselines.shelf import write_shelf
from dysr_jax.runtime.executables import ExecutableCache
from dysr_jax.runtime.policy import FixedPolicy, Policy
from dysr_jax.runtime.pretrained import find_bundle
from dysr_jax.runtime.stream import Dispatch, Stream, StreamOptions
from dysr_jax.runtime.trace import Trace

Say = Callable[[str], Any]


def bench_steady(
    bundle: str | os.PathLike[str] | None = None,
    options: SteadyOptions | None = None,
    *,
    say: Say = print,
) -> dict[str, Any]:
    """Does a stream hold its rate while other programs come and go?

    Sends the same frames at the same rate through the same members, beside the same schedule of busy
    processes, four times: with the adaptive policy, with the largest member that holds the rate on a free
    machine, with the smallest, and with the adaptive policy where a switch drops a member and loads the next
    one's weights and (cached) executable from disk, as without a resident meta-graph. Nothing is encoded.

    Args:
        bundle: a bundle directory; without one the weights that come with the package.
        options: of the streams; those of `SteadyOptions()` without.
        say: called with a line as each stream begins.

    Returns:
        Device, members, schedule, and `strategies` with a row for each stream: when the load changed,
        `true_psnr_y` (of each frame by the member that made it, against its HR frame, worked out beforehand),
        and `Trace.to_json`.

    Raises:
        InputError: no such bundle, or options that cannot be (see `make_case`).
    """
    case, bank = make_case(find_bundle(bundle), options or SteadyOptions())
    folder = pathlib.Path(tempfile.mkdtemp(prefix="dysr_"))
    try:
        rows = []
        for name, (dispatch, policy) in _strategies(case, bank, folder).items():
            say(f"{name}: {case.options.seconds:g} s")
            rows.append(_row(name, case, *_run(case, dispatch(), policy)))
    finally:
        shutil.rmtree(folder)
    return {
        "device": device_name(),
        "frame": list(case.options.frame),
        "fps": case.options.fps,
        "members": [dataclasses.asdict(rung) for rung in case.rungs],
        "member_psnr_y": {name: float(np.mean(each)) for name, each in case.psnr_y.items()},
        "schedule": list(case.schedule()),
        "strategies": rows,
    }


def _strategies(
    case: Case, bank: Bank, folder: pathlib.Path
) -> dict[str, tuple[Callable[[], Dispatch], Policy[Any]]]:
    """Name to what makes the frames, and what chooses the member."""
    smallest, largest = case.rungs[0].name, case.rungs[-1].name
    return {
        "adaptive": (lambda: bank.dispatch, AdaptivePolicy()),
        "fixed largest": (lambda: bank.dispatch, FixedPolicy(largest)),
        "fixed smallest": (lambda: bank.dispatch, FixedPolicy(smallest)),
        "adaptive, reloading": (lambda: _reloading(case, folder), AdaptivePolicy()),
    }


def _run(case: Case, dispatch: Dispatch, policy: Policy[Any]) -> tuple[Trace, Any]:
    """One stream beside its load, and when the load changed."""
    options = StreamOptions(case.options.fps, real_time=True)
    stream = Stream(dispatch, policy, case.rungs, options)
    with burning(case.schedule()) as load:
        trace = stream.run(case.source(), lambda image, time: None)
    return trace, load.log


def _row(name: str, case: Case, trace: Trace, load: Any) -> dict[str, Any]:
    true = [case.psnr_y[f.member][f.number % len(case.lr)] for f in trace.frames]
    return {"name": name, "load": load, "true_psnr_y": float(np.mean(true)), **trace.to_json()}


def _reloading(case: Case, folder: pathlib.Path) -> Dispatch:
    """Frames through a server that holds one member at a time."""
    shelf = write_shelf(folder, case.bundle, [rung.name for rung in case.rungs])
    server = ReloadCached(shelf, ExecutableCache(folder / "executables"))
    server.prepare(case.options.frame)
    current = ""

    def dispatch(frame: np.ndarray, member: str) -> jax.Array:
        nonlocal current
        if member != current:
            server.switch(member)
            current = member
        return server.dispatch(frame, member)

    return dispatch
