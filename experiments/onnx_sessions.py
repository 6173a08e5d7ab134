"""ONNX Runtime as a server: what its bank costs beside a bare session, and what members in it share.

    python experiments/onnx_sessions.py --json experiments/results/onnx_sessions_cpu.json

Rates: frames through a bare session of one member's model, through `OnnxBank`, and through a `Stream` over it
that decodes and encodes nothing, in turn. Memory: by how much a process grows that holds all members in
sessions of their own, and in the bank's, and sends a frame through each; a process of its own for either.
"""

import concurrent.futures
import dataclasses
import functools
import multiprocessing
import pathlib
from fractions import Fraction
from typing import Any

import numpy as np
import tyro

from dysr_jax.aot import frame_model, import_extra
from dysr_jax.atomic import write_json
from dysr_jax.bench import output_size, photograph
from dysr_jax.bundle import Bundle, find_bundle
from dysr_jax.device import device_name, resident_bytes
from dysr_jax.report import format_table
from dysr_jax.runtime import OnnxBank, Stream, StreamOptions
from dysr_jax.runtime.policy import FixedPolicy, MemberTiming
from dysr_jax.timing import median_ms

STREAMED = 4
"""Frames of a stream."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured."""

    bundle: str | None = None
    """A bundle directory; without it dysr_jax's own weights."""
    scale: int = 2
    """Of dysr_jax's own weights."""
    members: tuple[str, ...] = ("fastest", "best")
    """Whose rates."""
    output: int = 720
    """Rows of the 16:9 output frame."""
    rounds: int = 7
    """Timed rounds; medians count."""
    json: pathlib.Path | None = None
    """Write the figures to this file too."""


def bare_session(bundle: Bundle, name: str) -> Any:
    """A frame to a frame, by a session that shares nothing."""
    model = frame_model(bundle.space, bundle.params, bundle.member(name).arch).content
    session = import_extra("onnxruntime").InferenceSession(model, providers=["CPUExecutionProvider"])
    return lambda frame: session.run(None, {"frame": frame[None]})[0][0]


def rates(bundle: Bundle, options: Options) -> list[dict[str, Any]]:
    """Milliseconds per frame of each way, and over those of the bare session."""
    frame = photograph(output_size(options.output, bundle.space.scale).over(bundle.space.scale))
    rows = []
    for member in map(bundle.member, options.members):
        bank, bare = OnnxBank(bundle), bare_session(bundle, member.name)
        bank.prepare(frame.shape[:2], [member.name])
        timing = (MemberTiming(member.name, 1.0, member.psnr_y),)

        def stream(bank: OnnxBank = bank, name: str = member.name, timing: Any = timing) -> None:
            run = Stream(bank, FixedPolicy(name), timing, StreamOptions(1e-3))
            run.run(((frame, Fraction(i)) for i in range(STREAMED)), lambda image, when: None)

        def several(call: Any) -> None:
            for _ in range(STREAMED):
                call(frame)

        calls = {
            "bare": functools.partial(several, bare),
            "bank": functools.partial(several, functools.partial(bank, member=member.name)),
            "stream": stream,
        }
        ms = {way: each / STREAMED for way, each in median_ms(calls, options.rounds).items()}
        ratios = {f"{way}_ratio": ms[way] / ms["bare"] for way in ("bank", "stream")}
        rows.append({"member": member.name, **ms, **ratios})
    return rows


def grown_bytes(options: Options, *, shared: bool) -> int:
    """By how much this process grows with all members resident, each of which makes a frame."""
    bundle = find_bundle(options.bundle, options.scale)
    shape = output_size(options.output, bundle.space.scale).over(bundle.space.scale)
    frame = np.zeros((*shape, 3), np.uint8)
    import_extra(), import_extra("onnxruntime")
    before = resident_bytes()
    if shared:
        bank = OnnxBank(bundle)
        bank.prepare(shape)
    else:
        kept = [bare_session(bundle, member.name) for member in bundle.members]
        for session in kept:
            session(frame)
    return resident_bytes() - before


def main(options: Options) -> None:
    """Measure, print, and write."""
    bundle = find_bundle(options.bundle, options.scale)
    print(f"{device_name()}, {len(bundle.members)} members, x{bundle.space.scale}, {options.output} rows")
    found: dict[str, Any] = {"device": device_name(), "rates": rates(bundle, options)}
    columns = ["member", "bare ms", "bank ms", "stream ms", "bank ratio", "stream ratio"]
    cells = [[v if isinstance(v, str) else f"{v:.3f}" for v in row.values()] for row in found["rates"]]
    print(format_table(columns, cells))
    spawn = multiprocessing.get_context("spawn")
    for name, shared in (("independent_bytes", False), ("shared_bytes", True)):
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
            found[name] = pool.submit(grown_bytes, options, shared=shared).result()
    share = found["shared_share"] = found["shared_bytes"] / found["independent_bytes"]
    apart, together = (found[f"{name}_bytes"] / 1e6 for name in ("independent", "shared"))
    print(f"MB of all members: sessions apart {apart:.0f}, together {together:.0f}, a share of {share:.2f}")
    if options.json:
        write_json(options.json, found)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
