"""The bundle: what is saved comes back, what was damaged does not, and nothing in it is run."""

import dataclasses
import hashlib
import json
import os
import pathlib
import pickle

import jax
import numpy as np
import pytest
from etils import epath

import dysr_jax
import dysr_jax.bench
from dysr_jax.bundle import bundle as module
from dysr_jax.bundle.bundle import load_bundle, make_bundle, make_member, save_bundle
from dysr_jax.errors import InputError
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.sharing import union_weight_bytes
from dysr_jax.model.space import arch_mult_adds, arch_parameters, uniform_space
from dysr_jax.model.supernet import init_params
from dysr_jax.search.latency import LatencyTable, WidthTerms, load_table, table_json

SPACE = uniform_space(slots=2, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))
FIGURES = {(0, 2, 0): (30.1, 2 / 3), (0, 1, 0): (1 / 3, 0.25), (2, 2, 0): (31.25, 1.5)}
KEY = {"device": "none", "body": [list(n) for n in SPACE.slots], "widths": [4], "scale": 2}
TERMS = {"s3": 0.125, "c3": 0.25, "r1": 0.5}
TABLE = LatencyTable(KEY, (WidthTerms(4, 0.5, TERMS, {"u2": 0.125}),), {"2id-u1": 0.5}, "now")
FILES = ["weights.safetensors", "latency.json", "manifest.json"]


def planted_bundle(width=4, figures=FIGURES):
    space = dataclasses.replace(SPACE, widths=width)
    return make_bundle(
        init_params(jax.random.key(width), space),
        [make_member(space, arch, *figures[arch]) for arch in figures],
        net=make_supernet(space, "float32"),
        frame=(6, 8),
        bicubic_psnr_y=28.7,
    )


@pytest.fixture(scope="module")
def bundle():
    return planted_bundle()


@pytest.fixture
def saved(tmp_path, bundle):
    path = tmp_path / "bundle"
    save_bundle(path, bundle, table_json(TABLE))
    return path


def assert_equal(first, second):
    for field in dataclasses.fields(first):
        if field.name != "params":
            assert getattr(first, field.name) == getattr(second, field.name), field.name
    assert jax.tree.structure(first.params) == jax.tree.structure(second.params)
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def forge(path, *, weights=None, **fields):
    """Alter a bundle and make all its digests consistent again."""
    manifest = json.loads((path / "manifest.json").read_text()) | fields
    if weights is not None:
        (path / "weights.safetensors").write_bytes(weights)
        manifest["files"]["weights.safetensors"] = sha256(weights)
    del manifest["digest"]
    manifest["digest"] = sha256(json.dumps(manifest, sort_keys=True).encode())
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_members_are_sorted_and_only_their_weights_are_kept(bundle):
    assert [member.name for member in bundle.members] == ["id-s3-u1", "id-c3-u1", "2c3-u1"]
    assert bundle.member() is bundle.members[-1]
    assert bundle.member("id-c3-u1").psnr_y == 30.1
    nbytes = sum(leaf.nbytes for leaf in jax.tree.leaves(bundle.params))
    assert nbytes == union_weight_bytes(SPACE, list(FIGURES))
    assert nbytes < sum(leaf.nbytes for leaf in jax.tree.leaves(init_params(jax.random.key(0), SPACE)))
    with pytest.raises(InputError, match=r"'2r1-u1': the bundle has id-s3-u1, id-c3-u1, 2c3-u1"):
        bundle.member("2r1-u1")


def test_a_member_s_figures():
    member = make_member(SPACE, (2, 2, 1), 30.0, 4.0)
    assert (member.name, member.fps) == ("2c3-u2", 250.0)
    assert member.parameters == arch_parameters(SPACE, (2, 2, 1))
    assert member.mult_adds == arch_mult_adds(SPACE, (2, 2, 1))


def test_save_and_load(saved, bundle):
    assert_equal(load_bundle(saved), bundle)
    assert sorted(file.name for file in saved.iterdir()) == sorted(FILES)
    assert load_table(saved / "latency.json", TABLE.key) == TABLE


def test_the_loaded_weights_compute_the_same(saved, bundle):
    loaded, x = load_bundle(saved), jax.random.uniform(jax.random.key(0), (1, 5, 6, 3))
    outputs = [
        np.asarray(b.net.apply({"params": b.params}, x, member.arch))
        for member in bundle.members
        for b in (bundle, loaded)
    ]
    assert np.abs(outputs[0] - outputs[2]).max() > 1e-5  # members differ
    for ours, theirs in zip(outputs[::2], outputs[1::2], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_steps_are_in_the_manifest(saved, bundle):
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest["steps"] == [step.to_json() for step in bundle.steps]
    assert [(step["from"], step["to"]) for step in manifest["steps"]] == [
        ("id-s3-u1", "id-c3-u1"),
        ("id-c3-u1", "2c3-u1"),
    ]
    assert load_bundle(saved).steps == bundle.steps


def test_a_bundle_without_steps_is_read(saved, bundle):
    """As bundles were before they had them."""
    manifest = json.loads((saved / "manifest.json").read_text())
    del manifest["steps"], manifest["digest"]
    manifest["digest"] = sha256(json.dumps(manifest, sort_keys=True).encode())
    (saved / "manifest.json").write_text(json.dumps(manifest))
    assert load_bundle(saved).steps == bundle.steps != ()


def test_a_bundle_in_a_bucket(bucket, bundle):
    (epath.Path(bucket) / "RUN").mkdir()
    with pytest.raises(InputError, match=r"bundle 'gs://.*/bundle' does not exist"):
        load_bundle(f"{bucket}/RUN/bundle")
    save_bundle(f"{bucket}/RUN/bundle", bundle, table_json(TABLE))
    assert_equal(load_bundle(f"{bucket}/RUN/bundle"), bundle)
    folder = epath.Path(bucket) / "RUN"
    assert [path.name for path in folder.iterdir()] == ["bundle"]
    (folder / "bundle" / "latency.json").unlink()
    with pytest.raises(InputError, match=r"bundle 'gs://.*: latency\.json is missing"):
        load_bundle(f"{bucket}/RUN/bundle")


# --- damage -----------------------------------------------------------------------------------------


def altered(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "damage",
    [altered, lambda content: content[:-9], lambda content: content[:9], lambda content: b""],
    ids=["altered", "end cut", "start only", "empty"],
)
def test_a_damaged_file_is_named(saved, name, damage):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(damage(content))
    with pytest.raises(InputError, match=f"bundle .*: {name} (is|was) (damaged|.*altered)"):
        load_bundle(saved)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(InputError, match=f"bundle .*: {name} is missing"):
        load_bundle(saved)


def test_a_missing_bundle(tmp_path):
    with pytest.raises(InputError, match=r"bundle .*nothing' does not exist"):
        load_bundle(tmp_path / "nothing")


@pytest.mark.parametrize(("field", "value"), [("bicubic_psnr_y", 40.0), ("device", "faster"), ("new", 1)])
def test_an_altered_manifest_is_refused(saved, field, value):
    manifest = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps(manifest | {field: value}))
    with pytest.raises(InputError, match=r"manifest\.json was altered"):
        load_bundle(saved)


def test_forging_alone_changes_nothing(saved, bundle):
    # What the tests below expect is then due to what they change.
    forge(saved, weights=(saved / "weights.safetensors").read_bytes())
    assert_equal(load_bundle(saved), bundle)


def test_a_newer_version_is_refused(saved):
    for version in (3, 0, "2", None):
        forge(saved, format_version=version)
        with pytest.raises(InputError, match=f"has format {version}; this version of dysr_jax reads 1 to 2"):
            load_bundle(saved)


def test_the_first_format_has_one_width(saved, bundle):
    """A manifest as it was written before widths could be several."""
    fields = {"body": [["id", "s3", "c3", "r1"]] * 2, "upsamplers": ["u1", "u2"], "width": 4, "scale": 2}
    forge(saved, format_version=1, space=fields)
    manifest = json.loads((saved / "manifest.json").read_text())
    assert manifest["space"] == fields and "widths" not in fields
    assert_equal(load_bundle(saved), bundle)


@pytest.mark.parametrize("slots", ["body", "upsamplers"])
def test_an_unknown_branch_is_named(saved, slots):
    space = dataclasses.asdict(SPACE)
    space |= {"body": [["id", "zz9"]] * 2} if slots == "body" else {"upsamplers": ["zz9"]}
    forge(saved, space=space)
    with pytest.raises(InputError, match=r"bundle .*branch 'zz9' of slot"):
        load_bundle(saved)


def test_a_member_that_the_space_does_not_have(saved):
    members = json.loads((saved / "manifest.json").read_text())["members"]
    members[0]["name"] = "2zz9-u1"
    forge(saved, members=members)
    with pytest.raises(InputError, match=r"bundle .*no 'zz9'"):
        load_bundle(saved)


@pytest.mark.parametrize(
    "other",
    [{"width": 8}, {"figures": {(0, 1, 0): (30.0, 1.0)}}, {"figures": FIGURES | {(3, 3, 1): (32.0, 2.0)}}],
    ids=["other shapes", "fewer kernels", "more kernels"],
)
def test_consistent_digests_of_other_weights_are_refused(saved, tmp_path, other):
    save_bundle(tmp_path / "other", planted_bundle(**other), table_json(TABLE))
    forge(saved, weights=(tmp_path / "other" / "weights.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"bundle .*: its weights are not those"):
        load_bundle(saved)


@pytest.mark.parametrize(
    ("field", "value"), [("members", None), ("space", {"widths": [4]}), ("members", [{"name": "2id-u1"}])]
)
def test_consistent_digests_of_another_structure_are_refused(saved, field, value):
    forge(saved, **{field: value})
    with pytest.raises(InputError, match="bundle "):
        load_bundle(saved)


# --- data only --------------------------------------------------------------------------------------


class Payload:
    """Unpickling this makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_in_place_of_the_weights_is_refused_and_not_run(saved, tmp_path):
    marker = tmp_path / "payload ran"
    payload = pickle.dumps(Payload(marker))
    forge(saved, weights=payload)
    try:
        with pytest.raises(InputError, match=r"bundle .*weights"):
            load_bundle(saved)
    finally:
        assert not marker.exists()
    pickle.loads(payload)
    assert marker.exists()  # it would have been


def test_loading_unpickles_nothing(saved, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    load_bundle(saved)


def test_the_weights_are_safetensors(saved, bundle):
    """Read by the format's description alone: header length, JSON header, raw data."""
    content = (saved / "weights.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    found = {}
    for key, entry in header.items():
        first, last = (start + offset for offset in entry["data_offsets"])
        assert entry["dtype"] == "F32"
        values = np.frombuffer(content[first:last], "<f4").reshape(entry["shape"])
        found.setdefault(key.split("/")[0], {})[key.split("/")[1]] = values
    jax.tree.map(np.testing.assert_array_equal, found, bundle.params)


# --- replacing --------------------------------------------------------------------------------------


@pytest.fixture
def better():
    return planted_bundle(figures={(3, 3, 1): (33.0, 2.0)})


def test_an_older_bundle_is_replaced(saved, better):
    (saved / "stale").touch()
    save_bundle(saved, better, table_json(TABLE))
    assert_equal(load_bundle(saved), better)
    assert sorted(file.name for file in saved.iterdir()) == sorted(FILES)
    assert list(saved.parent.iterdir()) == [saved]


class FullDiskError(OSError):
    """A disk without room."""


def test_a_failed_save_leaves_the_older_bundle(saved, bundle, better, monkeypatch):
    def fail(*args):
        raise FullDiskError

    monkeypatch.setattr(module, "write_json", fail)
    with pytest.raises(FullDiskError):
        save_bundle(saved, better, table_json(TABLE))
    assert_equal(load_bundle(saved), bundle)
    assert list(saved.parent.iterdir()) == [saved]


def test_a_failed_move_leaves_the_older_bundle(saved, bundle, better, monkeypatch):
    rename = os.rename

    def fail_into_place(source, target):
        if pathlib.Path(target) == saved and "partial" in pathlib.Path(source).name:
            raise FullDiskError
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_into_place)
    with pytest.raises(FullDiskError):
        save_bundle(saved, better, table_json(TABLE))
    assert_equal(load_bundle(saved), bundle)


# --- what may be compared, and what cannot be -----------------------------------------------------------


def test_bundles_of_equal_members_and_weights_are_one_key(bundle):
    copied = dataclasses.replace(bundle, params=jax.tree.map(lambda x: x + 0, bundle.params))
    moved = dataclasses.replace(bundle, params=jax.tree.map(lambda x: x + 1, bundle.params))
    fewer = dataclasses.replace(bundle, params={})
    renamed = dataclasses.replace(bundle, device="another")
    assert copied == bundle
    assert len({bundle, copied, moved, fewer, renamed}) == 4
    for other in (moved, fewer, renamed, None, "bundle"):
        assert bundle != other


def test_members_of_a_manifest_have_the_one_spelling(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    first, *others = manifest["members"]
    forge(saved, members=[{**first, "name": "id-s3-1u1"}, *others])
    assert load_bundle(saved).members[0].name == "id-s3-u1"


@pytest.mark.parametrize("latency", [0.0, -1.0, float("nan"), float("inf")])
def test_a_latency_that_no_frame_has(latency):
    with pytest.raises(InputError, match=r"latency_ms must be .*, got "):
        make_member(SPACE, (0, 0, 0), 30.0, latency)


def test_a_bundle_has_members(bundle):
    with pytest.raises(InputError, match="a bundle must have at least one"):
        dataclasses.replace(bundle, members=())


@pytest.mark.parametrize("dtype", ["int8", "bfloat16", "float64", ""])
def test_weights_are_not_stored_in_what_cannot_hold_them(tmp_path, bundle, dtype):
    with pytest.raises(InputError, match="must be float32 or float16"):
        save_bundle(tmp_path / "bundle", bundle, {}, dtype=dtype)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    "use",
    [
        dysr_jax.Bank,
        dysr_jax.Chain,
        dysr_jax.Serving,
        dysr_jax.bench.bench_fps,
        lambda bundle: dysr_jax.upscale_files(bundle, "a.png"),
        lambda bundle: dysr_jax.stream_video(bundle, "a.mp4", "b.mp4"),
        lambda bundle: dysr_jax.evaluate_folder(bundle, "folder"),
    ],
)
@pytest.mark.parametrize("wrong", ["runs/mine/bundle", None])
def test_what_is_no_bundle_is_named(use, wrong):
    with pytest.raises(InputError, match=f"^bundle {wrong!r}: must be a Bundle, as load_bundle"):
        use(wrong)
