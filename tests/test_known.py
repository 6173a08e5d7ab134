"""Searching again from another run: what is known is not evaluated, what is not the same is refused."""

import dataclasses
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from dysr_jax.apps.upscaler import Upscaler
from dysr_jax.bench.front import bench_front
from dysr_jax.bundle.bundle import load_bundle
from dysr_jax.cli import main
from dysr_jax.config import RunConfig
from dysr_jax.errors import InputError
from dysr_jax.known import KEY_FILE, archive_key, config_from_run, known_records
from dysr_jax.model.weights import SUPERNET_FILE, load_supernet, params_to_bytes
from dysr_jax.report.rundata import read_run
from dysr_jax.results import latency_predictions, read_results
from dysr_jax.run import run_search
from dysr_jax.search import evaluator, probing
from dysr_jax.search.archive import Archive
from dysr_jax.search.latency import load_table, predict, save_table
from dysr_jax.search.population import Patches

ARCHIVE = "archive.jsonl"


@pytest.fixture(scope="module")
def every(tiny_run, tmp_path_factory):
    """TINY's run with an archive of the whole space, by the function that knows nothing of reuse."""
    run = tmp_path_factory.mktemp("every") / "run"
    shutil.copytree(tiny_run.path, run)
    archive = Archive(run / ARCHIVE)
    archive.append([r for r in bench_front(run).every if r.arch not in archive.records])
    return run


@pytest.fixture(scope="module")
def phone(tiny_run, tmp_path_factory):
    """A table of a device that is not here, on which the order of branches is another."""
    table = load_table(tiny_run.path / "latency.json")
    (terms,) = table.terms
    odd = dict(zip(terms.body_ms, (7.0, 1.0, 3.0), strict=True))
    terms = dataclasses.replace(terms, intercept_ms=2.0, body_ms=odd)
    key = {**table.key, "device": "Phone 9", "platform": "phone", "dtype": "float16", "jax": "0"}
    path = tmp_path_factory.mktemp("phone") / "phone.json"
    save_table(path, dataclasses.replace(table, key=key, terms=(terms,)))
    return path


@pytest.fixture(scope="module")
def again(every, phone, tmp_path_factory):
    """The whole space searched again for the phone, where neither archs nor latencies can be had here."""
    out, lines = tmp_path_factory.mktemp("again") / "run", []
    config = config_from_run(every)
    config = dataclasses.replace(config, search=dataclasses.replace(config.search, latency=str(phone)))

    def never(*_, **__):
        raise AssertionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluator.Evaluator, "__call__", never)
        patch.setattr(probing, "undisturbed_ms", never)
        run_search(config, out, log=lines.append)
    return out, lines


def test_the_true_front_is_found_without_an_evaluation(again, every, phone, tiny):
    """By brute force over all pairs of archs."""
    out, lines = again
    space, table = tiny.space.build(), load_table(phone)
    known = list(Archive(every / ARCHIVE, write=False).records.values())
    assert len(known) == 32
    ms = predict(table, space, np.array([r.arch for r in known]))
    psnr = np.array([r.psnr_y for r in known])
    better = (ms[:, None] <= ms) & (psnr[:, None] >= psnr) & ((ms[:, None] < ms) | (psnr[:, None] > psnr))
    front = {r.arch for r, beaten in zip(known, better.any(0), strict=True) if not beaten}
    found = Archive(out / ARCHIVE, write=False).records
    assert {r.arch: r.psnr_y for r in found.values()} == {r.arch: r.psnr_y for r in known}
    np.testing.assert_allclose([found[r.arch].latency_ms for r in known], ms)
    results = read_results(out, space)
    assert (results.evaluated, results.reused, results.candidates_per_second) == (0, 32, 0.0)
    members = [member.arch for member in results.members]
    assert set(members) <= front
    assert members[0] == min(front, key=lambda arch: found[arch].latency_ms)
    assert any("0 of 32 archs evaluated, 32 of another run reused" in line for line in lines)


def test_members_carry_the_latencies_of_the_other_device(again, phone, tiny):
    out, _ = again
    bundle, table, space = load_bundle(out / "bundle"), load_table(phone), tiny.space.build()
    assert bundle.device == "Phone 9, as its latency table predicts"
    assert len(bundle.members) > 1
    predicted = predict(table, space, np.array(bundle.archs))
    np.testing.assert_allclose([m.latency_ms for m in bundle.members], predicted, rtol=1e-6)
    data = read_run(out)
    assert data.results.predicted
    assert data.results.device == bundle.device
    shown = latency_predictions(space, data.table, data.results)
    assert {point.kind for point in shown} == {"fitted"}


def test_such_a_bundle_runs_here(again):
    image = np.random.default_rng(0).integers(0, 256, (9, 10, 3), np.uint8)
    assert Upscaler(load_bundle(again[0] / "bundle"))(image).shape == (18, 20, 3)


def test_the_command_line_bounds_what_was_searched_before(again, tmp_path, capsys):
    """A third search, of the second: the table is the second's own, the archive all that both know."""
    known = Archive(again[0] / ARCHIVE, write=False).records.values()
    bound = sorted(record.latency_ms for record in known)[12]
    out = tmp_path / "run"
    options = ["--search.max-latency-ms", bound, "--search.objectives", "psnr_y", "latency_ms", "params"]
    assert main([str(arg) for arg in ["search", "--from", again[0], "--out", out, *options]]) == 0
    lines, bundle = capsys.readouterr().out, load_bundle(out / "bundle")
    above = sum(record.latency_ms > bound for record in known)
    assert f"constraints: search.max_latency_ms {bound} excludes {above} of 32\n" in lines
    assert "0 of 32 archs evaluated, 32 of another run reused" in lines
    assert all(member.latency_ms <= bound for member in bundle.members)
    assert bundle.device == "Phone 9, as its latency table predicts"


def test_bounds_that_exclude_all_name_themselves_and_the_way_on(again, tmp_path, capsys):
    out = tmp_path / "run"
    options = ["--search.max-latency-ms", 1.5, "--search.min-psnr-y", 1.5]
    args = ["search", "--from", again[0], "--out", out, *options]
    assert main([str(arg) for arg in args]) == 2
    err = capsys.readouterr().err
    assert (
        "search.max_latency_ms 1.5 excludes 32 of 32, search.min_psnr_y 1.5 excludes 0 of 32, together 32;"
        in err
    )
    assert f"dysr search --from {out} --out OTHER takes other bounds without training" in err
    assert main([str(arg) for arg in ["search", "--from", out, "--out", tmp_path / "b", *options[2:]]]) == 2


def test_a_finished_one_needs_the_other_run_no_more(again, every, monkeypatch):
    moved = every.with_name("moved")
    every.rename(moved)
    try:
        lines: list[str] = []
        config = RunConfig(**vars(read_run(again[0]).config))
        run_search(config, again[0], log=lines.append)
        assert any("is finished" in line for line in lines)
    finally:
        moved.rename(every)


@pytest.fixture
def key_of(tiny_run):
    return json.loads((tiny_run.path / KEY_FILE).read_text())


def test_the_same_is_known(tiny_run, key_of):
    known = known_records(tiny_run.path, key_of)
    assert {r.arch for r in known} == set(Archive(tiny_run.path / ARCHIVE, write=False).records)


def test_a_run_of_before_gets_the_key_of_its_own_files(tiny_run, key_of, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run.path, run)
    (run / KEY_FILE).unlink()
    assert known_records(run, key_of)
    with pytest.raises(InputError, match="another patches"):
        known_records(run, {**key_of, "patches": "0"})


def patches_of(changed=False):
    rng = np.random.default_rng(0)
    lr, hr = (rng.integers(0, 255, (2, side, side, 3), np.uint8) for side in (4, 8))
    hr[1, 2, 3, 0] += changed
    return Patches(lr=jnp.asarray(lr), hr=jnp.asarray(hr), image=jnp.asarray([0, 1]))


def test_a_key_changes_with_one_weight_one_pixel_and_one_branch(tiny_run, tiny, tmp_path):
    weights, space = tiny_run.path / SUPERNET_FILE, tiny.space.build()
    key = archive_key(tiny, space, weights, patches_of())
    params = load_supernet(weights, space)
    kernel = params["head"]["kernel"]
    params["head"]["kernel"] = kernel.at[(0,) * kernel.ndim].add(1e-3)
    other = tmp_path / "other.safetensors"
    other.write_bytes(params_to_bytes(params))
    swapped = dataclasses.replace(tiny.space, branches=("id", "c3", "s3", "r1")).build()
    for found, field in (
        (archive_key(tiny, space, other, patches_of()), "weights"),
        (archive_key(tiny, space, weights, patches_of(changed=True)), "patches"),
        (archive_key(tiny, swapped, weights, patches_of()), "space"),
        (archive_key(dataclasses.replace(tiny, dtype="bfloat16"), space, weights, patches_of()), "dtype"),
    ):
        assert [name for name in key if found[name] != key[name]] == [field]


def test_other_things_are_refused_before_a_folder_is_made(tiny_run, tiny, tmp_path, capsys):
    space, out = tiny.space.build(), tmp_path / "run"
    params = load_supernet(tiny_run.path / SUPERNET_FILE, space)
    other = tmp_path / "other.safetensors"
    other.write_bytes(params_to_bytes({**params, "head": {k: v + 1 for k, v in params["head"].items()}}))
    for options, words in (
        (["--weights", other], "its archive is of another weights"),
        (["--search.patches", 3], "its archive is of another patches"),
        (["--space.branches", "id", "c3", "s3", "r1"], "its archive is of another space"),
        (["--dtype", "bfloat16"], "its archive is of another dtype (float32, here bfloat16)"),
        (["--config", "base"], "must not come with --from"),
    ):
        args = ["search", "--from", tiny_run.path, "--out", out, *options]
        assert main([str(arg) for arg in args]) == 2
        line = capsys.readouterr().err
        assert words in line
        assert line.count("\n") == 1
        assert not out.exists()


@pytest.mark.parametrize("gone", ["config.json", ARCHIVE, SUPERNET_FILE, "latency.json"])
def test_a_folder_that_is_no_run(tiny_run, tmp_path, gone):
    run = tmp_path / "run"
    shutil.copytree(tiny_run.path, run, ignore=shutil.ignore_patterns(gone, "bundle"))
    with pytest.raises(InputError, match=f"must be a run that finished training; it has no {gone}"):
        config_from_run(run)


def test_damaged_and_empty(tiny_run, key_of, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run.path, run)
    (run / ARCHIVE).write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        known_records(run, key_of)
    (run / KEY_FILE).write_text("[1")
    with pytest.raises(InputError, match="is damaged"):
        known_records(run, key_of)


def test_a_table_of_another_device_is_refused_without_a_run(tiny_run, phone, tmp_path, capsys):
    config, out = tiny_run.path / "config.json", tmp_path / "run"
    args = ["search", "--config", config, "--out", out, "--search.latency", phone]
    assert main([str(arg) for arg in args]) == 2
    assert "'Phone 9'; needed is" in capsys.readouterr().err
    assert not out.exists()


def test_weights_come_with_the_run(tiny, tmp_path):
    with pytest.raises(InputError, match="config_from_run"):
        run_search(dataclasses.replace(tiny, from_run="somewhere"), tmp_path / "run")


def test_only_what_the_archive_lacks_is_evaluated(every, tmp_path):
    """Of a run that knows half of its space, on the same device: members are measured again."""
    half, out = tmp_path / "half", tmp_path / "out"
    shutil.copytree(every, half)
    lines = (half / ARCHIVE).read_text().splitlines(keepends=True)
    (half / ARCHIVE).write_text("".join(lines[::2]))
    config = config_from_run(half)
    run_search(config, out, log=lambda _: None)
    before, after = (Archive(path / ARCHIVE, write=False).records for path in (every, out))
    results = read_results(out, config.space.build())
    assert results.reused == 16
    assert results.evaluated == len(after) - 16 > 0
    assert not results.predicted
    for arch, record in after.items():
        assert record.psnr_y == pytest.approx(before[arch].psnr_y, abs=1e-3)
