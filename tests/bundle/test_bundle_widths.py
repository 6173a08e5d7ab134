"""Bundles of members of several widths: names, steps, what is kept, and both ways to disk."""

import json

import jax
import numpy as np
import pytest

from dysr_jax.bundle.bundle import load_bundle, make_bundle, make_member, save_bundle
from dysr_jax.bundle.members import member_steps
from dysr_jax.errors import InputError
from dysr_jax.model.names import parse_arch
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.sharing import changed_slots, union_weight_bytes
from dysr_jax.model.space import uniform_space

SPACE = uniform_space(slots=2, widths=(4, 6, 8), scale=2, branches=("id", "c3", "c5", "r1"))
NAMES = ("w4-id-c5-u1", "w4-2c3-u1", "w6-2c3-u1", "w6-r1-c3-u2")


@pytest.fixture(scope="module")
def bundle(noisy_params):
    archs = [parse_arch(SPACE, name) for name in NAMES]
    members = [make_member(SPACE, arch, 30.0 + i, 1.0 + i) for i, arch in enumerate(archs)]
    net = make_supernet(SPACE, "float32")
    return make_bundle(noisy_params(SPACE), members, net=net, frame=(6, 8), bicubic_psnr_y=29.0)


def test_both_ways(bundle, tmp_path):
    save_bundle(tmp_path / "bundle", bundle, {})
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["format_version"] == 2
    assert manifest["space"]["widths"] == [4, 6, 8]
    assert [member["arch"] for member in manifest["members"]] == [list(arch) for arch in bundle.archs]
    assert manifest["steps"] == [step.to_json() for step in bundle.steps]
    loaded = load_bundle(tmp_path / "bundle")
    assert loaded == bundle and loaded.steps == bundle.steps
    assert sum(leaf.nbytes for leaf in jax.tree.leaves(loaded.params)) == union_weight_bytes(
        SPACE, bundle.archs
    )
    x = np.random.default_rng(0).random((1, 5, 6, 3), np.float32)
    outputs = [loaded.net.apply({"params": loaded.params}, x, arch) for arch in loaded.archs]
    for arch, output in zip(bundle.archs, outputs, strict=True):
        np.testing.assert_array_equal(bundle.net.apply({"params": bundle.params}, x, arch), output)
    assert len({np.asarray(output).tobytes() for output in outputs}) == 4


def test_members_are_found_in_any_spelling(bundle):
    for name in ("w6-2c3-u1", "w6-c3-c3-u1", "w6-1c3-c3-1u1"):
        assert bundle.member(name) is bundle.members[2]
        assert bundle.arch(name) == bundle.archs[2]
    with pytest.raises(InputError, match="'w8-2c3-u1': the bundle has w4-id-c5-u1, w4-2c3-u1, w6-2c3-u1"):
        bundle.member("w8-2c3-u1")
    assert bundle.arch("w8-2c3-u1") == parse_arch(SPACE, "w8-2c3-u1")  # of the space, no member
    for name in ("2c3-u1", "w5-2c3-u1"):
        with pytest.raises(InputError, match=f"member '{name}': the bundle has w4-id-c5-u1"):
            bundle.arch(name)


def test_an_arch_whose_width_was_dropped_cannot_run(bundle):
    x = np.zeros((1, 5, 6, 3), np.float32)
    with pytest.raises(InputError, match="slot 0: the weights of branch 'c3' at 8 channels were not kept"):
        bundle.net.apply({"params": bundle.params}, x, bundle.arch("w8-2c3-u1"))


def test_the_width_is_one_of_the_changes(bundle):
    first, second, third = (step.to_json() for step in bundle.steps)
    assert [change["name"] for change in first["slots"]] == ["slot00", "slot01"]
    assert second["slots"] == [{"slot": 3, "name": "width", "from": "w4", "to": "w6"}]
    assert [change["name"] for change in third["slots"]] == ["slot00", "upsampler"]
    assert second["cost"] > first["cost"]
    assert changed_slots(SPACE, bundle.archs)[1, 2] == 3
    # The way back changes the same.
    back = member_steps(SPACE, [bundle.archs[2], bundle.archs[1]])[0].to_json()
    assert back["slots"] == [{"slot": 3, "name": "width", "from": "w6", "to": "w4"}]
    assert (back["unshared_bytes"], back["cost"]) == (second["unshared_bytes"], second["cost"])
