r"""What a frame's time goes to, and what changes it: the static program in variants, side by side.

    python experiments/frame_variants.py --output 1080 --json experiments/results/frame_variants_h200.json

Each variant changes one thing (where weights are converted, an option of XLA's compiler, the way the output
is put together) and prints milliseconds per frame on the device, the host's microseconds to dispatch one, how
far its pixels are from those with the defaults, and what the compiler made of it: cuDNN convolutions (those
with bias and activation inside apart), cuDNN fusions, matrix products, other fusions, copies and transposes.
All run in one other process, which is started anew behind a variant that ends it. Parts of the program are
variants too.
"""

import dataclasses
import functools
import json
import pathlib
import subprocess
import sys
import threading
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from cast_weights import CastWeights
from frame_programs import VARIANTS, Variant, program
from hlo_counts import COLUMNS, counts
from jax.experimental.layout import Format, Layout

from dysr_jax.atomic import write_json
from dysr_jax.bench import FrameCall, TimeBudget, device_fps, output_size, photograph
from dysr_jax.bundle import find_bundle
from dysr_jax.device import device_name
from dysr_jax.model import Params, Supernet, arch_params, compute_dtype
from dysr_jax.report import format_table

MARK = "variant: "
"""Before a line of a worker's output that is a result."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What is measured."""

    bundle: str | None = None
    """A bundle directory; without it dysr_jax's own weights."""
    scale: int | None = None
    """4 without it, or what the bundle has."""
    member: str = "best"
    """A member's name, fastest or best."""
    output: int = 1080
    """Rows of the 16:9 output frame."""
    only: tuple[str, ...] = ()
    """Variants' names; without any, all."""
    rounds: int = 7
    """Timed rounds; medians count."""
    minutes: float = 3.5
    """What was not begun by then is left out."""
    json: pathlib.Path | None = None
    """Write the figures to this file too."""
    worker: bool = False
    """Measure in this process, and print a line of JSON a variant."""


class Case:
    """A member at a size; measures variants of it."""

    def __init__(self, options: Options) -> None:
        found = find_bundle(options.bundle, options.scale)
        self.bundle = dataclasses.replace(found, dtype=compute_dtype("auto"))
        self.arch = self.bundle.member(options.member).arch
        self.frame = photograph(output_size(options.output, found.space.scale).over(found.space.scale))
        self.budget = TimeBudget(options.rounds, 2.0)
        self.expected: np.ndarray | None = None

    def _weights(self, variant: Variant, net: Supernet) -> tuple[Supernet, Params]:
        if variant.weights == "stored":
            return net, jax.device_put(arch_params(self.bundle.params, net.space, self.arch))
        resident = CastWeights(net, self.bundle.params)
        return resident.net(self.arch), resident.read(self.arch)

    def compile(self, variant: Variant) -> tuple[Any, Params]:
        """The executable, and the weights as it takes them."""
        dtype = getattr(jnp, variant.dtype) if variant.dtype else self.bundle.net.dtype
        net, params = self._weights(variant, self.bundle.net.clone(dtype=dtype))
        jitted = functools.partial(jax.jit, program(net, self.arch, variant), keep_unused=True)
        frame = jax.ShapeDtypeStruct(self.sent(variant).shape, jnp.uint8)
        if variant.weights != "laid out":
            lowered = jitted().lower(params, frame)
            return lowered.compile(compiler_options=variant.options or None), params
        asked = (jax.tree.map(lambda _: Format(Layout.AUTO), params), None)
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)
        compiled = jitted(in_shardings=asked).lower(shapes, frame).compile()
        return compiled, jax.device_put(params, compiled.input_formats[0][0])

    def sent(self, variant: Variant) -> np.ndarray:
        """The LR frame of a variant."""
        more = -self.frame.shape[0] % variant.rows_to
        return np.pad(self.frame, ((0, more), (0, 0), (0, 0)), mode="edge")

    def measure(self, variant: Variant) -> dict[str, Any]:
        """Its figures; `levels` is None where its output is no frame of that size."""
        begin = time.perf_counter()
        run, params = self.compile(variant)
        compile_s = time.perf_counter() - begin
        frame = jax.device_put(self.sent(variant))
        call = FrameCall(lambda: run(params, frame), jax.block_until_ready)
        in_flight = jax.default_backend() != "cpu"
        fps = device_fps(call, self.budget, in_flight=in_flight)
        return {
            "ms": 1e3 / fps,
            "host_us": self._dispatch_us(call),
            "levels": self._levels(np.asarray(call.start())) if variant.part == "whole" else None,
            "compile_s": compile_s,
            **counts(run.as_text()),
        }

    def _dispatch_us(self, call: FrameCall) -> float:
        """Microseconds of the host per frame, nothing being in the way; the best of five."""
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            output = call.start()
            times.append(time.perf_counter() - begin)
            call.finish(output)
        return min(times) * 1e6

    def _levels(self, output: np.ndarray) -> int | None:
        if self.expected is None:
            run, params = self.compile(VARIANTS["XLA's defaults"])
            self.expected = np.asarray(run(params, self.frame))
        if output.shape != self.expected.shape:
            return None
        return int(np.abs(output.astype(np.int16) - self.expected).max())


def work(options: Options) -> None:
    """Measure the variants, a line of JSON each."""
    case = Case(options)
    for name in options.only:
        try:
            row = case.measure(VARIANTS[name])
        except Exception as error:  # an option that this XLA lacks, a kernel that does not fit
            row = {"error": str(error).strip().splitlines()[0][:200]}
        print(MARK + json.dumps({"variant": name, **row}), flush=True)


def _worker(options: Options, names: list[str], seconds: float) -> list[dict[str, Any]]:
    """What one worker measured, in order, in so much time."""
    given = [f"--{key}={value}" for key in ("bundle", "scale") if (value := getattr(options, key))]
    given += [f"--{key}={getattr(options, key)}" for key in ("member", "output", "rounds")]
    command = [sys.executable, __file__, "--worker", *given, "--only", *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        clock = threading.Timer(seconds, process.kill)
        clock.start()
        assert process.stdout is not None
        rows = []
        for line in process.stdout:
            if line.startswith(MARK):
                rows.append(json.loads(line.removeprefix(MARK)))
                print(f"  {rows[-1]['variant']}: {rows[-1].get('ms', 'failed')}", file=sys.stderr)
        clock.cancel()
    return rows


def measure(options: Options, names: list[str]) -> list[dict[str, Any]]:
    """All variants; one that ends its process, and those there is no time for, have an `error`."""
    end = time.monotonic() + 60 * options.minutes
    rows: list[dict[str, Any]] = []
    left = list(names)
    while left and (seconds := end - time.monotonic()) > 0:
        rows += _worker(options, left, seconds)
        left = names[len(rows) :]
        if left and time.monotonic() < end:
            rows.append({"variant": left.pop(0), "error": "its process ended"})
    return rows + [{"variant": name, "error": "no time was left"} for name in left]


def table(rows: list[dict[str, Any]]) -> str:
    """A line a variant; what failed says why."""
    cells = []
    for row in rows:
        if "error" in row:
            cells.append([row["variant"], *[""] * (4 + len(COLUMNS))])
            continue
        levels = "" if row["levels"] is None else str(row["levels"])
        figures = [f"{row['ms']:.3f}", f"{row['host_us']:.0f}", levels, f"{row['compile_s']:.1f}"]
        cells.append([row["variant"], *figures, *[str(row.get(name, 0)) for name in COLUMNS]])
    header = ["variant", "ms", "host us", "levels", "compile s", *COLUMNS]
    failed = [f"{row['variant']}: {row['error']}" for row in rows if "error" in row]
    return "\n".join([format_table(header, cells), *failed])


def main() -> None:
    """Run it."""
    options = tyro.cli(Options)
    names = list(options.only) or list(VARIANTS)
    if unknown := set(names) - set(VARIANTS):
        sys.exit(f"variants {', '.join(sorted(unknown))}: allowed are {', '.join(VARIANTS)}")
    if options.worker:
        work(options)
        return
    rows = measure(options, names)
    print(table(rows))
    if options.json:
        write_json(
            options.json,
            {"device": device_name(), "output": options.output, "member": options.member, "rows": rows},
        )


if __name__ == "__main__":
    main()
