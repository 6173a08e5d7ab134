"""How near a search came to the true front: against its own archive, and against pymoo's hypervolume."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from pymoo.indicators.hv import HV

from dysr_jax.atomic import write_json
from dysr_jax.bench import front as module
from dysr_jax.bench.front import bench_front
from dysr_jax.cli import main
from dysr_jax.config import to_dict
from dysr_jax.errors import InputError
from dysr_jax.model.space import space_size
from dysr_jax.search.archive import Archive


@pytest.fixture(scope="module")
def check(tiny_run):
    return bench_front(tiny_run.path)


def test_every_arch_is_there_once_and_figures_are_the_archives(check, tiny, tiny_run):
    archive = Archive(tiny_run.path / "archive.jsonl", write=False).records
    assert len({record.arch for record in check.every}) == space_size(tiny.space.build()) == 32
    assert [record.arch for record in check.found] == list(archive)
    assert len(check.found) < len(check.every)
    for record in check.found:
        assert record.name == archive[record.arch].name
        assert record.psnr_y == pytest.approx(archive[record.arch].psnr_y, abs=1e-3)
        assert record.latency_ms == pytest.approx(archive[record.arch].latency_ms, rel=1e-5)


def test_shares_grow_to_what_pymoo_says(check):
    points, seen = (
        np.array([[r.latency_ms, -r.psnr_y] for r in rows]) for rows in (check.every, check.found)
    )
    hv = HV(ref_point=points.max(0))
    shares = check.shares
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(hv(seen) / hv(points))
    assert 0.0 < shares[-1] <= 1.0
    missed = dataclasses.replace(check, found=check.found[:3])
    assert missed.shares[-1] < shares[-1]


def test_the_command_prints_writes_and_draws(tiny_run, tmp_path, capsys):
    files = ["--json", str(tmp_path / "front.json"), "--figure", str(tmp_path / "front.png")]
    assert main(["bench", "front", str(tiny_run.path), *files]) == 0
    found = json.loads((tmp_path / "front.json").read_text())
    assert found["space_size"] == 32
    assert f"{100 * found['hypervolume_share']:.2f} %" in capsys.readouterr().out
    latency = [row["latency_ms"] for row in found["true_front"]]
    quality = [row["psnr_y"] for row in found["true_front"]]
    assert latency == sorted(latency)
    assert quality == sorted(quality)
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")


def test_constraints_of_the_search_bound_the_truth(check, tiny, tiny_run, tmp_path):
    bound = float(np.median([record.latency_ms for record in check.every]))
    search = dataclasses.replace(tiny.search, max_latency_ms=bound)
    run = shutil.copytree(tiny_run.path, tmp_path / "bounded")
    write_json(run / "config.json", to_dict(dataclasses.replace(tiny, search=search)))
    bounded = bench_front(run)
    assert 0 < len(bounded.every) < len(check.every)
    assert {r.arch for r in bounded.every} == {r.arch for r in check.every if r.latency_ms <= bound}
    assert {r.arch for r in bounded.found} <= {r.arch for r in bounded.every}


def test_what_is_no_finished_run_is_refused(tiny_run, tmp_path, capsys):
    assert main(["bench", "front", str(tmp_path)]) == 2
    assert "finished search" in capsys.readouterr().err
    run = shutil.copytree(tiny_run.path, tmp_path / "run")
    (run / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json' is not JSON"):
        bench_front(run)


def test_a_space_that_is_too_large_is_refused(tiny_run, monkeypatch):
    monkeypatch.setattr(module, "MOST_ARCHS", 31)
    with pytest.raises(InputError, match="32 archs: must have at most 31"):
        bench_front(tiny_run.path)
