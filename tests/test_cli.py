"""The command line: what it prints, what it writes, and one line for everything that cannot be."""

import dataclasses
import hashlib
import json
import re
import shutil
import statistics
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio

import dysr_jax.cli
import dysr_jax.commands.bench
import dysr_jax.commands.images
import dysr_jax.commands.runs
import dysr_jax.run
from dysr_jax.atomic import write_json
from dysr_jax.bench.setup import BenchResult
from dysr_jax.cli import main
from dysr_jax.commands.parsing import COMMANDS
from dysr_jax.config import to_dict
from dysr_jax.data.degradation import bicubic_downscale, bicubic_upscale
from dysr_jax.data.images.read import read_image
from dysr_jax.data.images.write import write_image
from dysr_jax.model.space import uniform_space
from dysr_jax.rundir import open_run
from dysr_jax.search.latency import LatencyTable, load_table, save_table, table_key

SCALE, ROWS, COLUMNS = 2, 20, 24
"""The tiny run's scale; images of one size, so that its members compile few times."""


def dysr(*args: object) -> int:
    return main([str(arg) for arg in args])


@pytest.fixture
def refused(capsys):
    """Run a command that cannot be; its one line on stderr."""

    def run(*args: object) -> str:
        capsys.readouterr()
        assert dysr(*args) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("dysr: error: ")
        assert printed.err.endswith("\n")
        assert printed.err.count("\n") == 1
        return printed.err

    return run


@pytest.fixture
def bundle(tiny_run):
    """The tiny run's bundle; not to be changed."""
    return tiny_run.path / "bundle"


@pytest.fixture
def copied(bundle, tmp_path):
    """A bundle that may be damaged."""
    return shutil.copytree(bundle, tmp_path / "bundle")


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.png"
    write_image(path, np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8))
    return path


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of smooth images, large enough for patches."""
    folder = tmp_path_factory.mktemp("photos")
    row, column = np.mgrid[:64, :72]
    for number in range(3):
        waves = [np.sin((row + 2 * column) / (3 + number + c)) for c in range(3)]
        write_image(folder / f"{number}.png", (127 + 100 * np.stack(waves, -1)).astype(np.uint8))
    return folder


@pytest.fixture
def small(tiny, photos, tmp_path):
    """Options of the tiny config on those images, with a space of four archs."""
    path = tmp_path / "small.json"
    write_json(path, to_dict(tiny))
    data = ["--data.source", f"folder:{photos}", "--data.holdout", 1]
    space = ["--space.slots", 1, "--space.branches", "id", "c3", "--search.population", 4]
    return ["--config", path, *data, *space]


# Usage


def test_no_arguments_print_the_usage(capsys):
    assert main([]) == 2
    usage = capsys.readouterr().out
    assert usage.startswith("usage: dysr COMMAND")
    for command in COMMANDS:
        assert f"dysr {command} " in usage


def test_the_usage_says_what_every_command_is_for(capsys):
    main([])
    listed = dict(re.findall(r"^  dysr (\S+(?: \S+)?)  +(\S.*)$", capsys.readouterr().out, re.M))
    names = (*("step", "candidates", "search", "scaling", "data", "front"), *("fps", "switch", "steady"))
    benchmarks = {f"bench {name}" for name in names}
    data = {"data prepare", "data list"}
    assert set(listed) == {"search", "upscale", "stream", "eval", "report", "profile"} | benchmarks | data
    assert len({*listed.values()}) == len(listed)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_prints_the_same_and_succeeds(capsys, flag):
    main([])
    usage = capsys.readouterr().out
    assert main([flag]) == 0
    assert capsys.readouterr().out == usage


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_names_its_options(capsys, command):
    assert main([*command.split(), "--help"]) == 0
    own = {
        "upscale": "--member",
        "eval": "--json",
        "report": "--steady",
        "stream": "--real-time",
        "bench fps": "--limit-s",
        "bench front": "--figure",
        "bench switch": "--strategies",
        "bench steady": "--figures",
        "data prepare": "--from",
        "data list": "--data-dir",
    }
    assert own.get(command, "--train.learning-rate") in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "dysr_jax 0.1.0\n"


def test_the_installed_command():
    command = [sys.executable, "-m", "dysr_jax.cli", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "dysr_jax 0.1.0\n")


# Arguments


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["foo"], ["unknown command 'foo'", "search", "upscale", "eval", "bench step"]),
        (["bench"], ["unknown command 'bench'", "bench step", "bench candidates"]),
        (["bench"], ["bench search", "bench scaling", "profile"]),
        (["bench", "foo"], ["unknown command 'bench foo'", "bench candidates"]),
        (["--foo"], ["unknown command '--foo'"]),
        (["search"], ["Missing", "--out"]),
        (["search", "--out"], ["--out", "Missing value"]),
        (["search", "--out", "OUT", "--foo", "3"], ["unknown option '--foo'", "search --help"]),
        (["search", "--out", "OUT", "--train.step", "3"], ["unknown option '--train.step'"]),
        (["search", "--out", "OUT", "stray"], ["unknown option 'stray'"]),
        (["search", "--out", "OUT", "--config"], ["--config", "quickstart", "base", ".json"]),
        (["search", "--out", "OUT", "--config", "foo"], ["config 'foo'", "quickstart, base"]),
        (["search", "--out", "OUT", "--config", "foo.json"], ["'foo.json'", "cannot be read"]),
        (["search", "--out", "OUT", "--train.steps", "abc"], ["--train.steps", "'abc'", "int"]),
        (["search", "--out", "OUT", "--train.steps", "1.5"], ["--train.steps", "'1.5'", "int"]),
        (["search", "--out", "OUT", "--search.frame", "3"], ["--search.frame", "2 values"]),
        (["search", "--out", "OUT", "--dtype", "f8"], ["--dtype", "'f8'", "bfloat16"]),
        (["upscale"], ["Missing", "IN", "upscale --help"]),
        (["upscale", "a", "b", "c"], ["unknown option 'c'"]),
        (["upscale", "a", "--foo"], ["unknown option '--foo'"]),
        (["upscale", "a", "--overwrit"], ["unknown option '--overwrit'", "--overwrite?"]),
        (["upscale", "a", "--scale", "x"], ["--scale", "'x'", "int"]),
        (["eval"], ["Missing", "eval"]),
        (["bench", "step", "--rounds", "x"], ["--rounds", "'x'", "int"]),
        (["bench", "search", "--populations", "x"], ["--populations", "'x'"]),
        (["bench", "scaling", "--steps", "1.5"], ["--steps", "'1.5'", "int"]),
        (["profile"], ["Missing", "--out"]),
        (["profile", "caf\udce9"], ["Missing", "--out"]),
    ],
)
def test_arguments_that_cannot_be(refused, tmp_path, args, words):
    line = refused(*(tmp_path / arg if arg == "OUT" else arg for arg in args))
    for word in words:
        assert word in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "ascii"])
def test_the_line_is_the_same_on_every_terminal(capsys, monkeypatch, tmp_path, encoding):
    # Tyro draws its boxes in other characters unless the encoding of stdout is called "utf-8".
    with (tmp_path / "stdout").open("w", encoding=encoding) as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        dysr("search", "--out", tmp_path / "out", "--train.steps", "abc")
        monkeypatch.undo()
    line = capsys.readouterr().err
    assert line.startswith("dysr: error: Error parsing --train.steps: invalid literal for int()")
    assert "---" not in line
    assert "helptext" not in line


BAD_VALUES = {
    "space.slots": [0],
    "space.width": [0],
    "space.scale": [5],
    "space.branches": ["zz"],
    "space.upsamplers": ["zz"],
    "data.source": ["foo"],
    "data.validation": ["foo"],
    "data.holdout": [0, 3],
    "data.boundary": ["wrap"],
    "data.small": ["maybe"],
    "data.patch": [0, -3, 99],
    "data.rescale": [0, 1, "nan"],
    "data.pipeline": ["disk"],
    "data.pool-share": [0, 1.5, "nan"],
    "data.crops-per-image": [0],
    "data.workers": [-1],
    "train.steps": [0, 7],
    "train.batch": [0],
    "train.groups": [3, -4],
    "train.random-archs": [0],
    "train.chunk": [0],
    "train.checkpoint-chunks": [0],
    "train.distill": [-0.1, 1.1, "nan"],
    "train.ema": [1.1],
    "train.learning-rate": ["nan", -1],
    "train.archs": ["each"],
    "train.sampling": ["all"],
    "train.warmup": [-1],
    "train.clip": [0, "inf"],
    "search.population": [1, 5],
    "search.generations": [0],
    "search.mutation": [2],
    "search.crossover": ["nan"],
    "search.patches": [0],
    # The metric cuts `scale` pixels off each side: nothing is left of a patch of 2 LR pixels.
    "search.patch": [0, 2, 99],
    "search.rounds": [0],
    "search.members": [1],
    "train.color-jitter": [2, "nan"],
    "layers": ["fast"],
    "search.switch-cost-weight": [-0.1, "nan", "inf"],
    "search.max-latency-ms": [-1, "inf"],
    "search.min-psnr-y": [-1, "nan"],
    "search.objectives": ["psnr_y"],
    "search.latency-archs": [-1],
    "seed": [2**70],
    "devices": [-1, 99],
}


@pytest.mark.parametrize(
    ("option", "value"), [(option, value) for option, values in BAD_VALUES.items() for value in values]
)
def test_values_that_cannot_be(refused, small, tmp_path, monkeypatch, option, value):
    # What is not refused would train; that is told apart here and not waited for.
    monkeypatch.setattr(dysr_jax.run, "_train_and_search", lambda job: pytest.fail("it went on"))
    out = tmp_path / "run"
    line = refused("search", "--out", out, *small, f"--{option}", value)
    named = {"space.branches": "branch", "space.upsamplers": "branch", "data.source": "data source"}
    named |= {"data.validation": "data source"}
    assert named.get(option, option.rpartition(".")[2].replace("-", "_")) in line.replace("-", "_")
    assert str(value) in line
    assert not out.exists()


@pytest.mark.parametrize("command", ["step", "candidates", "search", "scaling", "data"])
def test_benchmarks_need_a_round(refused, small, command):
    assert "rounds 0" in refused("bench", command, *small, "--rounds", 0)


def test_benchmarks_need_two_archs(refused, small):
    line = refused("bench", "candidates", *small, "--compiled", 1)
    assert "1: must be at least 2" in line


# The run's folder


def snapshot(folder) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_finished_run_prints_its_tables_again(tiny_run, capsys):
    before = snapshot(tiny_run.path)
    assert dysr("search", "--out", tiny_run.path, "--config", tiny_run.path / "config.json") == 0
    lines = capsys.readouterr().out
    assert f"{tiny_run.path} is finished" in lines
    assert "bicubic" in lines
    for member in tiny_run.bundle.members:
        assert f"\n{member.name} " in lines
    assert "0 compilations during them" in lines
    # It was read and nothing else; what it printed is what it printed the first time.
    assert snapshot(tiny_run.path) == before
    first_time = "\n".join(tiny_run.lines)
    assert first_time[first_time.index("\nfront on") :].strip() in lines


def test_a_run_of_another_config_is_kept(refused, tiny_run):
    before = snapshot(tiny_run.path)
    config = tiny_run.path / "config.json"
    line = refused("search", "--out", tiny_run.path, "--config", config, "--seed", 3)
    assert "holds a run of another config (seed 0, not 3)" in line
    assert snapshot(tiny_run.path) == before


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": b"mine"}, "holds other files"),
        ({"config.json": b"{"}, "config.json is damaged"),
        ({"config.json": b"\xff\xfe{"}, "config.json is damaged"),
        ({"config.json": b'{"spice": 1}'}, "unknown key 'spice'"),
    ],
)
def test_other_folders_are_kept(refused, small, tmp_path, files, message):
    out = tmp_path / "out"
    out.mkdir()
    for name, content in files.items():
        (out / name).write_bytes(content)
    line = refused("search", "--out", out, *small)
    assert message in line
    assert str(out) in line
    assert snapshot(out) == files


def test_what_a_kill_left_is_no_other_file(tmp_path, tiny):
    """The moment between writing the config beside its place and renaming it."""
    out = tmp_path / "out"
    out.mkdir()
    (out / ".config.json.123.partial").write_text("{")
    assert open_run(out, tiny) == out
    assert json.loads((out / "config.json").read_text()) == to_dict(tiny)


def test_a_run_records_on_how_many_groups_it_trains(tiny_run):
    """So that it does not go on, with another recipe, on another number of devices."""
    found = json.loads((tiny_run.path / "config.json").read_text())
    assert found["train"]["groups"] == len(jax.devices()) == 4


def test_benchmarks_use_one_device(refused, small):
    line = refused("bench", "step", *small[:2], "--devices", 2)
    assert "devices 2: must be 1" in line


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_run_needs_a_folder(refused, small, tmp_path, place):
    (tmp_path / "file").write_text("mine")
    assert f"{place}' cannot be made" in refused("search", "--out", tmp_path / place, *small)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_needs_a_name_in_utf_8(refused, small, tmp_path):
    out = tmp_path / "caf\udce9"
    assert "must be a name in UTF-8" in refused("search", "--out", out, *small)
    assert not out.exists()


def test_ctrl_c_exits_with_130(monkeypatch, small, tmp_path, capsys):
    def interrupted(config, out):
        raise KeyboardInterrupt

    monkeypatch.setattr(dysr_jax.commands.runs, "run_search", interrupted)
    assert dysr("search", "--out", tmp_path / "out", *small) == 130
    error = capsys.readouterr().err
    assert error.strip().startswith("dysr: interrupted")
    assert "Traceback" not in error


# Bundles


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
        (lambda m: m.update(format_version=2), "has format 2; this version of dysr_jax reads 1"),
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
        (lambda m: m["space"].update(width=8), "weights are not those"),
        (lambda m: m["space"].update(scale=5), "scale 5"),
        (lambda m: m.update(members=[]), "at least one"),
        (lambda m: m.update(dtype="float8"), "float8"),
        (lambda m: m.pop("files"), "files"),
        (lambda m: m["members"][0].pop("fps"), "fps"),
    ],
    ids=["branch", "width", "scale", "no members", "dtype", "no files", "no fps"],
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


# Upscale


def sixteen_bit(rgb: np.ndarray) -> Image.Image:
    return Image.fromarray(rgb[:, :, 0].astype(np.uint16) * 257)


@pytest.mark.parametrize(
    ("convert", "mode", "note"),
    [
        (Image.fromarray, "RGB", ""),
        (lambda rgb: Image.fromarray(rgb).convert("L"), "L", ""),
        (lambda rgb: Image.fromarray(rgb[:, :, :2]), "LA", ""),
        (lambda rgb: Image.fromarray(np.dstack([rgb, rgb[:, :, :1]])), "RGBA", ""),
        (lambda rgb: Image.fromarray(rgb).quantize(9), "RGB", ""),
        (sixteen_bit, "L", "16 bits per channel are rounded to 8"),
    ],
    ids=["rgb", "grey", "grey and alpha", "rgba", "palette", "16 bit grey"],
)
def test_upscale_an_image_of_any_kind(bundle, tmp_path, capsys, convert, mode, note):
    rgb = np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8)
    convert(rgb).save(tmp_path / "in.png")
    out = tmp_path / "out.png"
    assert dysr("upscale", "--bundle", bundle, tmp_path / "in.png", out) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{out}\n"
    assert printed.err == (f"dysr: note: {out}: its {note}\n" if note else "")
    with Image.open(out) as image:
        assert (image.size, image.mode) == ((SCALE * COLUMNS, SCALE * ROWS), mode)


def test_without_out_the_image_lies_beside_the_input(bundle, photos, image, tmp_path, capsys):
    assert dysr("upscale", "--bundle", bundle, image) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'image_x2.png'}\n"
    assert read_image(tmp_path / "image_x2.png").shape == (SCALE * ROWS, SCALE * COLUMNS, 3)
    folder = shutil.copytree(photos, tmp_path / "photos")
    assert dysr("upscale", "--bundle", bundle, folder) == 0
    assert sorted(path.name for path in (tmp_path / "photos_x2").iterdir()) == [
        path.name for path in sorted(photos.iterdir())
    ]


def test_files_that_are_there_are_kept_unless_told(refused, bundle, photos, image, tmp_path):
    out, folder = tmp_path / "out.png", tmp_path / "out"
    out.write_bytes(b"mine")
    line = refused("upscale", "--bundle", bundle, image, out)
    assert f"output '{out}' exists; allowed with --overwrite or --skip-existing" in line
    assert dysr("upscale", "--bundle", bundle, image, out, "--skip-existing") == 0
    assert out.read_bytes() == b"mine"
    assert dysr("upscale", "--bundle", bundle, image, out, "--overwrite") == 0
    assert read_image(out).shape == (SCALE * ROWS, SCALE * COLUMNS, 3)
    folder.mkdir()
    for name in ("0.png", "2.png"):
        (folder / name).write_bytes(b"mine")
    assert "0.png' and 1 more exist;" in refused("upscale", "--bundle", bundle, photos, folder)
    assert dysr("upscale", "--bundle", bundle, photos, folder, "--skip-existing") == 0
    assert [path.read_bytes() == b"mine" for path in sorted(folder.iterdir())] == [True, False, True]


def test_transparency_that_a_format_lacks_is_laid_on_white_and_told(bundle, tmp_path, capsys):
    clear = np.zeros((ROWS, COLUMNS, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "in.png")
    out = tmp_path / "out.jpg"
    assert dysr("upscale", "--bundle", bundle, tmp_path / "in.png", out) == 0
    note = "its transparency is laid on white, because .jpg holds none"
    assert capsys.readouterr().err == f"dysr: note: {out}: {note}\n"
    assert read_image(out).min() >= 250


def test_the_scale_of_a_bundle(refused, bundle, image, photos, tmp_path):
    line = refused("upscale", "--bundle", bundle, "--scale", 4, image)
    assert f"scale 4: bundle '{bundle}' has 2" in line
    assert "scale 4: bundle" in refused("eval", "--bundle", bundle, "--scale", 4, photos)
    assert dysr("upscale", "--bundle", bundle, "--scale", 2, image) == 0


def test_a_bundle_in_place_of_images_is_told(refused, bundle, image, photos):
    """As the command line was once."""
    for args in (["upscale", bundle, image], ["eval", bundle, photos]):
        assert f"'{bundle}' is a bundle; must be images (--bundle " in refused(*args)


def test_upscaled_images_resemble_bicubic(bundle, photos, tmp_path):
    out = tmp_path / "out.png"
    assert dysr("upscale", "--bundle", bundle, photos / "0.png", out) == 0
    bicubic = bicubic_upscale(read_image(photos / "0.png"), SCALE)
    # Even a barely trained network adds little to the pixels it repeats: not noise, not black.
    assert peak_signal_noise_ratio(bicubic, read_image(out)) > 20


def test_upscale_with_a_member(tiny_run, bundle, image, tmp_path):
    outputs = []
    for member in tiny_run.bundle.members:
        out = tmp_path / f"{member.name}.png"
        assert dysr("upscale", "--bundle", bundle, image, out, "--member", member.name) == 0
        outputs.append(out.read_bytes())
    assert dysr("upscale", "--bundle", bundle, image, tmp_path / "default.png") == 0
    # The best member is the default, and members are not all the same.
    assert (tmp_path / "default.png").read_bytes() == outputs[-1]
    assert len(set(outputs)) == len(outputs)


def test_unknown_member(refused, tiny_run, bundle, image, tmp_path):
    line = refused("upscale", "--bundle", bundle, image, tmp_path / "out.png", "--member", "zz")
    assert "member 'zz': the bundle has " in line
    for member in tiny_run.bundle.members:
        assert member.name in line


def test_upscale_a_folder(bundle, photos, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert dysr("upscale", "--bundle", bundle, photos, out) == 0
    names = ["0.png", "1.png", "2.png"]
    assert capsys.readouterr().out.splitlines() == [str(out / name) for name in names]
    assert sorted(path.name for path in out.iterdir()) == names
    for name in names:
        rows, columns, _ = read_image(photos / name).shape
        assert read_image(out / name).shape == (SCALE * rows, SCALE * columns, 3)


def test_a_bad_image_does_not_stop_its_folder(bundle, photos, tmp_path, capsys):
    folder, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(photos, folder)
    for name in ("0bad.png", "9.png"):
        (folder / name).write_text("no image")
    (folder / "notes.txt").write_text("")
    with pytest.raises(SystemExit) as stop:
        dysr("upscale", "--bundle", bundle, folder, out)
    assert stop.value.code == 1
    names = ["0.png", "1.png", "2.png"]
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [str(out / name) for name in names]
    assert sorted(path.name for path in out.iterdir()) == names
    said = [line for line in printed.err.splitlines() if line.startswith("dysr: ")]
    assert [line.partition(" cannot be read")[0] for line in said] == [
        f"dysr: note: '{folder}': left out: 1 .txt",
        f"dysr: error: image '{folder / '0bad.png'}'",
        f"dysr: error: image '{folder / '9.png'}'",
        "dysr: 2 of 5 images failed, 3 are done",
    ]


def test_upscale_an_image_into_a_folder(bundle, image, tmp_path):
    (tmp_path / "out").mkdir()
    assert dysr("upscale", "--bundle", bundle, image, tmp_path / "out") == 0
    assert read_image(tmp_path / "out" / image.name).shape == (SCALE * ROWS, SCALE * COLUMNS, 3)


def test_inputs_that_cannot_be_upscaled(refused, bundle, tmp_path):
    out, empty, text = tmp_path / "out.png", tmp_path / "empty", tmp_path / "text.png"
    empty.mkdir()
    text.write_text("no image")
    assert "missing.png' does not exist" in refused(
        "upscale", "--bundle", bundle, tmp_path / "missing.png", out
    )
    assert "missing/a.png' does not exist" in refused(
        "upscale", "--bundle", bundle, tmp_path / "missing" / "a.png"
    )
    assert "text.png' cannot be read" in refused("upscale", "--bundle", bundle, text, out)
    assert "empty' holds no .png" in refused("upscale", "--bundle", bundle, empty, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "text.png"]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("image.png", "out.gif", "its suffix must be one of .png"),
        ("image.png", "out", "its suffix must be one of .png"),
        ("image.png", "missing/out.png", "cannot be written"),
        ("image.png", "image.png/out.png", "cannot be written"),
        ("folder", "image.png", "is a file"),
        ("folder", "image.png/below", "image.png/below"),
        ("folder", "folder", "is the input folder"),
    ],
)
def test_outputs_that_cannot_be_written(refused, bundle, image, tmp_path, source, target, message):
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(image, folder / "a.png")
    before = snapshot(tmp_path)
    assert message in refused("upscale", "--bundle", bundle, tmp_path / source, tmp_path / target)
    assert snapshot(tmp_path) == before


# Eval


def test_eval_prints_and_writes_the_scores(tiny_run, bundle, photos, tmp_path, capsys):
    path = tmp_path / "scores.json"
    assert dysr("eval", "--bundle", bundle, photos, "--json", path) == 0
    table = capsys.readouterr().out.splitlines()
    result = json.loads(path.read_text())
    assert {key: result[key] for key in ("bundle", "scale", "device")} == {
        "bundle": str(bundle),
        "scale": SCALE,
        "device": tiny_run.bundle.device,
    }
    members = tiny_run.bundle.members
    assert result["members"] == {m.name: {"params": m.parameters, "mult_adds": m.mult_adds} for m in members}
    assert list(result["sets"]) == [photos.name]
    found = result["sets"][photos.name]
    assert (found["images"], found["lr"]) == (3, "generated")
    scores = found["scores"]
    assert list(scores) == ["bicubic", *(member.name for member in members)]
    assert table[0].split() == ["member", "weights", "mult-adds", photos.name, "dB", "SSIM"]
    assert [line.split()[0] for line in table[2:-1]] == list(scores)
    for line, score in zip(table[2:-1], scores.values(), strict=True):
        assert line.split()[-2:] == [f"{score['psnr_y']:.2f}", f"{score['ssim_y']:.4f}"]
    assert table[-1] == f"{photos.name}: 3 images, LR generated (MATLAB's bicubic)"
    expected = []
    for name in ("0.png", "1.png", "2.png"):
        hr = read_image(photos / name)
        planes = (np.round(rgb2ycbcr(x)[..., 0]) for x in (hr, bicubic_upscale(bicubic_downscale(hr, 2), 2)))
        inner = (plane[SCALE:-SCALE, SCALE:-SCALE] for plane in planes)
        expected.append(peak_signal_noise_ratio(*inner, data_range=255))
    assert scores["bicubic"]["psnr_y"] == pytest.approx(np.mean(expected), abs=1e-3)


def test_eval_of_a_grey_image_counts_its_values(bundle, tmp_path):
    folder, path = tmp_path / "grey", tmp_path / "scores.json"
    folder.mkdir()
    row, column = np.mgrid[:40, :48]
    grey = (127 + 100 * np.sin((row + 2 * column) / 4)).astype(np.uint8)
    Image.fromarray(grey).save(folder / "grey.png")
    assert dysr("eval", "--bundle", bundle, folder, "--json", path) == 0
    bicubic = bicubic_upscale(bicubic_downscale(grey[:, :, None], SCALE), SCALE)[:, :, 0]
    inner = (plane[SCALE:-SCALE, SCALE:-SCALE] for plane in (grey, bicubic))
    expected = peak_signal_noise_ratio(*inner, data_range=255)
    scores = json.loads(path.read_text())["sets"]["grey"]["scores"]
    assert scores["bicubic"]["psnr_y"] == pytest.approx(expected, abs=1e-3)


def test_folders_that_cannot_be_evaluated(refused, bundle, tmp_path):
    assert "missing' does not exist" in refused("eval", "--bundle", bundle, tmp_path / "missing")
    assert "holds no .png" in refused("eval", "--bundle", bundle, tmp_path)
    write_image(tmp_path / "a.png", np.zeros((14, 40, 3), np.uint8))
    line = refused("eval", "--bundle", bundle, tmp_path)
    assert "a.png' of (14, 40)" in line
    (tmp_path / "a.png").write_text("no image")
    assert "a.png' cannot be read" in refused("eval", "--bundle", bundle, tmp_path)


def test_eval_goes_on_past_a_damaged_image(bundle, photos, tmp_path, capsys):
    folder, path = tmp_path / "in", tmp_path / "scores.json"
    shutil.copytree(photos, folder)
    content = (folder / "0.png").read_bytes()
    (folder / "8.png").write_bytes(content[: len(content) // 2])  # its header is whole
    (folder / "9.png").write_text("no image")
    (folder / "._9.png").write_text("no image")
    options = ["--bundle", bundle, "--members", "fastest", "--json", path]
    with pytest.raises(SystemExit) as stop:
        dysr("eval", folder, *options)
    assert stop.value.code == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].startswith("in: 3 images, LR generated")
    assert printed.out.splitlines()[-1].endswith("; 2 more cannot be read")
    for name in ("8.png", "9.png"):
        assert f"dysr: error: image '{folder / name}' cannot be read" in printed.err
    found = json.loads(path.read_text())["sets"]["in"]
    assert (found["images"], len(found["failed"])) == (3, 2)
    assert dysr("eval", photos, *options) == 0
    assert json.loads(path.read_text())["sets"][photos.name]["scores"] == found["scores"]


def test_eval_of_several_sets_and_some_members(tiny_run, bundle, photos, tmp_path, capsys):
    given, path = tmp_path / "given", tmp_path / "scores.json"
    for hr in sorted(photos.iterdir())[:2]:
        image = read_image(hr)
        (given / "HR").mkdir(parents=True, exist_ok=True)
        (given / "LR_bicubic" / "X2").mkdir(parents=True, exist_ok=True)
        write_image(given / "HR" / hr.name, image)
        write_image(given / "LR_bicubic" / "X2" / f"{hr.stem}x2.png", bicubic_downscale(image, 2) // 2)
    options = ["--bundle", bundle, "--members", "fastest", "--json", path]
    assert dysr("eval", photos, given, *options) == 0
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table[2:-2]] == ["bicubic", tiny_run.bundle.members[0].name]
    assert table[-1] == "given: 2 images, LR as given"
    sets = json.loads(path.read_text())["sets"]
    assert list(sets) == [photos.name, "given"]
    assert (sets["given"]["images"], sets["given"]["lr"]) == (2, "given")
    # The given LR images are half as bright: they were used.
    assert sets["given"]["scores"]["bicubic"]["psnr_y"] < 15
    assert sets[photos.name]["scores"]["bicubic"]["psnr_y"] > 20


def test_eval_says_that_its_json_cannot_be_written(bundle, photos, tmp_path, capsys):
    # The table may have been printed by then.
    assert dysr("eval", "--bundle", bundle, photos, "--json", tmp_path / "missing" / "scores.json") == 2
    error = capsys.readouterr().err
    assert error.startswith("dysr: error: ")
    assert "scores.json" in error


# Benchmarks


@pytest.mark.parametrize(("command", "more"), [("step", {"batch"}), ("candidates", {"patches", "methods"})])
def test_benchmarks_report_the_median_ratio(small, tmp_path, capsys, command, more):
    path = tmp_path / "bench.json"
    assert dysr("bench", command, *small, "--rounds", 1, "--json", path) == 0
    result = json.loads(path.read_text())
    assert set(result) == {"device", "space", "dtype", "archs", "ratio"} | more
    ratios = []
    for row in result["archs"]:
        assert set(row) == {"arch", "search_ms", "static_ms", "ratio"}
        ratios.append(row["search_ms"] / row["static_ms"])
        assert row["ratio"] == pytest.approx(ratios[-1])
    assert len(ratios) > 1
    assert result["ratio"] == pytest.approx(statistics.median(ratios))
    for method in result.get("methods", []):
        assert method["candidates_per_second"] > 0
    table = capsys.readouterr().out
    assert f"ratio: {result['ratio']:.3g}" in table
    # The smallest and the largest arch are always among them.
    assert {"id-u1", "c3-u2"} <= {row["arch"] for row in result["archs"]}


JOBS = {
    "bench step": "bench_step",
    "bench candidates": "bench_candidates",
    "bench search": "bench_search",
    "bench scaling": "bench_scaling",
    "bench switch": "bench_switch",
    "eval": "evaluate_set",
    "profile": "profile",
}
"""The function that does the work of a command that writes a file."""

ROOMS = {
    "eval": dysr_jax.commands.images,
    "profile": dysr_jax.commands.runs,
    "bench switch": dysr_jax.commands.bench,
}
"""Where commands are that are no benches."""


def room(command):
    return ROOMS.get(command, dysr_jax.commands.bench)


@pytest.fixture
def unworked(monkeypatch):
    """No command does its work."""
    for command, job in JOBS.items():
        monkeypatch.setattr(room(command), job, lambda *_, **__: pytest.fail("it went on"))


@pytest.mark.parametrize("command", JOBS)
def test_a_file_that_cannot_be_is_refused_before_the_work(
    refused, unworked, small, bundle, photos, tmp_path, command
):
    option = "--out" if command == "profile" else "--json"
    own = {"eval": ["--bundle", bundle, photos], "bench switch": ["--bundle", bundle]}
    start = [*command.split(), *own.get(command, small)]
    (tmp_path / "folder.json").mkdir()
    before = snapshot(tmp_path)
    for path in (tmp_path / "missing" / "a.json", tmp_path / "folder.json"):
        line = refused(*start, option, path)
        assert line == (
            f"dysr: error: {option.strip('-')} {str(path)!r}: must be a file in a folder that exists\n"
        )
    assert snapshot(tmp_path) == before


ASKED = {
    "bench search": (
        ["--populations", 2, 3, "--patch-counts", 1, "--compiled", 2, "--rounds", 4],
        {"populations": (2, 3), "patch_counts": (1,), "compiled": 2, "rounds": 4},
    ),
    "bench scaling": (["--steps", 3, "--rounds", 4], {"steps": 3, "rounds": 4}),
}


@dataclasses.dataclass(frozen=True)
class Toasted(BenchResult):
    """A bench's result."""

    device: str
    rows: list


@pytest.mark.parametrize("command", ASKED)
def test_benchmarks_do_what_is_asked_and_report_it(monkeypatch, small, tmp_path, capsys, command):
    rows = [{"name": "x", "rate": 12.345}, {"name": "y", "rate": 2.0}]
    result = Toasted("a toaster", rows)
    asked = []

    def bench(config, **options):
        asked.append((config, options))
        return result

    monkeypatch.setattr(room(command), JOBS[command], bench)
    options, expected = ASKED[command]
    path = tmp_path / "bench.json"
    assert dysr(*command.split(), *small, *options, "--seed", 5, "--json", path) == 0
    ((config, given),) = asked
    assert given == expected
    assert (config.seed, config.space.slots) == (5, 1)
    assert json.loads(path.read_text()) == {"device": "a toaster", "rows": rows}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "device: a toaster"
    assert [line.split() for line in lines[3:]] == [["x", "12.3"], ["y", "2"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--populations", 5], "populations 5: must be in [1, 4]"),
        (["--populations", 0], "populations 0: must be in [1, 4]"),
        (["--patch-counts", 0], "patch_counts 0: must be at least 1"),
        (["--compiled", 0], "compiled 0: must be at least 1"),
    ],
)
def test_counts_that_bench_search_cannot_have(refused, small, options, message):
    given = options if "--populations" in options else ["--populations", 2, *options]
    assert message in refused("bench", "search", *small, *given)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--steps", 0], "steps 0: must be at least 1"), (["--devices", 9], "devices 9: must be")],
)
def test_what_bench_scaling_cannot_do(refused, small, options, message):
    assert message in refused("bench", "scaling", *small, *options)


# Profiles


@pytest.mark.parametrize("name", ["table", "table.txt", "table.json.gz"])
def test_a_profile_is_a_json_file(refused, unworked, small, tmp_path, name):
    before = snapshot(tmp_path)
    line = refused("profile", *small, "--out", tmp_path / name)
    assert f"out '{tmp_path / name}': must be a .json file" in line
    assert snapshot(tmp_path) == before


def test_a_profile_needs_two_archs(refused, small, tmp_path):
    before = snapshot(tmp_path)
    line = refused("profile", *small, "--out", tmp_path / "table.json", "--archs", 1)
    assert "archs 1: must be at least 2" in line
    assert snapshot(tmp_path) == before


PLAIN = ["--train.random-archs", 1, "--train.distill", 0]
"""The recipe that compiles fastest."""


@pytest.fixture
def planted(tmp_path, tiny):
    """A latency table of the small config on this device, of costs that nobody would measure."""
    space = uniform_space(slots=1, width=4, scale=2, branches=("id", "c3"))
    key = table_key(space, "float32", tiny.search.frame)
    table = LatencyTable(key, 100.0, {"c3": 30.0}, {"u2": 7.0}, {"id-u1": 100.0}, "in a test")
    path = tmp_path / "planted.json"
    save_table(path, table)
    return path, table, space


@pytest.mark.long
def test_a_search_uses_the_table_that_is_named(planted, small, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    # What is searched for is what counts, not what is made of it.
    monkeypatch.setattr(dysr_jax.run, "_write_results", interrupted)
    monkeypatch.setattr(dysr_jax.run, "device_table", lambda *_, **__: pytest.fail("it measured"))
    (path, table, _), out = planted, tmp_path / "run"
    assert dysr("search", "--out", out, *small, *PLAIN, "--search.latency", path) == 130
    assert f": from {path}\n" in capsys.readouterr().out
    assert load_table(out / "latency.json", table.key) == table
    records = [json.loads(line) for line in (out / "archive.jsonl").read_text().splitlines()]
    assert len(records) == 4
    found = {record["name"]: record["latency_ms"] for record in records}
    assert found == {"id-u1": 100.0, "c3-u1": 130.0, "id-u2": 107.0, "c3-u2": 137.0}


def test_constraints_that_nothing_satisfies(planted, small, tmp_path, capsys):
    """The search is over by then; three of its four archs take longer than 105 ms."""
    bounds = ["--search.max-latency-ms", 105, "--search.min-psnr-y", 90]
    out, options = tmp_path / "run", [*small, *PLAIN, "--search.latency", planted[0]]
    assert dysr("search", "--out", out, *options, *bounds) == 2
    error = capsys.readouterr().err.splitlines()[-1]  # below the training's progress
    assert error == (
        "dysr: error: no evaluated arch satisfies the constraints: search.max_latency_ms 105.0 excludes "
        "3 of 4, search.min_psnr_y 90.0 excludes 4 of 4"
    )
    assert not (out / "bundle").exists()
    assert not (out / "pareto.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda key: key.update(frame=[32, 24]), "is for frame [32, 24]; needed is [24, 32]"),
        (lambda key: key.update(dtype="bfloat16"), "is for dtype 'bfloat16'; needed is 'float32'"),
        (lambda key: key.update(device="a toaster"), "is for device 'a toaster'; needed is "),
        (lambda key: key.update(width=8), "is for width 8; needed is 4"),
        (lambda key: key.pop("jax"), "is for jax None; needed is "),
    ],
    ids=["frame", "dtype", "device", "width", "no version"],
)
def test_tables_of_something_else(refused, planted, small, tmp_path, change, message):
    path, table, _ = planted
    key = dict(table.key)
    change(key)
    save_table(path, dataclasses.replace(table, key=key))
    line = refused("search", "--out", tmp_path / "run", *small, "--search.latency", path)
    assert f"latency table '{path}' {message}" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"format_version": 1}'])
def test_tables_that_cannot_be_read(refused, planted, small, tmp_path, content):
    path, _, _ = planted
    path.unlink() if content is None else path.write_bytes(content)
    line = refused("search", "--out", tmp_path / "run", *small, "--search.latency", path)
    assert f"latency table '{path}' is missing or damaged" in line
    assert not (tmp_path / "run").exists()
