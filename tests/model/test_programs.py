"""What XLA is told for static programs, by device."""

import types

import jax
import jax.numpy as jnp
import pytest

from dysr_jax.compiling import exact_options
from dysr_jax.model import programs
from dysr_jax.model.programs import compile_static, compiler_options, make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import arch_params, init_params


@pytest.mark.parametrize(
    ("device", "graph"),
    [
        ({}, False),
        ({"compute_capability": "8.6"}, False),
        ({"compute_capability": "9.0"}, True),
        ({"compute_capability": "12.0"}, True),
        ({"compute_capability": "gfx942"}, False),
    ],
)
def test_a_frame_is_one_graph_where_that_was_found_to_help(device, graph, monkeypatch):
    monkeypatch.setattr(programs, "default_device", lambda: types.SimpleNamespace(**device))
    options = compiler_options()
    assert ("CONVOLUTION" in str(options.get("xla_gpu_enable_command_buffer"))) is graph
    assert ("xla_gpu_graph_min_graph_size" in options) is graph
    assert graph or options == exact_options()


def test_xla_knows_the_options_and_they_change_no_pixel(monkeypatch):
    """They are of debug options that every backend parses; the CPU's has no use for them."""
    net = make_supernet(uniform_space(slots=1, widths=8, scale=2, branches=("id", "c3")), "float32")
    params = init_params(jax.random.key(0), net.space)
    frame = jax.random.randint(jax.random.key(1), (6, 7, 3), 0, 256).astype(jnp.uint8)
    plain = compile_static(net, (1, 0), params, (6, 7))
    hopper = types.SimpleNamespace(compute_capability="9.0")
    monkeypatch.setattr(programs, "default_device", lambda: hopper)
    told = compile_static(net, (1, 0), params, (6, 7))
    read = arch_params(params, net.space, (1, 0))
    assert (told(read, frame) == plain(read, frame)).all()
