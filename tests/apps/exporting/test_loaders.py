"""Other programs load exported members and make their pixels: OpenVINO, ncnn by way of pnnx, VapourSynth."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from dysr_jax.aot.onnx_graph import picture_model
from dysr_jax.bundle.pretrained import load_pretrained
from dysr_jax.runtime.onnx_bank import OnnxBank

SHAPE = (45, 64)
FRAME = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
PLANES = np.ascontiguousarray(FRAME.transpose(2, 0, 1) / 255, np.float32)


@pytest.fixture(scope="module", params=["x2 fastest", "x4 bq-18id-u1", "noise a1-s3-u2"])
def exported(request, three_members, noisy_params, tmp_path_factory):
    """The file, and the pixels that are expected of it."""
    kind, name = request.param.split()
    if kind == "noise":
        from dysr_jax.bundle.bundle import make_bundle, make_member
        from dysr_jax.model import make_supernet, parse_arch, uniform_space

        space = uniform_space(slots=2, widths=8, scale=3)
        members = [make_member(space, parse_arch(space, name), 30.0, 1.0)]
        net = make_supernet(space, "float32")
        bundle = make_bundle(noisy_params(space), members, net=net, frame=SHAPE, bicubic_psnr_y=29.0)
    else:
        bundle = load_pretrained(kind)
    member, path = bundle.member(name), tmp_path_factory.mktemp("loaders") / "member.onnx"
    path.write_bytes(picture_model(bundle.space, bundle.params, member.arch).SerializeToString())
    server = OnnxBank(bundle)
    server.prepare(SHAPE, [member.name])
    return path, server(FRAME, member.name).astype(int)


def check(made, expected):
    assert np.ptp(expected) > 100
    assert np.abs(np.round(made.transpose(1, 2, 0) * 255) - expected).max() <= 1


def test_openvino(exported):
    openvino = pytest.importorskip("openvino")
    path, expected = exported
    network = openvino.Core().read_model(str(path))
    compiled = openvino.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    check(compiled(PLANES[None])[0][0], expected)


def test_ncnn(exported):
    ncnn, pnnx = pytest.importorskip("ncnn"), pytest.importorskip("pnnx")
    path, expected = exported
    shapes = [f"inputshape=[1,3,{SHAPE[0]},{SHAPE[1]}]", "inputshape2=[1,3,32,40]"]
    tool = pathlib.Path(pnnx.__file__).parent / "pnnx"
    subprocess.run([tool, path, *shapes], check=True, capture_output=True, cwd=path.parent)
    net = ncnn.Net()
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    assert net.load_param(str(path.with_suffix(".ncnn.param"))) == 0
    assert net.load_model(str(path.with_suffix(".ncnn.bin"))) == 0
    with net.create_extractor() as extractor:
        image = ncnn.Mat(SHAPE[1], SHAPE[0], 3)
        image.numpy()[:] = PLANES
        extractor.input("in0", image)
        status, made = extractor.extract("out0")
        assert status == 0
        check(np.array(made), expected)


VAPOURSYNTH = """
import sys
import numpy as np
import vapoursynth as vs

path, planes = sys.argv[1], np.load(sys.argv[2])


def fill(n, f):
    frame = f.copy()
    for plane in range(3):
        np.asarray(frame[plane])[:] = planes[plane]
    return frame


rows, columns = planes.shape[1:]
clip = vs.core.std.BlankClip(width=columns, height=rows, format=vs.RGBS, length=1)
big = vs.core.ort.Model(vs.core.std.ModifyFrame(clip, clip, fill), network_path=path, provider="CPU")
frame = big.get_frame(0)
np.save(sys.argv[2], np.stack([np.asarray(frame[plane]) for plane in range(3)]))
"""


def test_vapoursynth_with_its_plug_in(exported):
    """In a process of its own: the plug-in brings an ONNX Runtime of its own."""
    vapoursynth = pytest.importorskip("vapoursynth")
    if not list(pathlib.Path(vapoursynth.__file__).parent.glob("plugins/ort/*vsort*")):
        pytest.skip("the plug-in (vapoursynth-mlrt-ort) is not installed")
    path, expected = exported
    planes = path.with_name("planes.npy")
    np.save(planes, PLANES)
    subprocess.run([sys.executable, "-c", VAPOURSYNTH, path, planes], check=True)
    check(np.load(planes), expected)
