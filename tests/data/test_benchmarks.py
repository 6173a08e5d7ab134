"""Benchmark sets: what is found in a folder, and what does not pair."""

import re

import numpy as np
import pytest
from PIL import Image

from dysr_jax.data.benchmarks import find_benchmark_set, find_benchmark_sets
from dysr_jax.errors import InputError

SCALE = 4
HR, LR = (33, 46), (8, 11)
"""Rows and columns; HR sides need not be multiples of the scale."""


def write(path, shape):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*shape, 3), np.uint8)).save(path)


@pytest.fixture
def place(tmp_path):
    """A set of two images without LR ones."""
    for name in ("a", "b"):
        write(tmp_path / "Mine" / "HR" / f"{name}.png", HR)
    return tmp_path / "Mine"


def test_a_folder_of_hr_images(place):
    found = find_benchmark_set(place / "HR", SCALE)
    assert (found.name, found.lr) == ("Mine", "generated")
    assert [(image.hr.name, image.lr, image.lr_shape) for image in found.images] == [
        ("a.png", None, LR),
        ("b.png", None, LR),
    ]


@pytest.mark.parametrize("layout", ["LR_bicubic_x4/{}.png", "LR_bicubic/X4/{}x4.png"])
def test_lr_images_beside_the_hr_ones(place, layout):
    for name in ("a", "b"):
        write(place / layout.format(name), LR)
    found = find_benchmark_set(place, SCALE)
    assert (found.name, found.lr) == ("Mine", "given")
    expected = [place / layout.format(name) for name in ("a", "b")]
    assert [image.lr for image in found.images] == expected
    # Those of another scale are not taken for this one.
    assert find_benchmark_set(place, 2).lr == "generated"


def test_lr_images_anywhere(place, tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "small" / f"{name}.bmp", LR)
    for folder in (place, place / "HR"):
        found = find_benchmark_set(folder, SCALE, tmp_path / "small")
        assert [image.lr.name for image in found.images] == ["a.bmp", "b.bmp"]


@pytest.mark.parametrize(
    ("lr", "message"),
    [
        (["a"], "do not pair by name: 1 HR without LR: 'b.png' .*named as its HR file is, or 0001x4"),
        (["a", "b", "c"], "LR_bicubic_x4' do not pair by name: 1 LR without HR: 'c.png'"),
        (["x", "y"], "2 HR without LR: 'a.png', 'b.png'; 2 LR without HR: 'x.png', 'y.png'"),
        ([], "holds no .png"),
    ],
)
def test_files_that_do_not_pair_by_name(place, lr, message):
    (place / "LR_bicubic_x4").mkdir()
    for name in lr:
        write(place / "LR_bicubic_x4" / f"{name}.png", LR)
    with pytest.raises(InputError, match=message):
        find_benchmark_set(place, SCALE)


def test_files_that_do_not_pair_by_size(place):
    write(place / "LR_bicubic_x4" / "a.png", LR)
    write(place / "LR_bicubic_x4" / "b.png", (9, 11))
    message = r"LR_bicubic_x4/b.png': LR of 9x11 does not fit HR of 33x46; at scale 4 it must be 8x11"
    with pytest.raises(InputError, match=message):
        find_benchmark_set(place, SCALE)


def test_images_that_are_too_small(place):
    write(place / "HR" / "b.png", (22, 46))
    with pytest.raises(InputError, match=r"b.png' of \(22, 46\): each side must be at least 23"):
        find_benchmark_set(place, SCALE)


def test_folders_that_are_no_sets(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        find_benchmark_set(tmp_path / "missing", SCALE)
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}' holds no .png")):
        find_benchmark_set(tmp_path, SCALE)
    (tmp_path / "b.png").write_text("no image")
    with pytest.raises(InputError, match=r"b.png' cannot be read"):
        find_benchmark_set(tmp_path, SCALE)


def test_what_cannot_be_read_is_left_out_of_a_set(place):
    hr = place / "HR"
    (hr / "c.png").write_text("no image")
    (hr / "._a.png").write_text("no image")
    (hr / "readme.txt").write_text("")
    for name in ("a", "b", "c"):
        write(place / "LR_bicubic_x4" / f"{name}.png", LR)
    (place / "LR_bicubic_x4" / "b.png").write_text("no image")
    found = find_benchmark_set(place, SCALE)
    assert [images.hr.name for images in found.images] == ["a.png"]
    assert [failed.path for failed in found.failed] == [place / "LR_bicubic_x4" / "b.png", hr / "c.png"]
    assert found.note == "left out: 1 .txt"


def test_sets_of_one_name_are_told_apart(place):
    write(place / "HR" / "HR" / "c.png", HR)
    write(place / "other" / "HR" / "d.png", HR)
    sets = find_benchmark_sets([place / "HR" / "HR", place / "other" / "HR", place / "other"], SCALE)
    assert [one.name for one in sets] == ["HR", str(place / "other" / "HR"), str(place / "other")]
    assert len(find_benchmark_sets([place, place], SCALE)) == 1


def test_lr_images_are_for_one_set(place):
    with pytest.raises(InputError, match=r"lr .*small' for 2 folders: there must be one folder"):
        find_benchmark_sets([place, place / "HR"], SCALE, place / "small")
