"""What ONNX Runtime's bank does beyond what all servers do (test_server), and every command that takes it."""

import json
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from dysr_jax.apps.evaluation import evaluate_set
from dysr_jax.apps.upscaler import Upscaler
from dysr_jax.bench.fps import bench_fps
from dysr_jax.bench.switch.servers import STRATEGIES, find_strategy
from dysr_jax.bundle.bundle import save_bundle
from dysr_jax.cli import main
from dysr_jax.data.benchmarks import find_benchmark_set
from dysr_jax.errors import InputError
from dysr_jax.runtime.bank import Bank
from dysr_jax.runtime.onnx_bank import OnnxBank, open_server
from dysr_jax.video.writer import open_writer

RNG = np.random.default_rng(5)


def test_a_session_takes_any_shape(three_members):
    server = OnnxBank(three_members)
    server.prepare((6, 8), ["best"])
    for shape in ((6, 8), (11, 5)):
        bank, frame = Bank(three_members, cache=None), RNG.integers(0, 256, (*shape, 3), np.uint8)
        bank.prepare(shape, ["best"])
        assert np.abs(server(frame, "best").astype(int) - bank(frame, "best")).max() <= 1


def test_what_is_not_ready_is_refused(three_members):
    server = OnnxBank(three_members)
    server.prepare((6, 8), ["best"])
    frame = np.zeros((6, 8, 3), np.uint8)
    with pytest.raises(InputError, match=r"^member '2id-u1' is not prepared; ready are 2r1-u2$"):
        server(frame, "fastest")
    with pytest.raises(InputError, match=r"^frame \(1, 6, 8, 3\): must be \[H, W, 3\]"):
        server(frame[None], "best")
    with pytest.raises(InputError, match=r"^backend 'xla': must be onnxruntime or onnxruntime:PROVIDER$"):
        OnnxBank(three_members, "xla")


def test_shared_weights_count_once(three_members):
    alone = []
    for name in ("2id-u1", "s3-c3-u1"):
        server = OnnxBank(three_members)
        server.prepare((6, 8), [name], warm_up=False)
        alone.append(server.memory().weights)
    both = OnnxBank(three_members)
    both.prepare((6, 8), ["2id-u1", "s3-c3-u1"])
    shared = 4 * (27 * 4 + 4 + 9 * 4 * 12 + 12 + 3 * 12)  # head, upsampler, the skip's copies
    assert both.memory().weights == sum(alone) - shared


def test_the_server_of_a_backend(three_members):
    bank = Bank(three_members)
    assert open_server(three_members, "auto", lambda: bank) is bank
    assert isinstance(open_server(three_members, "onnxruntime", lambda: bank), OnnxBank)


def test_images_and_scores(three_members, tmp_path):
    image = RNG.integers(0, 256, (26, 30, 3), np.uint8)
    made, other = (Upscaler(three_members, backend=b)(image).astype(int) for b in ("auto", "onnxruntime"))
    assert np.abs(made - other).max() <= 1
    Image.fromarray(image).save(tmp_path / "a.png")
    found = find_benchmark_set(tmp_path, 2)
    scores = [evaluate_set(three_members, found, backend=b).scores for b in ("auto", "onnxruntime")]
    for name, score in scores[0].items():
        assert scores[1][name].psnr_y == pytest.approx(score.psnr_y, abs=0.01)


def test_rates(three_members):
    found = bench_fps(three_members, outputs=(18,), rounds=2, seconds=0.05, backend="onnxruntime")
    assert found.runtime.startswith("onnxruntime ") and len(found.rows) == 3
    assert bench_fps(three_members, outputs=(18,), rounds=1, seconds=0.01).runtime == "xla"


def test_a_strategy_of_the_switch_table():
    assert find_strategy("onnxruntime:cpu").name == "onnxruntime:cpu"
    assert find_strategy("fused") is STRATEGIES["fused"]
    with pytest.raises(InputError, match=r"^strategies 'tvm': must be out of fused, .*onnxruntime:PROVIDER$"):
        find_strategy("tvm")


@pytest.fixture(scope="module")
def saved(three_members, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "bundle"
    save_bundle(path, three_members, {})
    return str(path)


def test_commands(saved, tmp_path, capsys):
    image, big = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    Image.fromarray(RNG.integers(0, 256, (26, 30, 3), np.uint8)).save(image)
    how = ["--bundle", saved, "--backend", "onnxruntime"]
    assert main(["upscale", image, big, *how]) == 0
    with Image.open(big) as made:
        assert made.size == (60, 52)
    assert main(["eval", str(tmp_path), *how, "--json", str(tmp_path / "scores.json")]) == 0
    clip, film = str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv")
    with open_writer(clip, width=8, height=6, rate=Fraction(25)) as writer:
        for number in range(5):
            writer.write(np.full((6, 8, 3), 40 * number, np.uint8), Fraction(number, 25))
    told = tmp_path / "trace.json"
    assert main(["stream", clip, film, *how, "--json", str(told), "--at-once"]) == 0
    assert json.loads(told.read_text())["frames"] == 5
    switch = ["--strategies", "fused", "--switches", "2", "--fps", "1", "--json", str(told)]
    assert main(["bench", "switch", *how, *switch]) == 0
    assert [one["name"] for one in json.loads(told.read_text())["strategies"]] == ["fused", "onnxruntime"]
    capsys.readouterr()
    assert main(["stream", clip, film, *how, "--budget-mb", "5", "--overwrite"]) == 2
    assert "budget 5000000: must be none in ONNX Runtime" in capsys.readouterr().err
    assert main(["bench", "fps", *how, "--dtype", "bfloat16"]) == 2
    assert "dtype 'bfloat16': must be auto or float32 in ONNX Runtime" in capsys.readouterr().err
    assert (
        main(
            [
                "search",
                "--config",
                "quickstart",
                "--backend",
                "onnxruntime",
                "--dtype",
                "bfloat16",
                "--out",
                "x",
            ]
        )
        == 2
    )
    assert "dtype 'bfloat16': must be float32 in ONNX Runtime" in capsys.readouterr().err
    assert main(["upscale", image, big, "--overwrite", *how[:3], "onnxruntime:warp"]) == 2
    assert capsys.readouterr().err.startswith("dysr: error: backend 'onnxruntime:warp': must name a provider")
