"""`jit` with the compiler options that right numbers need.

Since jaxlib 0.10.2 XLA's CPU backend hands some fusions to YNNPACK that return wrong numbers: a product that
is squared and summed over its channels (jax-ml/jax#39103), and the sum of a broadcast array, which differs
from call to call (tensorflow/tensorflow#126812); later versions too. So the fusions are off in all.
"""

import functools
from collections.abc import Callable
from typing import Any, Final

import jax
import numpy as np

from dysr_jax.device import default_device

Options = dict[str, Any]
"""XLA's options by name."""

WITHOUT_YNN: Final[Options] = {"xla_cpu_experimental_ynn_fusion_type": ""}  # no operation starts a fusion


def exact_options() -> Options:
    """Compiler options that right numbers need on the default device; none on accelerators."""
    return dict(WITHOUT_YNN) if default_device().platform == "cpu" and _is_known() else {}


@functools.cache
def _is_known() -> bool:
    """Whether this XLA has the option, which is experimental."""
    try:
        jax.jit(lambda x: x, compiler_options=WITHOUT_YNN).lower(np.float32(0)).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


class Jitted:
    """`jax.jit` of a function, with its options and `exact_options`, which are looked up when it runs."""

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._options = options
        self._by_told: dict[frozenset[tuple[str, Any]], Any] = {}

    def _told(self, options: Options) -> Any:
        key = frozenset(options.items())
        if key not in self._by_told:
            self._by_told[key] = jax.jit(self._function, compiler_options=options or None, **self._options)
        return self._by_told[key]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it. Inside another program it is a part of that one, whose options count."""
        leaves = jax.tree.leaves((args, kwargs))
        inside = any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
        return self._told({} if inside else exact_options())(*args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> jax.stages.Lowered:
        """As the method of `jax.jit`."""
        return self._told(exact_options()).lower(*args, **kwargs)

    def trace(self, *args: Any, **kwargs: Any) -> Any:
        """As the method of `jax.jit`; `jax.export` calls it."""
        return self._told(exact_options()).trace(*args, **kwargs)

    def clear_cache(self) -> None:
        """Forget what was compiled."""
        for jitted in self._by_told.values():
            jitted.clear_cache()


jit = Jitted
"""For all programs of this package that XLA compiles for more than one call."""


def exportable(function: Callable[..., Any]) -> Any:
    """`jax.jit` of a function, for `jax.export`: whoever compiles what that writes gives the options."""
    return jax.jit(function)
