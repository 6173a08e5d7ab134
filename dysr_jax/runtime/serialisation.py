"""Executables to bytes and back, where the backend can."""

from typing import Any

import jax
import numpy as np
from jax.experimental import serialize_executable

from dysr_jax.device import default_device


def serialised(run: jax.stages.Compiled) -> bytes | None:
    """A pickle of it; None where the backend has no such thing."""
    try:
        return serialize_executable.serialize(run)[0]
    except Exception:  # it depends on the backend what it raises
        return None


def deserialised(
    payload: bytes, arguments: tuple[Any, ...], result: Any
) -> jax.stages.Compiled | None:
    """The executable, for the default device; None where it cannot be loaded.

    It is unpickled, which runs what is in it.

    Args:
        payload: what `serialised` gave.
        arguments: of the executable: arrays or their shapes.
        result: likewise; its structure is known, so that none has to be pickled.
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


def is_whole(payload: bytes, arguments: tuple[Any, ...], result: Any) -> bool:
    """Whether what was serialised can be loaded, and runs.

    On the CPU functions are missing where JAX took the executable from its own cache: where it has one,
    the program runs once to know.
    """
    loaded = deserialised(payload, arguments, result)
    if loaded is None or not jax.config.jax_compilation_cache_dir:
        return loaded is not None
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), arguments)
    try:
        jax.block_until_ready(loaded(*zeros))
    except RuntimeError:  # JAX's own errors are of this kind
        return False
    return True
