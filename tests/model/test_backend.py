"""Layer backends: another one is called, computes the same, and shares no executable with the first."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dysr_jax.aot.fingerprint import branches_digest
from dysr_jax.aot.static import stage_executable, static_executable
from dysr_jax.config import RunConfig, check
from dysr_jax.errors import InputError
from dysr_jax.model import backend as backends
from dysr_jax.model.backend import XlaLayers, layer_backend, register_backend
from dysr_jax.model.programs import branch_part, compile_static, make_supernet
from dysr_jax.model.space import largest_arch, uniform_space
from dysr_jax.search.latency import fit_table, load_table, save_table, table_key

SPACE = uniform_space(slots=1, widths=8, scale=2)
ARCHS = [(index, 1) for index in range(len(SPACE.body[0]))]
FRAME = (6, 7)


class PatchLayers(XlaLayers):
    """Dense convolutions as a matrix product over patches that XLA extracts; counts its calls."""

    def __init__(self):
        self.calls = {"conv2d": 0, "residual_pair": 0, "bottleneck": 0}

    def conv2d(self, x, kernel):
        self.calls["conv2d"] += 1
        sides = kernel.shape[:2]
        patches = lax.conv_general_dilated_patches(
            x, sides, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        # Patches come channel first: I, rows, columns.
        return patches @ kernel.transpose(2, 0, 1, 3).reshape(-1, kernel.shape[-1])

    def residual_pair(self, x, first, last):
        self.calls["residual_pair"] += 1
        return super().residual_pair(x, first, last)

    def bottleneck(self, x, shrink, middle, expand):
        self.calls["bottleneck"] += 1
        return super().bottleneck(x, shrink, middle, expand)


@pytest.fixture
def patch_layers(monkeypatch):
    """Registered as `patches` for one test."""
    monkeypatch.setattr(backends, "_BACKENDS", dict(backends._BACKENDS))
    layers = PatchLayers()
    register_backend("patches", layers)
    return layers


@pytest.fixture(scope="module")
def params(noisy_params):
    return noisy_params(SPACE)


def program(name):
    """`(params, arch) -> output` of one backend."""
    net = make_supernet(SPACE, "float32", layers=name)
    lr = np.random.default_rng(5).random((2, *FRAME, 3), np.float32)
    return lambda params, arch: net.apply({"params": params}, lr, arch)


def test_the_default_backend_is_xla():
    assert isinstance(layer_backend("xla"), XlaLayers)
    assert make_supernet(SPACE, "float32").layers == "xla" == RunConfig().layers


def test_another_backend_computes_every_branch(params, patch_layers):
    runs = [jax.jit(program(name)) for name in ("xla", "patches")]
    for arch in ARCHS:
        one, other = (run(params, np.array(arch, np.int32)) for run in runs)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert all(count > 0 for count in patch_layers.calls.values())


def test_another_backend_is_trained(params, patch_layers):
    def gradient(name):
        run = program(name)
        found = jax.jit(jax.grad(lambda params: jnp.mean(run(params, ARCHS[-1]) ** 2)))(params)
        return jax.tree.leaves(jax.device_get(found))

    for one, other in zip(gradient("xla"), gradient("patches"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * float(np.abs(one).max() + 1))
    assert patch_layers.calls["conv2d"] > 0


def test_static_programs_are_each_backend_s_own(params, patch_layers):
    arch = largest_arch(SPACE)
    nets = [make_supernet(SPACE, "float32", layers=name) for name in ("xla", "patches")]
    texts = [compile_static(net, arch, params, FRAME).as_text() for net in nets]
    assert texts[0] != texts[1]


def test_caches_do_not_mix_two_backends(params, patch_layers, cache, monkeypatch):
    made, compile_lowered = [], jax.stages.Lowered.compile

    def counted(lowered, *args, **kwargs):
        made.append(lowered)
        return compile_lowered(lowered, *args, **kwargs)

    monkeypatch.setattr(jax.stages.Lowered, "compile", counted)
    for name in ("xla", "patches", "xla", "patches"):
        net = make_supernet(SPACE, "float32", layers=name)
        part = branch_part(net, params, 0, len(ARCHS) - 1, SPACE.width, (*FRAME, 3))
        assert part.key.layers == name
        static_executable(net, ARCHS[-1], params, FRAME, cache=cache)
        stage_executable(net, part, cache=cache)
    assert len(made) == 4


def test_code_from_elsewhere_is_told_by_its_programs(patch_layers):
    assert branches_digest([layer_backend("xla")]) is not None
    assert branches_digest([layer_backend("patches")]) is None


def test_a_latency_table_is_of_one_backend(tmp_path):
    measured = {"id-u1": 1.0, "c3-u1": 2.0, "id-u2": 1.5}
    space = uniform_space(slots=1, widths=8, scale=2, branches=("id", "c3"))
    keys = {name: table_key(space, "float32", FRAME, layers=name) for name in ("xla", "patches")}
    for name, other in (("xla", "patches"), ("patches", "xla")):
        save_table(tmp_path / name, fit_table(space, measured, keys[name]))
        assert load_table(tmp_path / name, keys[name]).key == keys[name]
        with pytest.raises(InputError, match="is for layers"):
            load_table(tmp_path / name, keys[other])


@pytest.mark.parametrize(
    ("name", "message"),
    [("xla", "backend name 'xla' is taken; registered are xla"), ("", "must be text"), (3, "must be text")],
)
def test_a_name_is_given_once_and_is_text(name, message):
    with pytest.raises(InputError, match=message):
        register_backend(name, XlaLayers())


def test_an_unknown_backend_is_refused():
    for refused in (
        lambda: make_supernet(SPACE, "float32", layers="fast"),
        lambda: check(RunConfig(layers="fast"), 1),
    ):
        with pytest.raises(InputError, match=r"^layers must be one of xla, got 'fast'$"):
            refused()
