"""What a device can do, as a yardstick: the rate of its matrix products."""

from typing import Any

import jax
import jax.numpy as jnp

from dysr_jax.compiling import jit
from dysr_jax.timing import median_ms


def matrix_flops(dtype: Any, rounds: int = 7) -> float:
    """FLOP/s of a large square matrix product in `dtype` on the first device, random operands."""
    side = 1024 if jax.default_backend() == "cpu" else 8192
    left, right = jax.random.normal(jax.random.key(0), (2, side, side), dtype)
    product = jit(jnp.matmul)
    return 2 * side**3 / median_ms({"": lambda: product(left, right)}, rounds)[""] * 1e3
