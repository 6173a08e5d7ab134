"""Bytes as XLA tells them, against what the shapes say."""

import jax
import jax.numpy as jnp
import numpy as np

from dysr_jax.aot.accounting import generated_bytes, tree_bytes, workspace_bytes

X = jax.ShapeDtypeStruct((32, 32), jnp.float32)


def compiled(function):
    return jax.jit(function).lower({"w": X}, X).compile()


def test_a_workspace_is_argument_result_and_temporaries():
    array = 32 * 32 * 4
    run = compiled(lambda p, x: p["w"] + x)
    assert workspace_bytes(run, array) == 2 * array  # fused: no temporaries
    assert workspace_bytes(run, 0) == 3 * array
    chain = compiled(lambda p, x: (p["w"] @ x) @ (x @ p["w"]))
    assert workspace_bytes(chain, array) >= 3 * array  # at least one product waits for the other


def test_a_backend_without_analysis_tells_zero():
    class Silent:
        def memory_analysis(self):
            return None

    assert generated_bytes(Silent()) == workspace_bytes(Silent(), 100) == 0


def test_generated_code_is_told_where_the_backend_knows():
    class Analysis:
        generated_code_size_in_bytes = 123

    class Told:
        def memory_analysis(self):
            return Analysis()

    assert generated_bytes(Told()) == 123


def test_a_shared_array_counts_once():
    x = np.zeros((2, 3), np.float32)
    assert tree_bytes({"a": x, "b": x, "c": x.astype(np.float16)}) == 24 + 12
