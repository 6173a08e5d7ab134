"""Executables that outlive the process: a local cache on disk, so that a second start compiles nothing.

A serialised executable is a pickle, and loading one runs code. So this is a cache and no format to pass on:
only files that this user alone can have written are read, and only what has the right digest is loaded.
Whatever is wrong with a file, or with the run of what it held, the executable is compiled again.
"""

import contextlib
import hashlib
import json
import pathlib
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import jax
import numpy as np
from jax.experimental import serialize_executable
from jax.stages import Compiled

from dysr_jax.aot.accounting import LOADED, Memory, generated_bytes, tree_bytes, workspace_bytes
from dysr_jax.aot.fingerprint import Parts, environment, shapes
from dysr_jax.aot.private_files import read_private, trim, write_private
from dysr_jax.device import cache_directory, default_device

LIMIT_BYTES: Final = 2**30  # the largest size of the cache on disk; the least recently used files go first

SUFFIX: Final = ".executable"
NOTE_SUFFIX: Final = ".note"

_MAGIC: Final = b"dysr_jax executable 1\n"

Build = Callable[[], Compiled]


class Executable:
    """A program that is ready to run: called with its arguments, by position.

    One with a `replacement` came from disk: its first call waits, and compiles the program anew if it fails.
    """

    def __init__(
        self, compiled: Compiled, code_bytes: int, workspace: int = 0, replacement: Build | None = None
    ) -> None:
        self.compiled = compiled
        self.code_bytes = code_bytes  # where the backend does not tell (the CPU), when serialised
        self.workspace = workspace  # bytes of temporaries, result, and arguments other than weights
        self._replacement = replacement

    def __call__(self, *arguments: Any) -> Any:
        """Start to compute; the result is ready later."""
        if self._replacement is None:
            return self.compiled(*arguments)
        try:
            result = jax.block_until_ready(self.compiled(*arguments))
        except RuntimeError:  # JAX's own errors are of this kind
            self.compiled = self._replacement()
            result = self.compiled(*arguments)
        self._replacement = None
        return result


def compiled_executable(compiled: Compiled, weights: Any) -> Executable:
    """An executable that was compiled without a cache; `weights` is its first argument."""
    return _executable(compiled, weights, len(_serialised(compiled) or b""))


def _executable(
    compiled: Compiled, weights: Any, payload_bytes: int, replacement: Build | None = None
) -> Executable:
    workspace = workspace_bytes(compiled, tree_bytes(weights))
    return Executable(compiled, generated_bytes(compiled) or payload_bytes, workspace, replacement)


def executables_memory(weights: int, executables: Iterable[Executable]) -> Memory:
    """The sum of the executables' code and the largest workspace, beside the bytes of their weights."""
    each = list(executables)
    code = sum(executable.code_bytes for executable in each)
    workspaces = [executable.workspace for executable in each]
    return Memory(weights, code, max(workspaces, default=0), sum(workspaces))


class ExecutableCache:
    """Executables by key, in files of this user, of at most `limit` bytes. Threads may share one.

    `folder` is by default `executables` in `DYSR_CACHE_DIR`, or else in the user's cache folder.
    """

    def __init__(self, folder: pathlib.Path | None = None, *, limit: int = LIMIT_BYTES) -> None:
        self.limit = limit
        self._folder = folder
        self.loaded = 0  # how many came from disk
        self.compiled = 0  # how many were compiled
        self.failed = 0  # how many of those from disk failed when they ran; they were compiled too
        self._counting = threading.Lock()

    @property
    def folder(self) -> pathlib.Path:
        """The folder that holds the files now."""
        return cache_directory() / "executables" if self._folder is None else self._folder

    def get(self, key: Parts, arguments: tuple[Any, ...], build: Build, *, result: Any = 0) -> Executable:
        """The executable of this key: loaded, else compiled and written for the next time.

        `key` is everything that determines the program, as JSON; versions, device and the shapes of the
        `arguments` are added: pytrees of arrays or shapes, the weights first. `build` compiles it for the
        default device. `result` has the structure of its result; by default one array.
        """
        text, path = self._entry(key, arguments, SUFFIX)

        def store() -> Executable:
            """Compile the program, and write it if it can be loaded again; it is good either way."""
            compiled = build()
            payload = _serialised(compiled)
            if payload is not None and _is_whole(payload, arguments, result):
                with contextlib.suppress(OSError):
                    write_private(path, _packed(text, payload))
                    trim(self.folder, SUFFIX, self.limit)
            return _executable(compiled, arguments[0], len(payload or b""))

        def replacement() -> Compiled:
            self._count("compiled", "failed")
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)  # also where what is compiled now cannot be written
            return store().compiled

        loaded = _load(path, text, arguments, result)
        if loaded is None:
            self._count("compiled")
            return store()
        self._count("loaded")
        return _executable(loaded[0], arguments[0], loaded[1], replacement)

    def read_note(self, key: Parts, arguments: tuple[Any, ...]) -> str | None:
        """The text that was noted for a key (as of `get`); None where there is none that is whole."""
        text, path = self._entry(key, arguments, NOTE_SUFFIX)
        try:
            file = read_private(path)
        except OSError:
            return None
        content = file[len(_packed(text, b"")) :]
        return content.decode() if _packed(text, content) == file else None

    def write_note(self, key: Parts, arguments: tuple[Any, ...], note: str) -> None:
        """Note a line or two for a key, beside the executables; nothing where that fails."""
        text, path = self._entry(key, arguments, NOTE_SUFFIX)
        with contextlib.suppress(OSError):
            write_private(path, _packed(text, note.encode()))

    def _entry(self, key: Parts, arguments: tuple[Any, ...], suffix: str) -> tuple[bytes, pathlib.Path]:
        """All that a file depends on, and its path."""
        parts = {"key": key, "arguments": shapes(arguments), **environment(default_device())}
        text = json.dumps(parts, sort_keys=True).encode()
        return text, self.folder / (hashlib.sha256(text).hexdigest() + suffix)

    def _count(self, *kinds: str) -> None:
        with self._counting:
            for kind in kinds:
                setattr(self, kind, getattr(self, kind) + 1)


DEFAULT_CACHE: Final = ExecutableCache()
"""The user's cache."""


def _packed(key: bytes, payload: bytes) -> bytes:
    content = key + b"\n" + payload
    return _MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _load(
    path: pathlib.Path, key: bytes, arguments: tuple[Any, ...], result: Any
) -> tuple[Compiled, int] | None:
    """The program and its size on disk; None where there is no file that may and can be loaded."""
    start = time.perf_counter()
    try:
        file = read_private(path)
    except OSError:
        return None
    payload = file[len(_packed(key, b"")) :]
    compiled = _deserialised(payload, arguments, result) if _packed(key, payload) == file else None
    if compiled is None:
        return None
    jax.monitoring.record_event_duration_secs(LOADED, time.perf_counter() - start)
    return compiled, len(payload)


def _serialised(run: Compiled) -> bytes | None:
    """The executable as a pickle; None where the backend cannot make one."""
    try:
        return serialize_executable.serialize(run)[0]
    except Exception:  # what it raises depends on the backend
        return None


def _deserialised(payload: bytes, arguments: tuple[Any, ...], result: Any) -> Compiled | None:
    """The executable on the default device; None where it cannot be loaded. Unpickling runs code.

    The structures of arguments and result are known, so that none has to be pickled.
    """
    device = default_device()
    try:
        structures = jax.tree.structure((arguments, {})), jax.tree.structure(result)
        place = {"backend": device.client, "execution_devices": [device]}
        return serialize_executable.deserialize_and_load(payload, *structures, **place)
    except Exception:  # what it raises depends on the backend
        return None


def _is_whole(payload: bytes, arguments: tuple[Any, ...], result: Any) -> bool:
    """Whether a serialised executable can be loaded, and runs: where JAX has a cache, it runs once to see.

    On the CPU, functions are missing if JAX took the executable from its own cache.
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
