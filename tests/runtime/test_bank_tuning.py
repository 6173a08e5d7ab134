"""A bank measures the forms of its programs when it prepares, once, and not where that is unwanted."""

import numpy as np
import pytest

from dysr_jax import aot
from dysr_jax.aot import tuning
from dysr_jax.compiling import exact_options
from dysr_jax.runtime import bank as module
from dysr_jax.runtime.bank import Bank

SHAPE = (40, 8)

pytestmark = pytest.mark.skipif(not exact_options(), reason="this XLA knows no options to choose from")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Frames of tests count as large."""
    monkeypatch.setattr(tuning, "SMALLEST_BYTES", 1)
    monkeypatch.setattr(tuning, "_BAND_ROWS", 16)


@pytest.fixture
def measured(monkeypatch):
    """The archs that are measured; bands are fastest."""
    asked, real = [], aot.tune_static

    def tune_static(net, arch, *args, **options):
        asked.append(arch)
        return real(net, arch, *args, **options)

    monkeypatch.setattr(aot, "tune_static", tune_static)
    monkeypatch.setattr(
        tuning, "undisturbed_ms", lambda calls, *_, **__: {**dict.fromkeys(calls, 2.0), "bands": 1.0}
    )
    return asked


def test_frames_of_the_fastest_form_are_those_of_the_first(three_members, measured, cache):
    frame = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
    plain, tuned = Bank(three_members, cache=None), Bank(three_members, cache=cache)
    names = [member.name for member in three_members.members]
    for bank in (plain, tuned):
        bank.prepare(SHAPE)
    assert measured == 2 * [member.arch for member in three_members.members]
    for name in names:
        apart = np.abs(np.asarray(plain(frame, name)).astype(int) - np.asarray(tuned(frame, name)))
        assert apart.max() <= 1
    before = cache.compiled
    again = Bank(three_members, cache=cache, tune=False)
    again.prepare(SHAPE)
    assert cache.compiled == before  # in the forms that were measured
    assert len(measured) == 6


def test_measuring_ends(three_members, measured, cache, monkeypatch):
    monkeypatch.setattr(module, "TUNING_S", 0.0)
    bank = Bank(three_members, cache=cache)
    bank.prepare(SHAPE)
    assert not measured
    assert all(bank.is_ready(member.name, SHAPE) for member in three_members.members)
