r"""What a frame's time goes to, and what changes it: the static program in variants, side by side.

    python experiments/frame_variants.py --output 1080 --json experiments/results/frame_variants_h200.json

Each variant changes one thing (where weights are converted, an option of XLA's compiler, the way the output
is put together) and prints milliseconds a frame on the device, the host's microseconds to dispatch one, how
far its pixels are from the program's as it is, and what the compiler made of it: cuDNN convolutions (those
with bias and activation inside apart), cuDNN fusions, matrix products, other fusions, copies and transposes.
All run in one other process, which is started anew behind a variant that ends it. Parts of the program are
variants too.
"""

import dataclasses
import functools
import json
import pathlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeGuard

import chex
import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import lax
from jax.experimental.layout import Format, Layout

from dysr_jax.atomic import write_json
from dysr_jax.bench.frames import Budget, Call, device_fps
from dysr_jax.bench.screens import output_size, photograph
from dysr_jax.metrics import to_uint8
from dysr_jax.model.branches import Branch, ResidualPair
from dysr_jax.model.conv import conv2d
from dysr_jax.model.kernels import Kernels, KernelSpec
from dysr_jax.model.programs import compute_dtype
from dysr_jax.model.resident import Resident
from dysr_jax.model.supernet import (
    Params,
    Supernet,
    add_skip,
    arch_params,
    head,
    run_branch,
    slot_name,
)
from dysr_jax.model.upsamplers import pixel_shuffle
from dysr_jax.report.tables import format_table
from dysr_jax.runtime.pretrained import find_bundle
from dysr_jax.space import Arch

IN_GRAPHS = "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN"
"""XLA's default: cuDNN's convolutions are launched one by one by the host."""
MARK = "variant: "
"""Before a line of a worker's output that is a result."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """One thing that differs from the program as it is."""

    weights: str = "cast"
    """`stored` float32 and whole, as they are; `cast`: cut and in the compute dtype; `laid out`: as the
    compiler asks for them, too."""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Of XLA's compiler."""
    part: str = "whole"
    """Or `head`, `trunk`, `tail`: the others are left out."""
    tail: str = "pixels"
    """How sub-pixels become a frame: see `TAILS`."""
    residual: str = "inside"
    """`outside` keeps cuDNN from adding a residual pair's input in its second convolution."""
    dtype: str = ""
    rows_to: int = 1
    """Rows of the LR frame are filled up to a multiple of this: not the same picture."""


def _set(**options: Any) -> dict[str, Any]:
    return {f"xla_{name}": value for name, value in options.items()}


UNFUSED = _set(disable_hlo_passes="cudnn-fused-convolution-rewriter")
CONV_FUSION = _set(gpu_experimental_enable_conv_fusion=True)
GRAPH = _set(gpu_enable_command_buffer=f"{IN_GRAPHS},CONVOLUTION", gpu_graph_min_graph_size=1)

VARIANTS: dict[str, Variant] = {
    "as it is": Variant("stored"),
    "weights cast": Variant(),
    "weights laid out": Variant("laid out"),
    "part: head": Variant(part="head"),
    "part: trunk": Variant(part="trunk"),
    "part: tail": Variant(part="tail"),
    "bias and ReLU outside cuDNN": Variant(options=UNFUSED),
    "convolutions in CUDA graph": Variant(options=GRAPH),
    "no CUDA graphs": Variant(options=_set(gpu_enable_command_buffer="INVALID")),
    "outside cuDNN, in graph": Variant(options=UNFUSED | GRAPH),
    "cuDNN conv fusion": Variant(options=CONV_FUSION),
    "cuDNN conv fusion, in graph": Variant(options=CONV_FUSION | GRAPH),
    "levels, then shuffle": Variant(tail="levels"),
    "shuffle words": Variant(tail="words"),
    "float16": Variant(dtype="float16"),
    "residual outside cuDNN": Variant(residual="outside"),
    "rows to 16": Variant(rows_to=16),
    "NCHW": Variant(options=_set(gpu_force_conv_nchw=True)),
    "head by cuBLAS": Variant(options=_set(gpu_enable_triton_gemm=False)),
    "latency hiding scheduler": Variant(options=_set(gpu_enable_latency_hiding_scheduler=True)),
    "triton fusions": Variant(options=_set(gpu_experimental_enable_fusion_autotuner=True)),
    "exhaustive tiling": Variant(options=_set(gpu_exhaustive_tiling_search=True)),
}


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


def _words(levels: chex.Array, scale: int) -> chex.Array:
    """The shuffle of `[N, H, W, s s 3]` uint8 by 32-bit words, of which a sub-pixel row fills `3 s / 4`."""
    n, h, w, _ = levels.shape
    words = lax.bitcast_convert_type(levels.reshape(n, h, w, scale, -1, 4), jnp.uint32)
    rows = words.transpose(0, 1, 3, 2, 4).reshape(n, h * scale, -1)
    return lax.bitcast_convert_type(rows, jnp.uint8).reshape(n, h * scale, w * scale, 3)


TAILS: dict[str, Callable[[chex.Array, int], chex.Array]] = {
    "pixels": lambda x, scale: to_uint8(pixel_shuffle(x, scale)),
    "levels": lambda x, scale: pixel_shuffle(lax.optimization_barrier(to_uint8(x)), scale),
    "words": lambda x, scale: _words(lax.optimization_barrier(to_uint8(x)), scale),
}


def _is_plain_pair(branch: Branch) -> TypeGuard[ResidualPair]:
    return isinstance(branch, ResidualPair) and not branch.attention


class _Alone(Branch):
    """What a residual pair without attention adds to its input."""

    def __init__(self, pair: ResidualPair) -> None:
        self._pair = pair

    def reads(self, width: int, scale: int) -> dict[str, KernelSpec]:
        """As the pair."""
        return self._pair.reads(width, scale)

    def __call__(self, kernels: Kernels, x: chex.Array) -> chex.Array:
        """See the class."""
        y = jax.nn.relu(conv2d(x, kernels["pair_in"]) + kernels["pair_in_bias"])
        return conv2d(y, kernels["pair_out"]) + kernels["pair_out_bias"]


def _kernels(params: Params, name: str, dtype: Any) -> dict[str, chex.Array]:
    return {key: value.astype(dtype) for key, value in params.get(name, {}).items()}


def program(net: Supernet, arch: Arch, variant: Variant) -> Callable[..., chex.Array]:
    """`(params, frame) -> frame`, or of a part of it, from its own functions."""
    space = net.space

    def slot(params: Params, index: int, x: chex.Array) -> chex.Array:
        kernels = _kernels(params, slot_name(space, index), net.dtype)
        branch = space.branches(index)[arch[index]]
        if variant.residual == "outside" and _is_plain_pair(branch):
            return x + lax.optimization_barrier(run_branch(space, _Alone(branch), kernels, x))
        return run_branch(space, branch, kernels, x)

    def run(params: Params, frame: chex.Array) -> chex.Array:
        lr = frame[None].astype(jnp.float32) / 255.0
        if variant.part in ("whole", "head"):
            x = head(_kernels(params, "head", net.dtype), lr, net.dtype)
        else:  # something of the trunk's shape that costs little
            x = jnp.tile(lr.astype(net.dtype), space.width // 3 + 1)[..., : space.width]
        if variant.part in ("whole", "trunk"):
            for index in range(len(space.body)):
                x = slot(params, index, x)
        if variant.part in ("head", "trunk"):
            return x
        x = add_skip(slot(params, len(space.body), x), lr, space.scale)
        return TAILS[variant.tail](x, space.scale)[0]

    return run


def counts(text: str) -> dict[str, int]:
    """What an executable runs, by its HLO: of the entry and of what goes into CUDA graphs."""
    found: dict[str, int] = {}
    counted = False
    for line in text.splitlines():
        if line and not line[0].isspace():
            counted = line.startswith("ENTRY") or "command_buffer" in line.split("(")[0]
        kind = _kind(line) if counted else None
        if kind:
            found[kind] = found.get(kind, 0) + 1
    return found


def _kind(line: str) -> str | None:
    """Of an instruction: `bias conv`, `conv`, `cudnn fusion`, `gemm`, `fusion`, `copy`."""
    named = re.match(r"\s+(?:ROOT )?%?\S+ = .*?\s([\w-]+)\(", line)
    if not named:
        return None
    if "__cudnn$convBiasActivation" in line:
        return "bias conv"
    if "__cudnn$conv" in line or named[1] == "convolution":
        return "conv"
    if "__cudnn$fusion" in line:
        return "cudnn fusion"
    if "__cublas" in line or "gemm" in line or named[1] == "dot":
        return "gemm"
    opcode = named[1].removesuffix("-start")
    return {"fusion": "fusion", "copy": "copy", "transpose": "copy"}.get(opcode)


class Case:
    """A member at a size; measures variants of it."""

    def __init__(self, options: Options) -> None:
        found = find_bundle(options.bundle, options.scale)
        self.bundle = dataclasses.replace(found, dtype=compute_dtype("auto"))
        self.arch = self.bundle.member(options.member).arch
        self.frame = photograph(
            output_size(options.output, found.space.scale).over(found.space.scale)
        )
        self.budget = Budget(options.rounds, 2.0)
        self.expected: np.ndarray | None = None

    def _weights(self, variant: Variant, net: Supernet) -> tuple[Supernet, Params]:
        if variant.weights == "stored":
            return net, jax.device_put(arch_params(self.bundle.params, net.space, self.arch))
        resident = Resident(net, self.bundle.params)
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
        call = Call(lambda: run(params, frame), jax.block_until_ready)
        in_flight = jax.default_backend() != "cpu"
        fps = device_fps(call, self.budget, in_flight=in_flight)
        return {
            "ms": 1e3 / fps,
            "host_us": self._dispatch_us(call),
            "levels": self._levels(np.asarray(call.start())) if variant.part == "whole" else None,
            "compile_s": compile_s,
            **counts(run.as_text()),
        }

    def _dispatch_us(self, call: Call) -> float:
        """Microseconds of the host a frame, nothing being in the way; the best of five."""
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            output = call.start()
            times.append(time.perf_counter() - begin)
            call.finish(output)
        return min(times) * 1e6

    def _levels(self, output: np.ndarray) -> int | None:
        if self.expected is None:
            run, params = self.compile(VARIANTS["as it is"])
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


COLUMNS = ("bias conv", "conv", "cudnn fusion", "gemm", "fusion", "copy")


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
        write_json(options.json, {"output": options.output, "member": options.member, "rows": rows})


if __name__ == "__main__":
    main()
