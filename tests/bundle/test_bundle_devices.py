"""One bundle for several kinds of devices: whoever loads it gets the members that were made for its own."""

import dataclasses
import hashlib
import json
import shutil

import jax
import numpy as np
import pytest

from dysr_jax.bundle import pretrained
from dysr_jax.bundle.bundle import load_bundle, make_bundle, make_member, merge_bundles, save_bundle
from dysr_jax.cli import main
from dysr_jax.errors import InputError
from dysr_jax.model.names import parse_arch
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.sharing import union_weight_bytes
from dysr_jax.model.space import uniform_space

SPACE = uniform_space(slots=2, widths=(4, 8), scale=2, branches=("id", "s3", "c3", "c5", "r1"))
FIGURES = {
    "cpu": {"w4-id-c5-u1": 2.0, "w4-c5-id-u1": 1.0, "w4-c3-s3-u2": 4.0},
    "gpu": {"w8-c3-id-u1": 0.2, "w4-c3-s3-u2": 0.3, "w8-c3-r1-u1": 0.1},
}
"""Milliseconds by name: one member is in both."""


@pytest.fixture(scope="module")
def params(noisy_params):
    return noisy_params(SPACE)


def bundle_of(params, device, space=SPACE):
    archs = {parse_arch(space, name): ms for name, ms in FIGURES[device].items()}
    members = [make_member(space, arch, 30.0 + i, ms) for i, (arch, ms) in enumerate(archs.items())]
    net = make_supernet(space, "float32")
    made = make_bundle(params, members, net=net, frame=(6, 8), bicubic_psnr_y=29.0)
    frame = (6, 8) if device == "cpu" else (60, 80)
    return dataclasses.replace(made, device=f"some {device}", frame=frame)


@pytest.fixture(scope="module")
def bundles(params):
    return {device: bundle_of(params, device) for device in FIGURES}


@pytest.fixture(scope="module")
def saved(bundles, tmp_path_factory):
    """Paths of the bundles by device."""
    folder = tmp_path_factory.mktemp("saved")
    for device, bundle in bundles.items():
        save_bundle(folder / device, bundle, {"table of": device})
    return {device: folder / device for device in bundles}


@pytest.fixture(scope="module")
def merged(saved, tmp_path_factory):
    path = tmp_path_factory.mktemp("merged") / "bundle"
    merge_bundles(path, saved)
    return path


def test_each_class_gets_its_own_bundle(merged, bundles):
    for device, bundle in bundles.items():
        loaded = load_bundle(merged, device)
        assert loaded == bundle  # members, latencies, device, frame and the weights of its members alone
        assert loaded.steps == bundle.steps
        assert loaded.member("fastest").name == min(FIGURES[device], key=FIGURES[device].get)
    assert load_bundle(merged) == bundles["cpu"]  # these tests run on one
    assert load_bundle(merged, "tpu") == bundles["gpu"]


def test_the_default_is_the_device_at_hand(merged, bundles, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert load_bundle(merged) == bundles["gpu"]
    monkeypatch.setattr(jax, "default_backend", lambda: "something new")
    assert load_bundle(merged) == bundles["gpu"]


def test_weights_are_stored_once(merged, saved, bundles):
    archs = [arch for bundle in bundles.values() for arch in bundle.archs]
    bytes_of = [(path / "weights.safetensors").stat().st_size for path in (merged, *saved.values())]
    assert bytes_of[0] < sum(bytes_of[1:])
    assert 0 < bytes_of[0] - union_weight_bytes(SPACE, archs) < 4096  # the header
    latency = json.loads((merged / "latency.json").read_text())
    assert latency == {device: {"table of": device} for device in bundles}


def test_a_merged_bundle_can_be_merged_again(merged, saved, bundles, tmp_path):
    merge_bundles(tmp_path / "again", {"cpu": merged, "gpu": merged})
    names = ("manifest.json", "latency.json", "weights.safetensors")
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (merged / name).read_bytes()
    merge_bundles(tmp_path / "one", {"gpu": saved["gpu"]})
    for device in ("cpu", "gpu", None):  # the one that is there
        assert load_bundle(tmp_path / "one", device) == bundles["gpu"]


def test_half_precision(saved, tmp_path):
    merge_bundles(tmp_path / "half", saved, dtype="float16")
    for device, path in saved.items():
        first, second = load_bundle(tmp_path / "half", device), load_bundle(path)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), first.params, second.params
        )


def test_a_bundle_of_no_class_is_everyone_s(saved, bundles):
    for device in ("cpu", "gpu", "tpu", None):
        assert load_bundle(saved["gpu"], device) == bundles["gpu"]


def test_a_class_that_cannot_be(saved, merged, tmp_path):
    for refused in (
        lambda: load_bundle(merged, "npu"),
        lambda: merge_bundles(tmp_path / "out", {"npu": saved["cpu"]}),
    ):
        with pytest.raises(InputError, match=r"^device class 'npu': must be one of cpu, gpu, tpu$"):
            refused()
    with pytest.raises(InputError, match=r"^bundles \{\}: must be at least one"):
        merge_bundles(tmp_path / "out", {})
    with pytest.raises(InputError, match="dtype must be float32 or float16, got 'int8'"):
        merge_bundles(tmp_path / "out", saved, dtype="int8")


@pytest.mark.parametrize("devices", [{}, [], {"cpu": {}}, {"cpu": None}, "cpu"])
def test_a_manifest_of_no_such_structure_is_refused(merged, tmp_path, devices):
    path = shutil.copytree(merged, tmp_path / "bundle")
    manifest = json.loads((path / "manifest.json").read_text()) | {"devices": devices}
    del manifest["digest"]
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest | {"digest": digest}))
    with pytest.raises(InputError, match="does not have the structure of a bundle"):
        load_bundle(path)


def test_bundles_of_other_weights_or_spaces_are_refused(saved, params, tmp_path):
    other = jax.tree.map(lambda leaf: leaf + 1e-3, params)
    save_bundle(tmp_path / "other", bundle_of(other, "gpu"), {})
    with pytest.raises(InputError, match="must have the same weights as the others, of one training"):
        merge_bundles(tmp_path / "out", {"cpu": saved["cpu"], "gpu": tmp_path / "other"})
    space = dataclasses.replace(SPACE, body=(("id", "c3", "s3", "c5", "r1"),) * 2)
    save_bundle(tmp_path / "space", bundle_of(params, "gpu", space), {})
    with pytest.raises(InputError, match="must be of one search space"):
        merge_bundles(tmp_path / "out", {"cpu": saved["cpu"], "gpu": tmp_path / "space"})
    assert not (tmp_path / "out").exists()


def test_the_command(saved, bundles, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["merge", str(out), "--cpu", str(saved["cpu"]), "--gpu", str(saved["gpu"])]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said == "cpu: 3 members, measured on some cpu\ngpu: 3 members, measured on some gpu\n"
    assert load_bundle(out, "gpu") == bundles["gpu"]
    assert main(words) == 2
    assert f"out '{out}': must not exist" in capsys.readouterr().err
    assert main(["merge", str(tmp_path / "none")]) == 2
    assert "must be at least one" in capsys.readouterr().err


def test_pretrained_weights_by_class(merged, bundles, monkeypatch, tmp_path):
    (tmp_path / "x2").symlink_to(merged)
    monkeypatch.setattr(pretrained, "PRETRAINED_FOLDER", tmp_path)
    assert pretrained.load_pretrained("x2") == pretrained.find_bundle(scale=2) == bundles["cpu"]
    assert pretrained.load_pretrained("x2", "gpu") == bundles["gpu"]
