"""What `bench_fps` reports hangs together, its frames are the members', and what it refuses."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from dysr_jax.bench import fps as bench
from dysr_jax.bench.fps import FpsRow, bench_fps
from dysr_jax.bench.frames import Size, output_size, photograph
from dysr_jax.bundle.bundle import make_bundle, make_member, save_bundle
from dysr_jax.cli import main
from dysr_jax.device import host_memory
from dysr_jax.errors import InputError
from dysr_jax.model import programs
from dysr_jax.model.programs import compile_static, make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.model.supernet import arch_params, init_params
from dysr_jax.report.bench_tables import bench_table

SPACE = uniform_space(slots=2, widths=4, scale=2, branches=("id", "s3", "c3", "r1", "a1", "bh"))
ARCHS = [(0, 5, 0), (4, 1, 1)]
QUICK = {"outputs": (36, 18), "rounds": 2, "seconds": 0.05}


@pytest.fixture(scope="module")
def bundle():
    """With noise on all weights: fresh ones hardly change a pixel."""
    shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), SPACE))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: 0.1 * rng.normal(size=leaf.shape).astype("f"), shapes)
    members = [make_member(SPACE, arch, 30.0 + i, 1.0 + i) for i, arch in enumerate(ARCHS)]
    net = make_supernet(SPACE, "float32")
    return make_bundle(params, members, net=net, frame=(9, 16), bicubic_psnr_y=29.0)


@pytest.fixture(scope="module")
def alone(bundle):
    return bench_fps(bundle, **QUICK)


def test_a_row_for_each_member_and_size_smallest_first(alone, bundle):
    assert [(row.member, row.output) for row in alone.rows] == [
        (member.name, size) for member in bundle.members for size in ("32x18", "64x36")
    ]
    assert (alone.scale, alone.dtype, alone.in_flight, alone.left_out) == (2, "float32", 1, ())


def test_figures_hang_together(alone):
    for row in alone.to_json()["rows"]:
        assert set(row) == {
            *("member", "output", "device_fps", "end_to_end_fps", "ratio", "p50_ms", "p99_ms")
        }
        assert row["ratio"] == pytest.approx(row["end_to_end_fps"] / row["device_fps"])
        assert 0 < row["p50_ms"] <= row["p99_ms"]


def test_the_table_has_all_rows_and_no_empty_list(alone):
    lines = bench_table(alone).splitlines()
    assert sum(line.count("64x36") for line in lines) == len(ARCHS)
    assert not any("left_out" in line for line in lines)


def test_sizes_beyond_the_limit_are_left_out(bundle, monkeypatch):
    """Going by the size before: a quarter of the pixels took 0.1 s."""
    monkeypatch.setattr(
        bench,
        "_measure",
        lambda _, member, output, *__: FpsRow(member.name, output, 10.0, 1.0, 0.1, 1.0, 1.0),
    )
    asked = {"members": ("best",), "outputs": (18, 36, 72)}
    found = bench_fps(bundle, limit_s=0.5, **asked)
    assert [row.output for row in found.rows] == ["32x18", "64x36", "128x72"]
    found = bench_fps(bundle, limit_s=0.3, **asked)
    assert [row.output for row in found.rows] == ["32x18"]
    assert [row.output for row in found.left_out] == ["64x36", "128x72"]
    assert [row.expected_s for row in found.left_out] == pytest.approx([0.4, 1.6])
    assert "128x72" in bench_table(found)


@pytest.fixture
def seen(monkeypatch):
    """The bundles that are measured; nothing is."""
    found = []

    def measure(bundle, member, output, *_):
        found.append(bundle)
        return FpsRow(member.name, output, 1.0, 1.0, 1.0, 1.0, 1.0)

    monkeypatch.setattr(bench, "_measure", measure)
    return found


def test_precision_is_the_device_s_unless_asked(bundle, monkeypatch, seen):
    asked = {"members": ("best",), "outputs": (18,)}
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert bench_fps(bundle, **asked).dtype == "bfloat16"
    assert seen[0].net.dtype == jax.numpy.bfloat16
    assert bench_fps(bundle, dtype="float32", **asked).dtype == "float32"


def test_output_in_pinned_memory(bundle, monkeypatch):
    """The CPU has such memory too, though reading it is no faster there."""
    assert host_memory() is None
    pinned = jax.sharding.SingleDeviceSharding(jax.devices()[0], memory_kind="pinned_host")
    monkeypatch.setattr(programs, "host_memory", lambda: pinned)
    arch, frame = ARCHS[1], photograph(Size(9, 16))
    read = arch_params(bundle.params, SPACE, arch)
    outputs = [
        compile_static(bundle.net, arch, read, (9, 16), output=output)(read, frame)
        for output in ("device", "host")
    ]
    assert [output.sharding.memory_kind for output in outputs] == ["device", "pinned_host"]
    np.testing.assert_array_equal(*map(np.asarray, outputs))


@pytest.mark.parametrize(
    ("rows", "scale", "expected"), [(360, 4, "640x360"), (1080, 2, "1920x1080"), (18, 1, "32x18")]
)
def test_sizes(rows, scale, expected):
    size = output_size(rows, scale)
    assert str(size) == expected
    assert size.over(scale) == (size.rows // scale, size.columns // scale)


@pytest.mark.parametrize("size", [Size(9, 16), Size(500, 1100)])
def test_the_photograph_fills_any_size(size):
    image = photograph(size)
    assert (image.shape, image.dtype) == ((*size, 3), np.uint8)
    assert image[-4:].std((0, 1)).min() > 1  # no border of one colour


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"outputs": (100,)}, "^outputs 100: must be rows of 16:9 frames that x2 divides"),
        ({"outputs": (9,)}, "^outputs 9: must be rows "),
        ({"outputs": (0,)}, "^outputs 0: must be rows "),
        ({"outputs": ()}, r"^outputs \(\): must be one or more$"),
        ({"rounds": 0}, "^rounds 0: must be at least 1$"),
        ({"seconds": 0.0}, "^seconds 0.0: must be above 0$"),
        ({"limit_s": -1.0}, "^limit_s -1.0: must be above 0$"),
        ({"dtype": "int8"}, "^dtype 'int8': must be auto, float32 or bfloat16$"),
        ({"members": ("nobody",)}, "^member 'nobody': the bundle has "),
    ],
)
def test_what_cannot_be(bundle, monkeypatch, asked, message):
    monkeypatch.setattr(bench, "_measure", lambda *_: pytest.fail("it went on"))
    with pytest.raises(InputError, match=message):
        bench_fps(bundle, **asked)


def test_the_command(bundle, tmp_path, capsys):
    out = tmp_path / "fps.json"
    save_bundle(tmp_path / "bundle", bundle, {})
    given = ["--bundle", str(tmp_path / "bundle"), "--json", str(out), "--members", "fastest"]
    more = ["--outputs", "18", "--rounds", "1", "--seconds", "0.01"]
    assert main(["bench", "fps", *given, *more]) == 0
    (row,) = json.loads(out.read_text())["rows"]
    assert row["output"] == "32x18"
    assert row["member"] in capsys.readouterr().out
    assert main(["bench", "fps", *given, "--outputs", "17"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("dysr: error: outputs 17: must be rows ")
    assert error.count("\n") == 1


def test_what_is_asked_is_what_runs(bundle, monkeypatch, seen):
    """A CPU serves float32, whatever the bundle was searched in."""
    asked = {"members": ("best",), "outputs": (18,)}
    with pytest.raises(InputError, match=r"^dtype 'bfloat16': a CPU serves float32; must be auto"):
        bench_fps(bundle, dtype="bfloat16", **asked)
    halves = dataclasses.replace(bundle, dtype="bfloat16")
    for dtype in ("auto", "float32"):
        assert bench_fps(halves, dtype=dtype, **asked).dtype == "float32"
        assert seen[-1].net.dtype == jax.numpy.float32
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert bench_fps(bundle, dtype="bfloat16", **asked).dtype == "bfloat16"
    assert seen[-1].net.dtype == jax.numpy.bfloat16
