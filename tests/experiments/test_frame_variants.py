"""The variants make the program's pixels, and what failed is said."""

import json
import subprocess
import sys

import frame_variants
import jax
import numpy as np
import pytest
from frame_programs import VARIANTS
from frame_variants import Case, Options, measure, table
from hlo_counts import counts

from dysr_jax.bundle.bundle import make_bundle, make_member, save_bundle
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import init_params

HLO = """\
HloModule jit_run

%input_reduce (p: bf16[4]) -> bf16[4] {
  %p = bf16[4] parameter(0)
  %copy.9 = bf16[4] copy(%p)
  ROOT %add.1 = bf16[4] add(%copy.9, %p)
}

%command_buffer (p.1: bf16[4]) -> bf16[4] {
  %p.1 = bf16[4] parameter(0)
  ROOT %fusion.7 = bf16[4] fusion(%p.1), kind=kLoop, calls=%input_reduce
}

ENTRY %main (w: f32[3,3,8,8], x: bf16[1,4,4,8]) -> bf16[1,4,4,8] {
  %w = f32[3,3,8,8]{3,2,1,0} parameter(0)
  %copy.1 = f32[3,3,8,8]{2,1,0,3} copy(%w)
  %cudnn-conv.1 = (bf16[1,4,4,8]{3,2,1,0}, u8[0]{0}) custom-call(%x, %copy.1), custom_call_target="__cudnn$convForward"
  %c.2 = (bf16[1,4]{1,0}, u8[0]{0}) custom-call(%x), custom_call_target="__cudnn$convBiasActivationForward"
  %c.3 = (bf16[1,4]{1,0}, u8[0]{0}) custom-call(%x), custom_call_target="__cudnn$convBiasActivationForward"
  %f.1 = bf16[1,4]{1,0} fusion(%c.3), kind=kCustom, backend_config={"kind":"__cudnn$fusion"}
  %f.2 = bf16[1,4]{1,0} fusion(%f.1), kind=kCustom, backend_config={"kind":"__triton_gemm"}
  %copy-start.1 = (bf16[4], bf16[4], u32[]) copy-start(%f.2)
  ROOT %call.1 = bf16[1,4,4,8]{3,2,1,0} call(%f.2), to_apply=%command_buffer
}
"""  # noqa: E501


def test_counts_of_an_executable():
    assert counts(HLO) == {"fusion": 1, "copy": 2, "conv": 1, "bias conv": 2, "cudnn fusion": 1, "gemm": 1}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A bundle on disk, x4: a sub-pixel row is whole words."""
    space = uniform_space(slots=2, widths=4, scale=4, branches=("id", "c3", "r1", "a1"))
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), space))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: 0.1 * rng.normal(size=leaf.shape).astype("f"), shapes)
    members = [make_member(space, (2, 3, 0), 30.0, 1.0)]
    net = make_supernet(space, "float32")
    bundle = make_bundle(params, members, net=net, frame=(9, 16), bicubic_psnr_y=29.0)
    path = tmp_path_factory.mktemp("saved") / "bundle"
    save_bundle(path, bundle, {})
    return path


@pytest.fixture(scope="module")
def case(saved):
    return Case(Options(bundle=str(saved), output=36, rounds=1))


EXACT = ["weights cast", "weights laid out", "levels, then shuffle", "shuffle words", "no CUDA graphs"]


@pytest.mark.parametrize("name", [*EXACT, "residual outside cuDNN"])
def test_a_variant_s_pixels(case, name):
    found = case.measure(VARIANTS[name])
    assert case.expected.std() > 10
    assert found["levels"] <= (0 if name in EXACT else 1)
    assert found["ms"] > 0


@pytest.mark.parametrize("name", ["part: head", "rows to 16"])
def test_what_is_no_such_frame_has_no_levels(case, name):
    assert case.measure(VARIANTS[name])["levels"] is None


def test_options_are_xla_s():
    """A misspelt one would fail on the device only."""
    lowered = jax.jit(lambda x: x + 1).lower(1.0)
    for variant in VARIANTS.values():
        lowered.compile(compiler_options=variant.options or None)
    with pytest.raises(Exception, match="No such compile option"):
        lowered.compile(compiler_options={"xla_gpu_misspelt": 1})


def test_behind_a_variant_that_ends_its_process(monkeypatch):
    asked = []

    def worker(options, names, seconds):
        asked.append(names)
        done = names[: names.index("b")] if "b" in names else names
        return [{"variant": name, "ms": 1.0} for name in done]

    monkeypatch.setattr(frame_variants, "_worker", worker)
    rows = measure(Options(), ["a", "b", "c"])
    assert asked == [["a", "b", "c"], ["c"]]
    assert [(row["variant"], row.get("error")) for row in rows] == [
        ("a", None),
        ("b", "its process ended"),
        ("c", None),
    ]
    assert "no time was left" in measure(Options(minutes=0.0), ["a"])[0]["error"]


def test_the_table_says_what_failed():
    good = {"variant": "XLA's defaults", "ms": 1.25, "host_us": 40.0, "levels": 0, "compile_s": 2.0}
    lines = table([good | {"bias conv": 38}, {"variant": "NCHW", "error": "no such thing"}]).splitlines()
    assert lines[2].split() == ["XLA's", "defaults", "1.250", "40", "0", "2.0", "38", *"00000"]
    assert lines[-1] == "NCHW: no such thing"


@pytest.mark.long
def test_the_script(saved, tmp_path):
    out = tmp_path / "variants.json"
    command = [sys.executable, frame_variants.__file__, f"--bundle={saved}", "--output=36"]
    more = ["--rounds=1", f"--json={out}", "--only", "XLA's defaults", "part: tail"]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
    assert "part: tail" in done.stdout
    rows = json.loads(out.read_text())["rows"]
    assert [row["variant"] for row in rows] == ["XLA's defaults", "part: tail"]
    assert [row["levels"] for row in rows] == [0, None]
