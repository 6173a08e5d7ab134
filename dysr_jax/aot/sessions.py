"""ONNX Runtime beside XLA: sessions of frames over shared weights and one arena, by the name of a backend.

A backend is `auto` (XLA), `xla`, `onnxruntime`, which runs on the CPU, or `onnxruntime:PROVIDER` with an
execution provider of this installation, `CUDAExecutionProvider` or, in short, `cuda`.
"""

import contextlib
import functools
from typing import Any, Final

import chex
import numpy as np

from dysr_jax.aot.onnx_graph import FrameModel, import_extra
from dysr_jax.errors import InputError
from dysr_jax.fields import require

XLA_BACKENDS: Final = ("auto", "xla")
ONNX_RUNTIME: Final = "onnxruntime"
CPU_PROVIDER: Final = "CPUExecutionProvider"

_QUIET: Final = 4  # ONNX Runtime's severity of what is fatal: errors are raised, and told by us
_SUFFIX: Final = "ExecutionProvider"


def find_provider(backend: str) -> str | None:
    """The execution provider that a backend names; None: XLA.

    Raises `InputError`: another backend, ONNX Runtime or `onnx` that is not installed, or a provider that
    this installation lacks.
    """
    if backend in XLA_BACKENDS:
        return None
    name, colon, asked = str(backend).partition(":")
    known = name == ONNX_RUNTIME and bool(asked) == bool(colon)
    require(known, "backend", backend, "auto, xla, onnxruntime or onnxruntime:PROVIDER")
    import_extra("onnx")
    there = import_extra(ONNX_RUNTIME).get_available_providers()
    for provider in there:
        if (asked or CPU_PROVIDER).lower() in (provider.lower(), _short(provider)):
            return provider
    names = ", ".join(map(_short, there))
    raise InputError(f"backend {backend!r}: must name a provider of this ONNX Runtime, which has {names}")


def _short(provider: str) -> str:
    return provider.removesuffix(_SUFFIX).lower()


def backend_name(backend: str) -> str:
    """What figures of a backend are told apart by, `onnxruntime 1.32.0 cpu`; empty for XLA."""
    provider = find_provider(backend)
    if provider is None:
        return ""
    return f"{ONNX_RUNTIME} {import_extra(ONNX_RUNTIME).__version__} {_short(provider)}"


@functools.cache
def _share_arena() -> None:
    """Make one arena for all sessions of this process that ask for it."""
    runtime = import_extra(ONNX_RUNTIME)
    kind = runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    memory = runtime.OrtMemoryInfo("Cpu", kind, 0, runtime.OrtMemType.DEFAULT)
    with contextlib.suppress(Exception):  # another part of the program made one: that is shared then
        runtime.create_and_register_allocator(memory, None)


class WeightPool:
    """Weights that sessions have in common, by name."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self.bytes = 0

    def values(self, weights: dict[str, np.ndarray]) -> list[Any]:
        """The weights as ONNX Runtime's; those that are new are added."""
        make = import_extra(ONNX_RUNTIME).OrtValue.ortvalue_from_numpy
        for name, array in weights.items():
            if name not in self._values:
                self._values[name] = make(array)
                self.bytes += array.nbytes
        return [self._values[name] for name in weights]


class Session:
    """A model of frames in ONNX Runtime, of any frame shape. Any thread may call it.

    Raises `InputError`: the provider cannot be started or does not take the model; in a call, the frame.
    """

    def __init__(self, model: FrameModel, provider: str, pool: WeightPool) -> None:
        _share_arena()
        runtime = import_extra(ONNX_RUNTIME)
        options = runtime.SessionOptions()
        options.log_severity_level = _QUIET
        for entry in ("session.use_env_allocators", "session.record_ep_graph_assignment_info"):
            options.add_session_config_entry(entry, "1")
        self._kept = pool.values(model.weights)  # the session reads them as long as it lives
        if model.weights:
            options.add_external_initializers(list(model.weights), self._kept)
        self._provider = provider
        try:
            chosen = list(dict.fromkeys([provider, CPU_PROVIDER]))
            self._session = runtime.InferenceSession(model.content, options, providers=chosen)
        except Exception as error:  # of classes that are in no public module
            raise InputError(f"provider {provider}: {_first_line(error)}") from None
        self._input = self._session.get_inputs()[0].name
        # It would only warn, or say nothing, and compute on the CPU.
        computing = {part.ep_name for part in self._session.get_provider_graph_assignment_info()}
        if provider not in computing:
            raise InputError(f"provider {provider}: cannot be started on this machine, or takes no layer")

    def __call__(self, frame: chex.Array) -> np.ndarray:
        """`[H, W, 3]` uint8 to `[s H, s W, 3]` uint8, on the host."""
        try:
            return self._session.run(None, {self._input: np.asarray(frame)[None]})[0][0]
        except Exception as error:
            size = f"{frame.shape[1]}x{frame.shape[0]}"
            raise InputError(f"provider {self._provider}: a frame of {size}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
