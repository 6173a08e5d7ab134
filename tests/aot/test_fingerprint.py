"""Keys differ where executables may."""

import json
import pathlib

import jax
import jax.numpy as jnp
import pytest

from dysr_jax.aot import fingerprint
from dysr_jax.aot.fingerprint import branches_digest, environment, lowered_digest, shapes
from dysr_jax.model.branches import BODY, Conv, ResidualPair

X86 = "processor : {core}\nmodel name : A CPU\nflags : {flags}\ncpu MHz : {core}000\n\n"


class Elsewhere(Conv):
    """A user's branch."""


@pytest.fixture
def fresh():
    """What is remembered for the process is forgotten, before and after."""

    def forget():
        for function in (fingerprint._cpu, fingerprint._versions, fingerprint.sources_digest):
            function.cache_clear()

    forget()
    yield forget
    forget()


def cpu(monkeypatch, path, text, forget):
    path.write_text(text)
    monkeypatch.setattr(fingerprint, "_CPUINFO", path)
    forget()
    return environment(jax.devices()[0])["cpu"]


def test_features_of_the_cpu_count_and_its_clock_does_not(tmp_path, monkeypatch, fresh):
    def two_cores(flags):
        text = "".join(X86.format(core=core, flags=flags) for core in (0, 1))
        return cpu(monkeypatch, tmp_path / "cpuinfo", text, fresh)

    first = two_cores("sse avx2")
    assert two_cores("sse avx2 avx512f") != first == two_cores("sse avx2")
    text = X86.format(core=7, flags="sse avx2")
    assert cpu(monkeypatch, tmp_path / "cpuinfo", text, fresh) == first


def test_where_features_are_not_told_the_machine_counts(tmp_path, monkeypatch, fresh):
    monkeypatch.setattr(fingerprint, "_CPUINFO", tmp_path / "missing")
    monkeypatch.setattr("platform.node", lambda: "one")
    first = environment(jax.devices()[0])["cpu"]
    fresh()
    monkeypatch.setattr("platform.node", lambda: "other")
    assert environment(jax.devices()[0])["cpu"] != first


def test_the_environment_is_json_with_versions_and_flags(monkeypatch, fresh):
    parts = environment(jax.devices()[0])
    assert json.loads(json.dumps(parts)) == parts
    assert parts["versions"]["jax"] == jax.__version__
    monkeypatch.setenv("XLA_FLAGS", "--other")
    assert environment(jax.devices()[0])["variables"] != parts["variables"]
    assert environment(jax.devices()[1]) != parts
    monkeypatch.setattr("importlib.metadata.version", lambda name: "next")
    fresh()
    assert environment(jax.devices()[0])["versions"] != parts["versions"]


def test_branches_are_told_apart_by_class_and_options():
    digests = {branches_digest([branch]) for branch in BODY.values()}
    assert len(digests) == len(BODY)
    assert None not in digests
    assert branches_digest([ResidualPair(1)]) == branches_digest([BODY["r1"]])
    assert branches_digest([BODY["r1"], BODY["c3"]]) != branches_digest([BODY["c3"], BODY["r1"]])


def test_branches_from_elsewhere_have_no_digest_without_tracing():
    odd = Conv(3)
    odd.function = abs
    assert branches_digest([BODY["c3"], Elsewhere(3)]) is None
    assert branches_digest([odd]) is None


def test_a_change_of_the_package_s_sources_counts(tmp_path, monkeypatch, fresh):
    real = branches_digest([BODY["c3"]])
    (tmp_path / "part").mkdir()
    monkeypatch.setattr(fingerprint, "_PACKAGE", tmp_path)
    fresh()
    assert branches_digest([BODY["c3"]]) is None  # no sources
    seen = {real}
    for name, text in [("a.py", "x = 1"), ("a.py", "x = 2"), ("part/a.py", "x = 2")]:
        pathlib.Path(tmp_path / name).write_text(text)
        fresh()
        seen.add(branches_digest([BODY["c3"]]))
    assert len(seen) == 4


def test_lowered_programs_are_told_apart_by_what_they_compute():
    x = jax.ShapeDtypeStruct((3,), jnp.float32)

    def digest(function):
        return lowered_digest(jax.jit(function).lower(x))

    assert digest(lambda x: x + 1) == digest(lambda y: y + 1) != digest(lambda x: x + 2)


def test_shapes_tell_structure_shape_and_dtype():
    x, other = jnp.zeros((2, 3)), jnp.zeros((3, 2))
    half = x.astype(jnp.bfloat16)
    trees = [{"a": x}, {"b": x}, {"a": other}, {"a": half}, [x], {"a": x, "b": x}]
    assert len({json.dumps(shapes(tree)) for tree in trees}) == len(trees)
    assert shapes({"a": jax.ShapeDtypeStruct((2, 3), jnp.float32)}) == shapes({"a": x})
