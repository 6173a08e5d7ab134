"""Frames of the shipped members on an accelerator: the cache, the pixels, the chain, the output's memory."""

import json
import pathlib

import jax
import jax.export
import numpy as np
import pytest

import dysr_jax
import dysr_jax.bundle
from dysr_jax.device import host_memory
from dysr_jax.model.programs import frame_program, make_supernet
from dysr_jax.model.supernet import arch_params

MOST_LEVELS, MEAN_LEVELS = 4, 0.1
"""How far bfloat16 pixels may be from float32 ones, of 255: the farthest, and on average."""

SERVE = pathlib.Path(__file__).parent / "serve.py"


@pytest.fixture(scope="module")
def served(python, tmp_path_factory):
    """Counts and pixels of a first process, and of a second one."""
    place = tmp_path_factory.mktemp("served")
    found = []
    for number in range(2):
        counts = json.loads(python(SERVE, place / f"{number}.npz").stdout.splitlines()[-1])
        found.append((counts, dict(np.load(place / f"{number}.npz"))))
    return found


def test_a_second_process_loads_every_member(served):
    (first, _), (second, _) = served
    assert first["compiled"] > 20 and first["loaded"] == first["failed"] == 0
    assert second == {"loaded": first["compiled"], "compiled": 0, "failed": 0}


def test_what_is_loaded_makes_the_same_pixels(served):
    (_, first), (_, second) = served
    assert first.keys() == second.keys()
    assert all(frame.std() > 20 for frame in first.values())
    for name, frame in first.items():
        np.testing.assert_array_equal(second[name], frame, err_msg=name)


@pytest.mark.parametrize("name", dysr_jax.bundle.pretrained_names())
def test_frames_are_those_of_the_cpu_in_float32(served, host, photograph, name):
    bundle = dysr_jax.load_pretrained(name)
    program = frame_program(make_supernet(bundle.space, "float32", bundle.net.kept))
    reference = jax.jit(program, static_argnums=2)
    (_, frames), _ = served
    farthest = {}
    for member in bundle.members:
        params = host.put(arch_params(bundle.params, bundle.space, member.arch))
        expected = np.asarray(reference(params, host.put(photograph[None]), member.arch)[0])
        apart = np.abs(frames[f"{name} {member.name}"].astype(int) - expected)
        farthest[member.name] = (int(apart.max()), round(float(apart.mean()), 3))
    assert max(most for most, _ in farthest.values()) <= MOST_LEVELS, farthest
    assert max(mean for _, mean in farthest.values()) <= MEAN_LEVELS, farthest


def test_the_chain_makes_the_frames_of_the_fused_members(served):
    (_, frames), _ = served
    name = dysr_jax.bundle.pretrained_names()[-1]
    for member in dysr_jax.load_pretrained(name).members:
        fused, chained = (frames[f"{kind} {member.name}"].astype(int) for kind in (name, "chain"))
        assert np.abs(fused - chained).max() <= MOST_LEVELS, member.name
        assert np.abs(fused - chained).mean() <= MEAN_LEVELS, member.name


def test_an_exported_program_runs_here(served, photograph, tmp_path):
    pytest.importorskip("flatbuffers")
    (_, frames), _ = served
    name = dysr_jax.bundle.pretrained_names()[-1]
    bundle = dysr_jax.load_pretrained(name)
    for file in dysr_jax.export(bundle, tmp_path, format="stablehlo", members=["fastest", "best"]):
        read = jax.export.deserialize(bytearray(file.path.read_bytes()))
        made = np.asarray(jax.jit(read.call)(photograph)).astype(int)
        assert np.abs(made - frames[f"{name} {file.member}"]).max() <= MOST_LEVELS, file.member


def test_outputs_lie_in_pinned_memory_three_at_a_time(served, photograph):
    bundle = dysr_jax.load_pretrained("x4")
    bank = dysr_jax.Bank(bundle, output="host")
    names = [bundle.members[0].name, bundle.members[-1].name]
    bank.prepare(photograph.shape[:2], names)
    images = [np.roll(photograph, 7 * n, 1) for n in range(9)]
    calls = [(image, names[n % 2]) for n, image in enumerate(images)]
    expected = [bank(*call) for call in calls]
    under_way, found = [], []
    for call in calls:
        under_way.append(bank.dispatch(*call))
        if len(under_way) == 3:
            found.append(under_way.pop(0))
    found += under_way
    assert host_memory() is None or all(x.sharding.memory_kind == "pinned_host" for x in found)
    for image, frame in zip(expected, found, strict=True):
        np.testing.assert_array_equal(np.asarray(frame), image)
    (_, frames), _ = served
    np.testing.assert_array_equal(expected[0], frames[f"x4 {names[0]}"])
