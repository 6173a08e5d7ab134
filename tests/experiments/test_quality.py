"""The quality table: members beside published models, as Markdown, CSV and a picture."""

import contextlib
import csv
import importlib.util
import io
import json
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

PATH = pathlib.Path(__file__).parents[2] / "experiments" / "quality.py"
SETS = ("Set5", "BSD100")
RESULT = {
    "bundle": "pretrained x4",
    "scale": 4,
    "device": "a device",
    "members": {
        "large": {"params": 700_000, "mult_adds": 40_000_000_000},
        "small": {"params": 30_000, "mult_adds": 1_700_000_000},
    },
    "sets": {
        name: {
            "images": 5,
            "lr": "given",
            "scores": {
                "bicubic": {"psnr_y": 28.0, "ssim_y": 0.8},
                "small": {"psnr_y": 29.0, "ssim_y": 0.82},
                "large": {"psnr_y": 31.0, "ssim_y": 0.88},
            },
        }
        for name in SETS
    },
}


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("quality", PATH)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def written(module, tmp_path_factory):
    """The folder that it leaves, and what it prints."""
    out, printed = tmp_path_factory.mktemp("quality"), io.StringIO()
    (out / "recorded.json").write_text(json.dumps(RESULT))
    options = ["--out", str(out), "--recorded", str(out / "recorded.json")]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", ["quality.py", *options])
        module.main()
    return out, printed.getvalue()


@pytest.mark.long
def test_members_go_by_mult_adds_and_groups_apart(written):
    lines = (written[0] / "quality.md").read_text().splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert [n for n in names if n in ("bicubic", "small", "large")] == ["bicubic", "small", "large"]
    assert names.index("large") < names.index("IDN") < names.index("CARN")
    titles = [line for line in lines if line.endswith(":")]
    assert len(titles) == 3
    assert lines.index(titles[1]) < lines.index(next(x for x in lines if "IDN" in x))
    assert lines.index(titles[2]) < lines.index(next(x for x in lines if "CARN-M" in x))


@pytest.mark.long
def test_the_csv_holds_every_figure(written):
    with (written[0] / "quality.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert float(rows["large"]["BSD100_ssim_y"]) == 0.88
    assert float(rows["CARN"]["Set5_psnr_y"]) == 32.13
    assert rows["IDN"]["mult_adds"] == ""
    assert rows["bicubic"]["params"] == ""


@pytest.mark.long
def test_the_picture_is_drawn(written):
    image = np.asarray(Image.open(written[0] / "quality.png").convert("RGB"))
    assert min(image.shape[:2]) > 500
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50


@pytest.mark.long
def test_it_says_where_lr_images_came_from(written):
    assert "Set5: 5 images, LR given; measured on a device" in written[1]


def test_folders_or_a_record(module, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["quality.py", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="one of --folders and --recorded"):
        module.main()
