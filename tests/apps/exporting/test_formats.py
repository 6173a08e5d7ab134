"""Exported files: their names, what they hold, that others read them, and what is refused."""

import jax
import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.numpy
from jax import export as jax_export

import dysr_jax
from dysr_jax.apps.exporting.formats import export
from dysr_jax.bundle.bundle import save_bundle
from dysr_jax.cli import main
from dysr_jax.errors import InputError
from dysr_jax.runtime.bank import Bank

FRAME = np.random.default_rng(3).integers(0, 256, (9, 13, 3), np.uint8)
PLANES = (FRAME.transpose(2, 0, 1)[None] / 255).astype(np.float32)


@pytest.fixture(scope="module")
def expected(three_members):
    bank = Bank(three_members, cache=None)
    bank.prepare(FRAME.shape[:2])
    return {member.name: bank(FRAME, member.name).astype(int) for member in three_members.members}


def test_a_file_per_member_with_its_figures(three_members, expected, tmp_path):
    files = export(three_members, tmp_path / "out")
    names = ["2x_dysr_2id-u1.onnx", "2x_dysr_s3-c3-u1.onnx", "2x_dysr_2r1-u2.onnx"]
    assert [file.path.name for file in files] == names
    for file, member in zip(files, three_members.members, strict=True):
        run = onnxruntime.InferenceSession(str(file.path), providers=["CPUExecutionProvider"])
        made = run.run(None, {"input": PLANES})[0][0].transpose(1, 2, 0) * 255
        assert np.abs(made - expected[member.name]).max() <= 0.51
        told = run.get_modelmeta().custom_metadata_map
        assert (told["arch"], told["scale"], told.get("license")) == (member.name, "2", None)
        assert float(told["psnr_y"]) == pytest.approx(member.psnr_y, abs=1e-3)


def test_one_member_as_a_file(three_members, tmp_path):
    (file,) = export(
        three_members, tmp_path / "best.onnx", members=["best"], precision="float16", licence="mine"
    )
    assert (file.path, file.member) == (tmp_path / "best.onnx", "2r1-u2")
    model = onnx.load(str(file.path))
    kinds = {each.data_type for each in model.graph.initializer if len(each.dims) == 4}
    assert kinds == {onnx.TensorProto.FLOAT16}
    assert {entry.value for entry in model.metadata_props if entry.key == "license"} == {"mine"}


def test_int8_is_quantised_and_measured(three_members, expected, tmp_path):
    (file,) = export(three_members, tmp_path, members=["best"], precision="int8")
    assert file.path.name == "2x_dysr_2r1-u2_int8.onnx"
    model = onnx.load(str(file.path))
    onnx.checker.check_model(model, full_check=True)
    stored = [each for each in model.graph.initializer if each.data_type == onnx.TensorProto.INT8]
    assert sum(len(each.dims) == 4 for each in stored) == 4  # of two residual pairs
    told = {entry.key: entry.value for entry in model.metadata_props}
    exact, left = float(told["float32_psnr_y"]), float(told["int8_psnr_y"])
    assert f"{left:.2f} dB in int8, {exact:.2f} in float32" in file.note
    assert exact - 1 < left <= exact + 0.1
    run = onnxruntime.InferenceSession(str(file.path), providers=["CPUExecutionProvider"])
    made = run.run(None, {"input": PLANES})[0][0].transpose(1, 2, 0) * 255
    assert 0 < np.abs(made - expected["2r1-u2"]).mean() < 6


@pytest.mark.parametrize("shape", [None, FRAME.shape[:2]])
def test_stablehlo_is_the_frame_program(three_members, expected, tmp_path, shape):
    (file,) = export(three_members, tmp_path, format="stablehlo", members=["s3-c3-u1"], shape=shape)
    read = jax_export.deserialize(bytearray(file.path.read_bytes()))
    assert read.platforms == ("cpu", "cuda", "tpu")
    made = np.asarray(jax.jit(read.call)(FRAME)).astype(int)
    assert np.abs(made - expected["s3-c3-u1"]).max() <= 1
    if shape is None:
        assert jax.jit(read.call)(FRAME[:4, :5]).shape == (8, 10, 3)
    else:
        with pytest.raises(ValueError, match=r"(?i)shape"):
            read.call(FRAME[:4, :5])


def test_safetensors_and_the_page_that_names_its_tensors(three_members, tmp_path):
    (file,) = export(three_members, tmp_path, format="safetensors", members=["s3-c3-u1"])
    tensors = safetensors.numpy.load_file(file.path)
    assert {name: value.shape for name, value in tensors.items()} == {
        "head/kernel": (27, 4),
        "head/bias": (4,),
        "slot00/depthwise": (3, 3, 4),
        "slot00/pointwise": (4, 4),
        "slot00/pointwise_bias": (4,),
        "slot01/conv": (3, 3, 4, 4),
        "slot01/conv_bias": (4,),
        "upsampler/subpixel": (3, 3, 4, 12),
        "upsampler/subpixel_bias": (12,),
    }
    np.testing.assert_array_equal(tensors["head/kernel"], three_members.params["head"]["kernel"])
    page = file.path.with_suffix(".md").read_text()
    for name in tensors:
        assert f"| `{name}` |" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "tflite"}, r"^format 'tflite': must be one of onnx, stablehlo, safetensors$"),
        ({"precision": "int4"}, r"^precision 'int4': must be float32 or float16 or int8 for onnx$"),
        ({"format": "stablehlo", "precision": "int8"}, r"^precision 'int8': must be float32 for stablehlo$"),
        ({"members": ["9r1-u1"]}, r"^member '9r1-u1': the bundle has"),
        ({"shape": (0, 5)}, r"^shape \(0, 5\): must be rows and columns of at least 1$"),
        ({"out": "all.onnx"}, r"^out '.*all.onnx': must be a folder where there are several members$"),
        ({"out": "there.txt"}, r"^out '.*there.txt': must be a folder, or a file that ends in \.onnx$"),
        ({"members": ["best"], "precision": "int8", "shape": (9, 16)}, r"^shape \(9, 16\): must be sides of"),
        ({"format": "stablehlo", "licence": "MIT"}, r"^licence 'MIT': must be none for stablehlo$"),
        ({"out": "gs://bucket/out"}, r"^out 'gs://bucket/out': must be a place on this machine$"),
        ({"members": ["best"], "precision": "int8", "calibration": "nowhere"}, r"^data source 'nowhere'"),
        (
            {"members": ["best"], "precision": "int8", "shape": (4000, 4000)},
            r"^calibration 'embedded': must have two images of at least 8000x8000 pixels or more, has 0$",
        ),
    ],
)
def test_what_cannot_be(three_members, tmp_path, options, message):
    (tmp_path / "there.txt").write_text("")
    out = options.pop("out", "out")
    where = out if "://" in out else tmp_path / out
    with pytest.raises(InputError, match=message):
        export(three_members, where, **options)
    assert not list(tmp_path.glob("**/*.onnx"))


def test_a_file_that_exists_stays(three_members, tmp_path):
    (file,) = export(three_members, tmp_path, members=["best"])
    file.path.write_text("mine")
    with pytest.raises(InputError, match=r"2r1-u2.onnx' exists; overwrite replaces it$"):
        export(three_members, tmp_path)
    assert file.path.read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    export(three_members, tmp_path, overwrite=True)
    assert file.path.stat().st_size > 1000


def test_a_page_of_somebody_s_stays(three_members, tmp_path):
    (tmp_path / "readme.md").write_text("mine")
    with pytest.raises(InputError, match=r"readme.md' exists; overwrite replaces it$"):
        export(three_members, tmp_path / "readme.safetensors", members=["best"], format="safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["readme.md"]


def test_a_bundle_is_no_place_for_it(three_members, tmp_path):
    save_bundle(tmp_path / "bundle", three_members, {})
    with pytest.raises(InputError, match=r"must be a place to write to, and is a bundle$"):
        export(three_members, tmp_path / "bundle")


def test_each_file_is_told_as_soon_as_it_is_there(three_members, tmp_path):
    told = []
    export(three_members, tmp_path, on_written=lambda file: told.append((file.member, file.path.exists())))
    assert told == [(member.name, True) for member in three_members.members]


def test_the_command(three_members, tmp_path, capsys):
    bundle, out = str(tmp_path / "bundle"), str(tmp_path / "out")
    save_bundle(bundle, three_members, {})
    assert main(["export", bundle, out, "--member", "best", "--precision", "float16"]) == 0
    assert capsys.readouterr().out == f"{out}/2x_dysr_2r1-u2_fp16.onnx\n"
    assert main(["export", out, "--bundle", bundle, "--no-clamp", "--shape", "8", "9"]) == 0
    model = onnx.load(f"{out}/2x_dysr_2id-u1.onnx")
    assert model.graph.node[-1].op_type == "DepthToSpace"
    for args in ([], ["a", "b", "c"], [bundle, out, "--bundle", bundle]):
        assert main(["export", *args]) == 2
    assert "must be a place to write to, after at most one bundle" in capsys.readouterr().err


def test_from_the_top(three_members, tmp_path):
    assert dysr_jax.export(three_members, tmp_path / "a.onnx", members=["best"])[0].path.exists()


@pytest.mark.long
@pytest.mark.parametrize("name", ["x2", "x4"])
def test_every_shipped_member_has_the_pixels_of_its_program(name, tmp_path):
    bundle = dysr_jax.load_pretrained(name)
    bank = Bank(bundle, cache=None)
    bank.prepare(FRAME.shape[:2])
    for file in export(bundle, tmp_path):
        run = onnxruntime.InferenceSession(str(file.path), providers=["CPUExecutionProvider"])
        made = run.run(None, {"input": PLANES})[0][0].transpose(1, 2, 0)
        want = bank(FRAME, file.member).astype(int)
        assert np.abs(np.round(made * 255) - want).max() <= 1
