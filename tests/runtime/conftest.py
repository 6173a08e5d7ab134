"""For tests of what is compiled and what is loaded."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from dysr_jax.aot.executables import ExecutableCache


@pytest.fixture
def compiling():
    """XLA compiles all: what JAX takes from its own cache on the CPU cannot be serialised whole."""
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()


@pytest.fixture
def cache(tmp_path, monkeypatch, compiling):
    """The user's, which is empty."""
    monkeypatch.setenv("DYSR_CACHE_DIR", str(tmp_path / "cache"))
    return ExecutableCache()
