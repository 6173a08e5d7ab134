"""The static program in variants: what frame_variants.py measures."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeGuard

import chex
import jax
import jax.numpy as jnp
from jax import lax

from dysr_jax.metrics import to_uint8
from dysr_jax.model import (
    Arch,
    Branch,
    Kernels,
    KernelSpec,
    LayerBackend,
    Params,
    ResidualPair,
    Supernet,
    add_skip,
    arch_width,
    pixel_shuffle,
    run_branch,
    run_head,
    slot_name,
)

IN_GRAPHS = "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN"
"""XLA's default: cuDNN's convolutions are launched one by one by the host."""


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
    "XLA's defaults": Variant("stored"),
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

    def __call__(self, kernels: Kernels, x: chex.Array, layers: LayerBackend) -> chex.Array:
        """See the class."""
        y = jax.nn.relu(layers.conv2d(x, kernels["pair_in"]) + kernels["pair_in_bias"])
        return layers.conv2d(y, kernels["pair_out"]) + kernels["pair_out_bias"]


def _kernels(params: Params, name: str, dtype: Any) -> dict[str, chex.Array]:
    return {key: value.astype(dtype) for key, value in params.get(name, {}).items()}


def program(net: Supernet, arch: Arch, variant: Variant) -> Callable[..., chex.Array]:
    """`(params, frame) -> frame`, or of a part of it, from its own functions."""
    space, width = net.space, arch_width(net.space, arch)

    def slot(params: Params, index: int, x: chex.Array) -> chex.Array:
        kernels = _kernels(params, slot_name(space, index), net.dtype)
        branch = space.branches(index)[arch[index]]
        if variant.residual == "outside" and _is_plain_pair(branch):
            return x + lax.optimization_barrier(run_branch(net, _Alone(branch), kernels, x))
        return run_branch(net, branch, kernels, x)

    def run(params: Params, frame: chex.Array) -> chex.Array:
        lr = frame[None].astype(jnp.float32) / 255.0
        if variant.part in ("whole", "head"):
            x = run_head(_kernels(params, "head", net.dtype), lr, net.dtype, width)
        else:  # something of the trunk's shape that costs little
            x = jnp.tile(lr.astype(net.dtype), width // 3 + 1)[..., :width]
        if variant.part in ("whole", "trunk"):
            for index in range(len(space.body)):
                x = slot(params, index, x)
        if variant.part in ("head", "trunk"):
            return x
        x = add_skip(slot(params, len(space.body), x), lr, space.scale)
        return TAILS[variant.tail](x, space.scale)[0]

    return run
