"""Numbers on the CPU: faulty fusions are off in every program, and programs equal references in float64."""

import ast
import pathlib

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import pytest
from skimage.color import rgb2ycbcr

import dysr_jax
from dysr_jax import compiling, parallel
from dysr_jax.compiling import Jitted, exact_options, jit
from dysr_jax.data.augment import shuffle_channels
from dysr_jax.metrics import mse_y
from dysr_jax.model.programs import branch_part, head_part, lower_static, make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import Supernet
from dysr_jax.search.evaluator import Evaluator
from dysr_jax.search.population import Patches
from dysr_jax.train.config import TrainConfig
from dysr_jax.train.losses import group_loss, passages_design
from dysr_jax.train.passages import draw_passages

FAULTY = jaxlib.__version__ == "0.10.2"
SIDE = 182
"""A square of it has more pixels than XLA's threads take at once (32,768): from there the fault shows."""
PRODUCTS = 32_769
SPACE = uniform_space(slots=2, widths=4, scale=2)
WIDE = uniform_space(slots=1, widths=4, scale=2, branches=("id", "s3", "bq", "a1"))


# --- the fault itself ---------------------------------------------------------------------------------


def squared_norms(x, matrix):
    """jax-ml/jax#39103: a product, squared and summed over its channels."""
    return jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2))(x)


def off_by(found, numbers):
    expected = numbers.astype(float) ** 2
    return np.max(np.abs(np.asarray(found, float) - expected) / np.maximum(expected, 1))


@pytest.fixture(scope="module")
def operands():
    numbers = np.arange(PRODUCTS, dtype=np.float32)
    x = np.stack([numbers, np.zeros_like(numbers), np.zeros_like(numbers)], 1)
    return numbers, (x, np.eye(3, dtype=np.float32))


def test_xla_alone_returns_wrong_numbers(operands):
    """What the others guard against; where this version is right, only that they would see the fault."""
    numbers, arguments = operands
    run = jax.jit(squared_norms).lower(*arguments).compile()
    assert "__ynn_fusion" in run.as_text()
    if not FAULTY:
        pytest.skip(f"jaxlib {jaxlib.__version__} fuses this rightly")
    assert off_by(run(*arguments), numbers) > 1e-3


def test_compiled_as_this_package_compiles_they_are_right(operands):
    numbers, arguments = operands
    assert off_by(jit(squared_norms)(*arguments), numbers) < 1e-6
    assert "__ynn_fusion" not in jit(squared_norms).lower(*arguments).compile().as_text()


# --- nothing is compiled otherwise ----------------------------------------------------------------------


def test_every_program_is_compiled_by_the_one_function():
    """`jax.jit` stands in two places: in `compiling`, and where a static program has options of its own."""
    package = pathlib.Path(dysr_jax.__file__).parent
    users = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("jit", "pmap")
    }
    assert users == {"compiling.py", "model/programs.py"}


def test_the_options_are_the_cpu_s_alone(monkeypatch):
    assert exact_options() == compiling.WITHOUT_YNN
    monkeypatch.setattr(compiling, "_is_known", lambda: False)
    assert exact_options() == {}
    monkeypatch.undo()
    gpu = type("Gpu", (), {"platform": "gpu"})
    monkeypatch.setattr(compiling, "default_device", lambda: gpu)
    assert exact_options() == {}


def test_xla_that_has_no_such_option_is_not_told(monkeypatch):
    assert compiling._is_known.__wrapped__()
    monkeypatch.setattr(compiling, "WITHOUT_YNN", {"xla_cpu_no_such_option": ""})
    assert not compiling._is_known.__wrapped__()


def test_a_jitted_function_can_be_a_part_of_another():
    doubled = jit(lambda x: 2 * x)
    assert jax.jit(lambda x: doubled(x) + 1)(1.0) == 3.0
    assert jax.grad(doubled)(1.0) == 2.0
    assert jax.eval_shape(doubled, 1.0).shape == ()
    assert isinstance(doubled, jax.stages.Wrapped)


def fused(text):
    return text.count("__ynn_fusion")


def test_static_programs_and_stages_have_no_such_fusion(noisy_params):
    net, params = make_supernet(WIDE, "float32"), noisy_params(WIDE)
    for arch in ((1, 0), (2, 1), (3, 0)):
        assert fused(lower_static(net, arch, params, (24, 32)).compile().as_text()) == 0
    frame = (24, 32, 3)
    parts = [head_part(net, params, frame, 4), branch_part(net, params, 0, 2, 4, frame)]
    for part in parts:
        assert isinstance(part.program, Jitted)
        assert fused(part.lower().compile().as_text()) == 0


# --- numbers ----------------------------------------------------------------------------------------------


def in_float64(function, *arguments):
    """One operation after the other, so that nothing is fused, in float64."""
    wide = jax.tree.map(
        lambda x: np.asarray(x, float) if np.asarray(x).dtype == np.float32 else np.asarray(x), arguments
    )
    with jax.enable_x64(True), jax.disable_jit():
        return jax.device_get(function(*wide))


def assert_close(found, expected, bound):
    """Each leaf, against its largest value."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    for mine, reference in pairs:
        error = np.abs(np.asarray(mine, float) - reference).max()
        assert error <= bound * max(np.abs(reference).max(), 1e-3)


@pytest.mark.parametrize(
    ("name", "upsampler"), [("id", 0), ("s3", 1), ("c5", 0), ("bq", 1), ("r2", 0), ("a1", 0)]
)
def test_every_branch_in_a_large_image(name, upsampler, noisy_params):
    params = noisy_params(SPACE)
    index = SPACE.body[0].index(name)
    image = np.random.default_rng(0).uniform(size=(1, SIDE, SIDE, 3)).astype(np.float32)

    def program(dtype):
        net = Supernet(SPACE, dtype=dtype)
        return lambda params, image: net.apply({"params": params}, image, (index, 0, upsampler))

    found = jit(program(jnp.float32))(params, image)
    assert_close(found, in_float64(program(jnp.float64), params, image), 2e-6)


@pytest.mark.parametrize("archs", ["group", "patch"])
def test_loss_and_gradient(archs, noisy_params):
    """The training step's, of the sandwich: static, search or masked programs, L1 and distillation."""
    config = TrainConfig(archs=archs, batch=4)
    space = uniform_space(slots=1, widths=4, scale=2, branches=("id", "a1"), upsamplers=("u1",))
    params, rng = noisy_params(space), np.random.default_rng(0)
    lr = rng.uniform(size=(4, 96, 96, 3)).astype(np.float32)
    hr = rng.uniform(size=(4, 192, 192, 3)).astype(np.float32)
    drawn = np.array([[1, 0]], np.int32)
    if archs == "patch":
        drawn = np.asarray(draw_passages(jax.random.key(0), passages_design(space, config)))
        assert {*drawn[:, 0].tolist()} == {0, 1}

    def step(dtype):
        net = Supernet(space, dtype=dtype)
        loss = jax.value_and_grad(group_loss, has_aux=True)
        return lambda params, lr, hr: loss(params, net, lr, hr, jnp.asarray(drawn), config)

    found = jit(step(jnp.float32))(params, lr, hr)
    # A bias's gradient is a sum of 150,000 numbers of both signs, in float32: the fault is 20 times that.
    assert_close(found, in_float64(step(jnp.float64), params, lr, hr), 1e-4)


def luma_mse(output, hr):
    """By scikit-image, as the tables' PSNR-Y takes it: uint8, rounded luma, `scale` pixels cut off."""
    planes = [np.round(rgb2ycbcr(image))[..., 0] for image in (output, hr)]
    return np.mean((planes[0] - planes[1])[..., 2:-2, 2:-2] ** 2, (-2, -1))


def test_the_error_of_large_images():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, SIDE, SIDE, 3)).astype(np.uint8)
    found = jit(mse_y, static_argnums=2)(*images, 2)
    np.testing.assert_allclose(found, luma_mse(*images), rtol=1e-6)


def test_a_population(noisy_params):
    """On as many pixels: the evaluator's executable, against each arch in float64."""
    params, rng = noisy_params(WIDE, 0.3), np.random.default_rng(0)
    lr = rng.integers(0, 256, (2, 130, 130, 3)).astype(np.uint8)
    hr = rng.integers(0, 256, (2, 260, 260, 3)).astype(np.uint8)
    patches = Patches(jnp.asarray(lr), jnp.asarray(hr), jnp.arange(2, dtype=jnp.int32))
    mesh = parallel.device_mesh(1)
    genes = np.array([[0, 0], [1, 1], [2, 0], [3, 1]], np.int32)
    evaluate = Evaluator(make_supernet(WIDE, "float32"), patches, mesh)
    found = evaluate(parallel.replicate(params, mesh), genes)
    assert [fused(run.as_text()) for run in evaluate._executables.values()] == [0]
    net = Supernet(WIDE, dtype=jnp.float64)
    for gene, value in zip(genes, found, strict=True):
        arch = tuple(gene.tolist())
        output = in_float64(lambda p, x, arch=arch: net.apply({"params": p}, x / 255.0, arch), params, lr)
        pixels = np.round(np.clip(output, 0, 1) * 255).astype(np.uint8)
        psnr = np.mean(10 * np.log10(255**2 / luma_mse(pixels, hr)))
        assert value == pytest.approx(psnr, abs=2e-4)


def test_colours_are_permuted_exactly():
    """A product with a permutation: every value is one of those that went in."""
    batch = np.random.default_rng(0).uniform(size=(4, 96, 96, 3)).astype(np.float32)
    (found,) = jit(shuffle_channels)(jax.random.key(0), batch)
    np.testing.assert_array_equal(np.sort(np.asarray(found), -1), np.sort(batch, -1))
    assert (np.asarray(found) != batch).any()
