"""`dysr eval`: scores of sets, printed and written."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio

from dysr_jax.cli import main
from dysr_jax.data.degradation import bicubic_downscale, bicubic_upscale
from dysr_jax.data.images.read import read_image
from dysr_jax.data.images.write import write_image

SCALE, ROWS, COLUMNS = 2, 20, 24
"""The tiny run's scale; images of one size, so that its members compile few times."""


def dysr(*args: object) -> int:
    return main([str(arg) for arg in args])


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
