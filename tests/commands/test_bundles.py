"""Bundles that commands are given: missing, damaged, altered."""

import hashlib
import json
import shutil

import pytest

from dysr_jax.cli import main


def dysr(*args: object) -> int:
    return main([str(arg) for arg in args])


@pytest.fixture
def copied(bundle, tmp_path):
    """A bundle that may be damaged."""
    return shutil.copytree(bundle, tmp_path / "bundle")


def alter_json(path, change, *, digest: bool) -> None:
    """Change a manifest; with its own digest made anew, by the documented rule."""
    manifest = json.loads(path.read_text())
    change(manifest)
    if digest:
        del manifest["digest"]
        content = json.dumps(manifest, sort_keys=True).encode()
        manifest["digest"] = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["weights.safetensors", "latency.json"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "truncated or altered"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "truncated or altered"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"), "truncated or altered"),
    ],
    ids=["missing", "empty", "truncated", "altered"],
)
def test_damaged_files_of_a_bundle(refused, copied, image, tmp_path, name, damage, message):
    damage(copied / name)
    line = refused("upscale", "--bundle", copied, image, tmp_path / "out.png")
    assert f"bundle '{copied}': {name} " in line
    assert message in line
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is damaged"), (b"[]", "is damaged"), (b"{}", "is damaged"), (b"\xff", "is damaged")],
)
def test_damaged_manifests(refused, copied, image, tmp_path, content, message):
    (copied / "manifest.json").write_bytes(content)
    line = refused("upscale", "--bundle", copied, image, tmp_path / "out.png")
    assert f"bundle '{copied}': manifest.json {message}" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["members"][0].update(psnr_y=99.0), "manifest.json was altered"),
        (lambda m: m.pop("digest"), "manifest.json was altered"),
        # Told before the digest: what a newer version digests is not known here.
        (lambda m: m.update(format_version=3), "has format 3; this version of dysr_jax reads 1 to 2"),
    ],
    ids=["altered", "no digest", "newer"],
)
def test_altered_manifests(refused, copied, image, tmp_path, change, message):
    alter_json(copied / "manifest.json", change, digest=False)
    assert message in refused("upscale", "--bundle", copied, image, tmp_path / "out.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["space"]["body"][0].append("zz"), "branch 'zz' of slot 0"),
        (lambda m: m["space"].update(widths=[8]), "weights are not those"),
        (lambda m: m["space"].update(widths=[8, 4]), "widths (8, 4): must be increasing"),
        (lambda m: m["space"].update(scale=5), "scale 5"),
        (lambda m: m.update(members=[]), "at least one"),
        (lambda m: m.update(dtype="float8"), "float8"),
        (lambda m: m.pop("files"), "files"),
        (lambda m: m["members"][0].pop("fps"), "fps"),
    ],
    ids=["branch", "width", "widths", "scale", "no members", "dtype", "no files", "no fps"],
)
def test_manifests_of_something_else(refused, copied, image, tmp_path, change, message):
    """The digest is right, as that of another program's bundle would be."""
    alter_json(copied / "manifest.json", change, digest=True)
    line = refused("upscale", "--bundle", copied, image, tmp_path / "out.png")
    assert message in line
    assert str(copied) in line


def test_a_manifest_that_only_got_a_new_digest_is_fine(copied, image, tmp_path):
    # Otherwise the refusals above could all be the digest's.
    alter_json(copied / "manifest.json", lambda m: m.update(device="other"), digest=True)
    assert dysr("upscale", "--bundle", copied, image, tmp_path / "out.png") == 0


def test_bundles_that_are_not_there(refused, tiny_run, image, tmp_path):
    out = tmp_path / "out.png"
    line = refused("upscale", "--bundle", tmp_path / "nothing", image, out)
    assert f"bundle '{tmp_path / 'nothing'}' does not exist (a run's bundle is RUN/bundle)" in line
    assert "does not exist" in refused("upscale", "--bundle", image, image, out)
    assert "manifest.json is missing" in refused("upscale", "--bundle", tiny_run.path, image, out)
