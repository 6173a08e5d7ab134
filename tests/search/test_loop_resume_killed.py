"""A search that dies anywhere in its writing and is started again ends as one that did not."""

import dataclasses
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax import atomic, parallel
from dysr_jax.model.programs import frame_program, make_supernet
from dysr_jax.model.space import arch_width, largest_arch, smallest_arch, uniform_space
from dysr_jax.search import loop, nsga2
from dysr_jax.search import loop as resume
from dysr_jax.search.archive import Archive
from dysr_jax.search.clock import CLOCK_FILE, Laps
from dysr_jax.search.config import SearchConfig
from dysr_jax.search.evaluator import Evaluator, Patches
from dysr_jax.search.latency import LatencyTable, WidthTerms
from dysr_jax.search.select import front_records
from dysr_jax.search.surrogate import taus

SPACE = uniform_space(slots=3, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))
ELASTIC = dataclasses.replace(SPACE, widths=(4, 6))
TERMS = WidthTerms(4, 0.5, {"s3": 0.25, "c3": 0.5, "r1": 1.0}, {"u2": 0.125})
WIDE_TERMS = WidthTerms(6, 1.0, {"s3": 0.3, "c3": 0.75, "r1": 1.75}, {"u2": 0.25})
TABLE = LatencyTable({}, (TERMS, WIDE_TERMS), {}, "")
CONFIG = SearchConfig(
    population=6, generations=12, patches=2, patch=8, objectives=("psnr_y", "latency_ms", "params")
)
KILLS = 20


class Killed(BaseException):
    """Not an Exception: nothing on the way may take it for an error to handle."""


class Reaper:
    """Kills at the n-th of the moments at which a search changes what is on disk or in its state.

    A kill at an fsync of the archive leaves any part of what was being appended; one at a replacement
    leaves the file beside its place, as a real one does.
    """

    def __init__(self, monkeypatch, seed):
        self.left = None
        self.seen = 0
        self._rng = np.random.default_rng(seed)
        self._sizes = {}
        tell, fsync, replacing = nsga2.tell, os.fsync, atomic.replacing

        def tell_or_die(*args):
            self._strike()
            state = tell(*args)
            self._strike()
            return state

        def fsync_or_die(fd):
            inode, size = os.fstat(fd).st_ino, os.fstat(fd).st_size
            before = self._sizes.get(inode, 0)
            self._sizes[inode] = size
            self._strike(lambda: os.ftruncate(fd, self._rng.integers(before, size + 1)))
            fsync(fd)
            self._strike()

        def replace_or_die(path):
            partial = path.parent / ".partial"
            self._strike(lambda: partial.write_bytes(b"half of it"))
            return replacing(path)

        monkeypatch.setattr(nsga2, "tell", tell_or_die)
        monkeypatch.setattr(os, "fsync", fsync_or_die)
        monkeypatch.setattr(resume, "replacing", replace_or_die)

    def _strike(self, last_deed=lambda: None):
        self.seen += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                last_deed()
                raise Killed


CASES = {"one device": (1, SPACE), "two devices, two widths": (2, ELASTIC)}


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES)
def compiled(request, noisy_params):
    """The supernet, its weights, the mesh, and the real evaluator on it, compiled once."""
    devices, space = request.param
    mesh, net = parallel.device_mesh(devices), make_supernet(space, "float32")
    weights = noisy_params(space)  # with noise, so that archs differ in quality
    lr = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    best = jax.jit(frame_program(net), static_argnums=2)(weights, jnp.asarray(lr), largest_arch(space))
    hr = np.asarray(best) ^ 3  # near to what the largest arch makes, so that the front has a length
    patches = Patches(lr=jnp.asarray(lr), hr=jnp.asarray(hr), image=jnp.asarray([0, 1]))
    evaluate = Evaluator(net, patches, mesh)
    placed, ends = parallel.replicate(weights, mesh), [smallest_arch(space), largest_arch(space)]
    evaluate.prepare(placed, np.array(ends * (CONFIG.population // 2), np.int32))
    return net, weights, mesh, evaluate


class Spy:
    """The evaluator, and how many archs it was given: those that fill up a dispatch count once."""

    def __init__(self, evaluate):
        self.prepare, self._evaluate, self.archs = evaluate.prepare, evaluate, 0

    def __call__(self, params, genes):
        self.archs += len(np.unique(np.asarray(genes), axis=0))
        return self._evaluate(params, genes)


def comparable(archive):
    """Records in their order, but for the time that they took."""
    return [record._replace(seconds=0.0) for record in archive.records.values()]


CHOICES = {
    "every child": ({}, KILLS),
    "additive surrogate": ({"surrogate": "additive"}, 4),
    "mlp surrogate": ({"surrogate": "mlp"}, 4),
    "additive front": ({"method": "additive", "objectives": ("psnr_y", "latency_ms")}, 4),
}
LONG = ("mlp surrogate",)


@pytest.mark.parametrize(
    ("choice", "kills"),
    [pytest.param(*CHOICES[name], id=name, marks=[pytest.mark.long] * (name in LONG)) for name in CHOICES],
)
def test_a_search_killed_anywhere_ends_the_same(compiled, tmp_path, monkeypatch, choice, kills):
    config = dataclasses.replace(CONFIG, **choice)
    net, weights, mesh, evaluate = compiled
    spy = Spy(evaluate)
    monkeypatch.setattr(loop, "Evaluator", lambda *_, **__: spy)
    reaper = Reaper(monkeypatch, seed=mesh.devices.size)

    def run(folder):
        folder.mkdir(exist_ok=True)
        key = jax.random.key(0)
        return loop.search(key, net, weights, None, TABLE, config, mesh, folder)

    whole = run(tmp_path / "whole")
    expected, moments = comparable(whole), reaper.seen
    assert moments >= 2 * kills
    assert bool(taus(expected)) == ("surrogate" in choice)
    assert len(front_records(expected)) >= 4
    assert {arch_width(net.space, record.arch) for record in expected} == {*net.space.widths}
    state = (tmp_path / "whole" / resume.FILE).read_bytes()

    rng = np.random.default_rng(mesh.devices.size)
    for moment in rng.choice(moments, kills, replace=False).tolist():
        folder = tmp_path / str(moment)
        reaper.left = moment
        with pytest.raises(Killed):
            run(folder)
        died_with = len(Archive(folder / "archive.jsonl", write=False).records)
        reaper.left, spy.archs = None, 0
        archive = run(folder)
        assert comparable(archive) == expected
        assert comparable(Archive(folder / "archive.jsonl")) == expected
        assert front_records(comparable(archive)) == front_records(expected)
        assert (folder / resume.FILE).read_bytes() == state
        assert spy.archs == len(expected) - died_with
        # The generation that died between its state and its lap may have none.
        laps = Laps(folder / CLOCK_FILE, write=False).generations()
        stages = {lap.stage for lap in laps}
        assert stages <= set(range(CONFIG.generations)) and len(stages) >= CONFIG.generations - 1
        assert sum(lap.evaluated for lap in laps) <= len(expected)
