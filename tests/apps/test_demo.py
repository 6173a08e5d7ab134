"""The folder of `dysr demo`: what is in it, and what is refused."""

import base64
import gzip
import hashlib
import io
import itertools
import json
import os
import pathlib
import re

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from dysr_jax.apps import write_demo
from dysr_jax.apps.demo import browser_runtime
from dysr_jax.apps.demo.browser_runtime import DIGESTS, FILES, VERSION, from_cdn
from dysr_jax.apps.demo.clip import FRAMES, WINDOW, clip_frames
from dysr_jax.apps.demo.write import ASSETS, DATA, MOST_MEMBERS, PAGE
from dysr_jax.bundle.bundle import make_bundle, make_member, save_bundle
from dysr_jax.cli import main
from dysr_jax.data import bicubic_downscale, load_source
from dysr_jax.errors import InputError
from dysr_jax.model.names import parse_arch
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.runtime.bank import Bank


@pytest.fixture(scope="module")
def npm(tmp_path_factory):
    """What stands in for the npm package: the page is not opened here."""
    folder = tmp_path_factory.mktemp("npm")
    (folder / "dist").mkdir()
    for part, name in FILES.items():
        (folder / "dist" / name).write_text(part)
    return folder


@pytest.fixture(scope="module")
def demo(three_members, npm, tmp_path_factory):
    page = write_demo(three_members, tmp_path_factory.mktemp("demo") / "out", runtime=npm)
    return pathlib.Path(page).parent


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


def constant(folder, name):
    """The value in a script of data."""
    found = re.fullmatch(r'"use strict";\nconst [A-Z]+ = (.*);\n', (folder / name).read_text())
    return json.loads(found[1])


def unpacked(text):
    return gzip.decompress(base64.b64decode(text))


def test_the_folder_is_whole(demo):
    assert listed(demo) == sorted((PAGE, *ASSETS, *DATA))
    page = (demo / PAGE).read_text()
    assert "@@" not in page
    assert re.findall(r'(?:src|href)="([\w.]+)"', page) == ["page.css", *DATA, *ASSETS[1:]]


def test_models_make_the_pixels_of_the_members(demo, three_members):
    told = constant(demo, "models.js")
    assert (told["scale"], told["bicubic_psnr_y"]) == (2, 29.0)
    assert [each["name"] for each in told["members"]] == [member.name for member in three_members.members]
    frame = np.random.default_rng(0).integers(0, 256, (10, 12, 3), np.uint8)
    bank = Bank(three_members)
    outputs = []
    for each, member in zip(told["members"], three_members.members, strict=True):
        assert (each["psnr_y"], each["parameters"]) == (member.psnr_y, member.parameters)
        content = unpacked(each["model"])
        onnx.checker.check_model(onnx.load_from_string(content))
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (output,) = session.run(None, {"input": np.moveaxis(frame, 2, 0)[None] / np.float32(255)})
        bank.prepare(frame.shape[:2], [member.name])
        outputs.append(np.rint(255 * np.moveaxis(output[0], 0, 2)).astype(int))
        assert np.abs(outputs[-1] - bank(frame, member.name)).max() <= 1
    assert np.abs(outputs[0] - outputs[2]).max() > 10


def test_the_film_begins_with_the_photograph_made_small():
    (photograph,) = (each.hr for each in load_source("embedded", 4) if each.name == "astronaut")
    frames = [np.asarray(Image.open(io.BytesIO(file))).astype(int) for file in clip_frames(4)]
    assert len(frames) == FRAMES
    assert {frame.shape for frame in frames} == {(WINDOW[1] // 4, WINDOW[0] // 4, 3)}
    small = bicubic_downscale(photograph, 4).astype(int)[: WINDOW[1] // 4]
    assert np.abs(frames[0] - small)[2:-2, 2:-2].max() <= 3  # another rule at the border
    changes = [np.abs(a - b).mean() for a, b in itertools.pairwise(frames)]
    assert min(changes) > 0.05 and max(changes) < 15


def test_film_in_the_folder(demo):
    files = constant(demo, "clip.js")
    assert len(files) == FRAMES
    head, _, text = files[0].partition(",")
    assert head == "data:image/webp;base64"
    assert Image.open(io.BytesIO(base64.b64decode(text))).size == (WINDOW[0] // 2, WINDOW[1] // 2)


def test_the_runtime_is_copied_and_no_server_is_named(demo):
    told = constant(demo, "runtime.js")
    assert {part: unpacked(file["packed"]).decode() for part, file in told.items()} == {p: p for p in FILES}
    page = (demo / PAGE).read_text()
    assert "connect-src 'none'" in page
    assert "https:" not in page


def test_the_dist_folder_itself_will_do(three_members, npm, tmp_path):
    page = write_demo(three_members, tmp_path / "out", members=["best"], runtime=npm / "dist")
    assert "packed" in constant(pathlib.Path(page).parent, "runtime.js")["wasm"]


def test_without_a_runtime_a_version_with_its_digests_is_named(three_members, tmp_path):
    page = pathlib.Path(write_demo(three_members, tmp_path / "out"))
    told = constant(page.parent, "runtime.js")
    assert told == from_cdn()
    assert all(f"@{VERSION}/" in each["url"] for each in told.values())
    assert f"connect-src {browser_runtime.CDN};" in page.read_text()


def test_digests_are_those_of_the_npm_package():
    place = os.environ.get("DYSR_ORT_WEB")
    if not place:
        pytest.skip("DYSR_ORT_WEB names no folder of the npm package onnxruntime-web")
    dist = next(folder for folder in (pathlib.Path(place, "dist"), pathlib.Path(place)) if folder.is_dir())
    for part, name in FILES.items():
        digest = base64.b64encode(hashlib.sha384((dist / name).read_bytes()).digest()).decode()
        assert DIGESTS[part] == f"sha384-{digest}", name


@pytest.mark.parametrize("file", [".ci/run", "docs/howto/demo.md"])
def test_the_version_is_the_same_everywhere(file):
    text = (pathlib.Path(__file__).parents[2] / file).read_text()
    assert set(re.findall(r"onnxruntime-web[@-]([\d.]+\d)", text)) == {VERSION}


def names(folder):
    return [each["name"] for each in constant(folder, "models.js")["members"]]


def test_members_come_from_the_lowest_to_the_best_and_none_twice(three_members, npm, tmp_path):
    asked = ["best", "fastest", three_members.members[-1].name]
    page = write_demo(three_members, tmp_path / "out", members=asked, runtime=npm)
    assert names(pathlib.Path(page).parent) == [three_members.members[0].name, three_members.members[-1].name]


def test_of_many_members_eight_are_taken_with_both_ends(noisy_params, npm, tmp_path):
    space = uniform_space(slots=4, widths=4, scale=2, branches=("id", "c3"))
    found = [f"{4 - k}id-{k}c3-{up}" for k in range(1, 4) for up in ("u1", "u2")]
    found = ["4id-u1", "4id-u2", *found, "4c3-u1", "4c3-u2"]
    members = [make_member(space, parse_arch(space, n), 30.0 + i, 1.0 + i) for i, n in enumerate(found)]
    net = make_supernet(space, "float32")
    bundle = make_bundle(noisy_params(space), members, net=net, frame=(6, 8), bicubic_psnr_y=29.0)
    taken = names(pathlib.Path(write_demo(bundle, tmp_path / "out", runtime=npm)).parent)
    assert len(members) > len(taken) == MOST_MEMBERS
    assert [taken[0], taken[-1]] == [found[0], found[-1]]


@pytest.fixture(scope="module")
def saved(three_members, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "bundle"
    save_bundle(path, three_members, {})
    return path


def test_the_command_writes_and_replaces(saved, npm, tmp_path, capsys):
    out = tmp_path / "out"
    words = [str(word) for word in ("demo", out, "--bundle", saved, "--runtime", npm)]
    assert main([*words, "--members", "fastest"]) == 0
    assert capsys.readouterr().out == f"{out / PAGE}\n"
    assert len(names(out)) == 1
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"{str(out)!r} exists; overwrite replaces it" in error
    assert len(names(out)) == 1
    assert main([*words, "--overwrite"]) == 0
    assert len(names(out)) == 3
    assert listed(tmp_path) == ["out"]


def test_only_a_demo_is_replaced(three_members, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"a")
    with pytest.raises(InputError, match="must be a demo and hold nothing else to be replaced"):
        write_demo(three_members, tmp_path / "photos", overwrite=True)
    assert listed(tmp_path / "photos") == ["a.png"]


@pytest.mark.parametrize("missing", FILES.values())
def test_a_file_that_the_runtime_lacks_is_named(three_members, npm, tmp_path, missing):
    folder = tmp_path / "npm"
    folder.mkdir()
    for name in set(FILES.values()) - {missing}:
        (folder / name).write_text("")
    with pytest.raises(InputError, match=re.escape(f"runtime {str(folder)!r}: has no {missing};")):
        write_demo(three_members, tmp_path / "out", runtime=folder)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"members": ["5c9-u1"]}, "member '5c9-u1': the bundle has"),
        ({"members": []}, "members (): must be at least one"),
        ({"runtime": 3}, "runtime 3: must be a path"),
        ({"runtime": "nowhere"}, "runtime 'nowhere': has no ort.webgpu.min.js"),
        ({"folder": "nowhere/out"}, "output 'nowhere/out': must be in a folder that exists"),
        ({"bundle": "bundle"}, "bundle 'bundle': must be a Bundle"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(three_members, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    given = {"bundle": three_members, "folder": "out", **options}
    with pytest.raises(InputError, match=re.escape(said)):
        write_demo(given.pop("bundle"), given.pop("folder"), **given)
    assert listed(tmp_path) == []


def test_a_branch_without_an_onnx_form_is_named(three_members, npm, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise InputError("branch 'p1': has no ONNX form")

    monkeypatch.setattr("dysr_jax.apps.demo.write.picture_model", refuse)
    with pytest.raises(InputError, match="branch 'p1'"):
        write_demo(three_members, tmp_path / "out", runtime=npm)
    assert listed(tmp_path) == []
