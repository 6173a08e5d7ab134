"""What an executable depends on besides its program (versions, device, flags), and digests of programs.

Where two of these differ, XLA may make other code, or code that the device cannot run.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import pathlib
import platform
from collections.abc import Iterable
from typing import Any, Final

import jax

from dysr_jax.device import device_name
from dysr_jax.model import Branch, LayerBackend

Parts = dict[str, Any]
"""Parts of a cache key, as JSON values."""

_PACKAGE: Final = pathlib.Path(__file__).parents[1]
_CPUINFO: Final = pathlib.Path("/proc/cpuinfo")
_LIBRARIES: Final = ("dysr_jax", "flax", "jax", "jaxlib")
_BACKENDS: Final = (
    *(f"jax-cuda{version}-{part}" for version in (12, 13) for part in ("plugin", "pjrt")),
    *("nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "nvidia-cublas-cu12", "nvidia-cublas", "libtpu"),
)
_VARIABLES: Final = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")
_OPTIONS: Final = (
    *("jax_debug_infs", "jax_debug_nans", "jax_default_matmul_precision", "jax_disable_most_optimizations"),
    *("jax_enable_x64", "jax_exec_time_optimization_effort", "jax_memory_fitting_effort"),
    "jax_optimization_level",
)
_CPU_FIELDS: Final = {
    *("vendor_id", "model name", "cpu family", "model", "stepping", "flags"),  # x86
    *("Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part"),  # Arm
    *("isa", "uarch"),  # RISC-V
}


def environment(device: jax.Device) -> Parts:
    """Everything besides the program on which its executable for a device depends."""
    parts = {
        "versions": _versions(_LIBRARIES),
        "platform": [device.platform, device.client.platform_version],
        "device": [str(device.device_kind), device.id],
        "variables": {name: os.environ.get(name) for name in _VARIABLES},
        "options": {name: str(getattr(jax.config, name, None)) for name in _OPTIONS},
    }
    if device.platform == "cpu":
        return parts | {"cpu": _cpu()}
    return parts | {"backend": _versions(_BACKENDS)}


@functools.cache
def _versions(names: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


@functools.cache
def _cpu() -> list[str]:
    """Model, cores and a digest of the features: code that uses a missing feature would crash.

    Where the system does not list features, the machine's name takes their place.
    """
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        lines = []
    told = sorted({line for line in lines if line.partition(":")[0].strip() in _CPU_FIELDS})
    features = _digest("\n".join(told)) if told else platform.node()
    return [device_name(), platform.machine(), features]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def sources_digest() -> str | None:
    """A digest of the package's source files; None where there are none."""
    files, digest = sorted(_PACKAGE.rglob("*.py")), hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(_PACKAGE)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest() if files else None


def branches_digest(branches: Iterable[Branch | LayerBackend]) -> str | None:
    """A digest of the code of branches and layer backends, untraced: sources of the package, and options.

    None if the code is not known, because a class or an option's value comes from elsewhere.
    """
    sources, options = sources_digest(), []
    for branch in branches:
        kind = type(branch)
        values = sorted(vars(branch).items())
        plain = all(type(value) in (bool, int, float, str) for _, value in values)
        if not plain or not kind.__module__.startswith("dysr_jax."):
            return None
        options.append(f"{kind.__module__}.{kind.__qualname__} {values}")
    return sources and _digest("\n".join([sources, *options]))


def lowered_digest(lowered: jax.stages.Lowered) -> str:
    """A digest of a program's StableHLO text."""
    return _digest(lowered.as_text())


def shapes(tree: Any) -> list[str]:
    """A pytree's structure, and the shape and dtype of every leaf (arrays, or their shapes)."""
    leaves, structure = jax.tree.flatten(tree)
    return [str(structure), *(f"{leaf.dtype} {list(leaf.shape)}" for leaf in leaves)]
