"""Executables that outlive the process: a local cache on disk, so that a second start compiles nothing.

A serialised executable is a pickle, and loading one runs code. So this is a cache and no format to pass on:
only files that this user alone can have written are read, and only what has the right digest is loaded.
Whatever is wrong with a file (another version or device, damage, an owner), the executable is compiled again;
so is one that loads and fails when it runs.
"""

import contextlib
import hashlib
import json
import pathlib
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import jax
import numpy as np
from jax.experimental import serialize_executable

from dysr_jax.aot.compilations import LOADED
from dysr_jax.aot.fingerprint import Parts, environment, shapes
from dysr_jax.aot.memory import generated_bytes
from dysr_jax.aot.private_files import read_private, trim, write_private
from dysr_jax.device import cache_directory, default_device

LIMIT_BYTES: Final = 2**30
"""What may lie on disk; what was not used for longest goes first."""

SUFFIX: Final = ".executable"

_MAGIC: Final = b"dysr_jax executable 1\n"

Build = Callable[[], jax.stages.Compiled]


class Executable:
    """A program that is ready to run: called with its arguments, by position.

    Args:
        compiled: the program.
        code_bytes: of its generated code; where the backend does not tell (the CPU), of the serialised
            executable.
        replacement: compiles the program anew. Given for a program that came from disk, which is not
            trusted before its first call returns: that call waits for its result.
    """

    def __init__(
        self, compiled: jax.stages.Compiled, code_bytes: int, replacement: Build | None = None
    ) -> None:
        self.compiled = compiled
        self.code_bytes = code_bytes
        self._replacement = replacement

    def __call__(self, *arguments: Any) -> Any:
        """Start to compute; the result is ready later."""
        if self._replacement is None:
            return self.compiled(*arguments)
        return self._first_call(self._replacement, arguments)

    def _first_call(self, replacement: Build, arguments: tuple[Any, ...]) -> Any:
        try:
            result = jax.block_until_ready(self.compiled(*arguments))
        except RuntimeError:  # JAX's own errors are of this kind
            self.compiled = replacement()
            result = self.compiled(*arguments)
        self._replacement = None
        return result


def compiled_executable(compiled: jax.stages.Compiled) -> Executable:
    """An executable that was compiled without a cache."""
    return Executable(compiled, generated_bytes(compiled) or len(_serialised(compiled) or b""))


class ExecutableCache:
    """Executables by key, in files of this user. Threads may share one.

    Args:
        folder: where they lie; default `executables` in `DYSR_CACHE_DIR`, else in the user's cache folder.
        limit: bytes that may lie there.
    """

    def __init__(self, folder: pathlib.Path | None = None, *, limit: int = LIMIT_BYTES) -> None:
        self.limit = limit
        self._folder = folder
        self.loaded = 0
        """How many came from disk."""
        self.compiled = 0
        """How many were compiled."""
        self.failed = 0
        """How many of those from disk failed when they ran; they were compiled too."""
        self._counting = threading.Lock()

    @property
    def folder(self) -> pathlib.Path:
        """Where the files lie now."""
        return cache_directory() / "executables" if self._folder is None else self._folder

    def get(self, key: Parts, arguments: tuple[Any, ...], build: Build, *, result: Any = 0) -> Executable:
        """The executable of this key: loaded, else compiled and written for the next time.

        Args:
            key: all that the program follows from, as JSON has it; versions, device and the arguments'
                shapes are added here.
            arguments: what it is called with, by position: pytrees of arrays or of their shapes.
            build: compiles it for `dysr_jax.device.default_device`.
            result: a pytree of the structure of what it returns; default one array.
        """
        parts = {"key": key, "arguments": shapes(arguments), **environment(default_device())}
        text = json.dumps(parts, sort_keys=True).encode()
        path = self.folder / (hashlib.sha256(text).hexdigest() + SUFFIX)

        def store() -> Executable:
            """Compile, and write what can be loaded again; whatever prevents it, the executable is good."""
            compiled = build()
            payload = _serialised(compiled)
            if payload is not None and _is_whole(payload, arguments, result):
                with contextlib.suppress(OSError):
                    write_private(path, _packed(text, payload))
                    trim(self.folder, SUFFIX, self.limit)
            return Executable(compiled, generated_bytes(compiled) or len(payload or b""))

        def replacement() -> jax.stages.Compiled:
            self._count(compiled=1, failed=1)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)  # also where what is compiled now cannot be written
            return store().compiled

        loaded = _load(path, text, arguments, result)
        if loaded is None:
            self._count(compiled=1)
            return store()
        self._count(loaded=1)
        compiled, payload_bytes = loaded
        return Executable(compiled, generated_bytes(compiled) or payload_bytes, replacement)

    def _count(self, *, loaded: int = 0, compiled: int = 0, failed: int = 0) -> None:
        with self._counting:
            self.loaded += loaded
            self.compiled += compiled
            self.failed += failed


DEFAULT_CACHE: Final = ExecutableCache()
"""The user's."""


def _packed(key: bytes, payload: bytes) -> bytes:
    content = key + b"\n" + payload
    return _MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _load(
    path: pathlib.Path, key: bytes, arguments: tuple[Any, ...], result: Any
) -> tuple[jax.stages.Compiled, int] | None:
    """The program and its bytes on disk; None: there is none, or none that may and can be loaded."""
    start = time.perf_counter()
    try:
        file = read_private(path)
    except OSError:
        return None
    payload = file[len(_packed(key, b"")) :]
    if _packed(key, payload) != file:
        return None
    compiled = _deserialised(payload, arguments, result)
    if compiled is None:
        return None
    jax.monitoring.record_event_duration_secs(LOADED, time.perf_counter() - start)
    return compiled, len(payload)


def _serialised(run: jax.stages.Compiled) -> bytes | None:
    """A pickle of it; None where the backend has no such thing."""
    try:
        return serialize_executable.serialize(run)[0]
    except Exception:  # it depends on the backend what it raises
        return None


def _deserialised(payload: bytes, arguments: tuple[Any, ...], result: Any) -> jax.stages.Compiled | None:
    """The executable, for the default device; None where it cannot be loaded. Unpickling runs what is in it.

    The structures of arguments and result are known, so that none has to be pickled.
    """
    device = default_device()
    try:
        return serialize_executable.deserialize_and_load(
            payload,
            jax.tree.structure((arguments, {})),
            jax.tree.structure(result),
            backend=device.client,
            execution_devices=[device],
        )
    except Exception:  # it depends on the backend what it raises
        return None


def _is_whole(payload: bytes, arguments: tuple[Any, ...], result: Any) -> bool:
    """Whether what was serialised can be loaded, and runs.

    On the CPU functions are missing where JAX took the executable from its own cache: where it has one,
    the program runs once to know.
    """
    loaded = _deserialised(payload, arguments, result)
    if loaded is None or not jax.config.jax_compilation_cache_dir:
        return loaded is not None
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), arguments)
    try:
        jax.block_until_ready(loaded(*zeros))
    except RuntimeError:  # JAX's own errors are of this kind
        return False
    return True
