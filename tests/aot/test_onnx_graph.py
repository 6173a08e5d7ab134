"""ONNX models compute what static programs do, for every branch, width and scale, and others load them."""

import jax
import numpy as np
import onnx
import onnxruntime
import pytest

from dysr_jax.aot import onnx_graph
from dysr_jax.aot.onnx_graph import frame_model, import_extra, picture_model
from dysr_jax.errors import InputError
from dysr_jax.model.branches import BODY, Branch
from dysr_jax.model.kernels import KernelSpec
from dysr_jax.model.programs import frame_program, make_supernet
from dysr_jax.model.space import SearchSpace
from dysr_jax.model.upsamplers import UPSAMPLERS

FRAME = np.random.default_rng(3).integers(0, 256, (7, 10, 3), np.uint8)
SPACES = {scale: SearchSpace(((*BODY,), ("id", "a2")), (*UPSAMPLERS,), (4, 6), scale) for scale in (2, 3, 4)}
ARCHS = {
    **{name: (2, (index, 1, index % 2, index % 2)) for index, name in enumerate(BODY)},
    "x3": (3, (10, 0, 1, 0)),
    "x4": (4, (5, 0, 0, 1)),
}


@pytest.fixture(scope="module")
def made(noisy_params):
    return {scale: noisy_params(space, 0.2) for scale, space in SPACES.items()}


@pytest.fixture(scope="module")
def expected(made):
    """By the static programs, in one program per scale."""
    found = {}
    for scale, space in SPACES.items():
        archs = {name: arch for name, (own, arch) in ARCHS.items() if own == scale}
        program = frame_program(make_supernet(space, "float32"))
        run = jax.jit(
            lambda p, x, a=archs, f=program: {name: f(p, x[None], arch)[0] for name, arch in a.items()}
        )
        found |= run(made[scale], FRAME)
    return {name: np.asarray(frame).astype(int) for name, frame in found.items()}


def session(content):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", ARCHS)
def test_pixels_are_those_of_the_static_program(name, made, expected, capfd):
    scale, arch = ARCHS[name]
    content = frame_model(SPACES[scale], made[scale], arch).content
    frame = session(content).run(None, {"frame": FRAME[None]})[0][0]
    assert np.ptp(expected[name]) > 100
    assert np.abs(frame - expected[name]).max() <= 1
    model = picture_model(SPACES[scale], made[scale], arch)
    onnx.checker.check_model(model, full_check=True)
    planes = (FRAME.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    picture = session(model.SerializeToString()).run(None, {"input": planes})[0]
    assert np.abs(picture[0].transpose(1, 2, 0) * 255 - expected[name]).max() <= 0.51
    assert capfd.readouterr().err == ""  # no warning


def test_the_contract(made):
    scale, arch = ARCHS["bq"]
    model = picture_model(SPACES[scale], made[scale], arch, metadata={"arch": "some"})
    (given,), (output,) = model.graph.input, model.graph.output
    shown = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in (given, output)]
    assert shown == [["batch", 3, "height", "width"], ["batch", 3, "2*height", "2*width"]]
    assert (given.name, output.name) == ("input", "output")
    assert [each.version for each in model.opset_import] == [18]
    kinds = {node.op_type for node in model.graph.node}
    assert kinds <= {
        "Conv",
        "Relu",
        "Add",
        "Mul",
        "Sub",
        "Sigmoid",
        "GlobalAveragePool",
        "DepthToSpace",
        "Clip",
    }
    assert {entry.key: entry.value for entry in model.metadata_props} == {"arch": "some"}


def test_only_what_the_arch_reads_is_in_the_file(made):
    model = picture_model(SPACES[2], made[2], (0, 0, 0, 0))
    counts = {each.name: int(np.prod(each.dims)) for each in model.graph.initializer}
    head, upsampler, repeated = 27 * 4 + 4, 9 * 4 * 12 + 12, 3 * 12
    assert sum(count for count in counts.values() if count > 1) == head + upsampler + repeated


def test_a_fixed_shape_and_an_output_that_is_not_clamped(made):
    model = picture_model(SPACES[2], made[2], ARCHS["r1"][1], clamp=False, shape=(7, 10))
    assert [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim] == [0, 3, 14, 20]
    planes = (FRAME.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    run = session(model.SerializeToString())
    assert np.ptp(run.run(None, {"input": 4 * planes})[0]) > 1.5
    with pytest.raises(Exception, match="invalid dimensions"):
        run.run(None, {"input": planes[:, :, 1:]})


def test_float16_is_half_the_file_and_loses_little(made):
    arch = ARCHS["r2"][1]
    models = [picture_model(SPACES[2], made[2], arch, precision=p) for p in ("float32", "float16")]
    onnx.checker.check_model(models[1], full_check=True)
    sizes = [sum(len(each.raw_data) for each in model.graph.initializer) for model in models]
    assert sizes[1] == pytest.approx(sizes[0] / 2, abs=16)
    planes = (FRAME.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    exact, half = (session(m.SerializeToString()).run(None, {"input": planes})[0] for m in models)
    assert half.dtype == np.float32
    assert np.abs(exact - half).max() < 0.01


def test_members_have_the_weights_in_common_that_they_share(made):
    one, two = (frame_model(SPACES[2], made[2], arch, shared=True) for arch in ((9, 0, 0, 1), (9, 0, 1, 1)))
    common = one.weights.keys() & two.weights.keys()
    sizes = sorted(one.weights[name].size for name in common)
    assert sizes == sorted([27 * 6, 6, 9 * 6 * 6, 6, 9 * 6 * 6, 6, 9 * 6 * 12, 12, 36])
    assert len(one.content) < 4000  # the weights are not in it


def test_a_branch_without_a_form_says_how_to_get_one(monkeypatch, noisy_params):
    class Doubled(Branch):
        """Twice its input."""

        def reads(self, width, scale):
            return {"gain": KernelSpec((width,))}

        def __call__(self, kernels, x, layers):
            return 2 * x

    monkeypatch.setitem(BODY, "dd", Doubled())
    space = SearchSpace((("id", "dd"),), ("u1",), (4,), 2)
    params = noisy_params(space)
    with pytest.raises(InputError, match=r"^branch Doubled: must have a method `build` beside `__call__`"):
        frame_model(space, params, (1, 0))
    frame_model(space, params, (0, 0))


def test_an_upsampler_that_ends_otherwise_keeps_its_pixels(monkeypatch, noisy_params):
    class Bright(type(UPSAMPLERS["u1"])):
        """A sub-pixel convolution, then a ReLU."""

        def __call__(self, kernels, x, layers):
            return jax.nn.relu(super().__call__(kernels, x, layers))

        def build(self, kernels, x, ops):
            return ops.relu(super().build(kernels, x, ops))

    monkeypatch.setitem(UPSAMPLERS, "ub", Bright(0))
    space = SearchSpace((("id",),), ("ub",), (4,), 2)
    params = noisy_params(space, 0.2)
    program = frame_program(make_supernet(space, "float32"))
    want = np.asarray(program(params, FRAME[None], (0, 0))[0]).astype(int)
    found = session(frame_model(space, params, (0, 0)).content).run(None, {"frame": FRAME[None]})[0][0]
    assert np.abs(found - want).max() <= 1


def test_what_is_refused(made, monkeypatch):
    with pytest.raises(InputError, match=r"^precision 'int4': must be float32 or float16$"):
        picture_model(SPACES[2], made[2], (0, 0, 0, 0), precision="int4")
    monkeypatch.setattr(onnx_graph.importlib, "import_module", lambda name: exec("raise ImportError"))
    with pytest.raises(InputError, match=r"^onnx: must be installed \(pip install onnx onnxruntime\)$"):
        import_extra()
