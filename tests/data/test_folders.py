"""Folders of images, alone and paired: what is read, and what is said of files that cannot be used."""

import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from dysr_jax.data import folders
from dysr_jax.data.config import DataConfig
from dysr_jax.data.degradation import bicubic_downscale
from dysr_jax.data.images.read import read_image
from dysr_jax.data.listing import image_shape
from dysr_jax.data.sources import load_source, open_source
from dysr_jax.data.training import load_pairs
from dysr_jax.errors import InputError


@pytest.fixture
def folder(tmp_path, noise):
    for number in range(6):
        noise(tmp_path / f"images/{number}.png")
    return tmp_path / "images"


@pytest.fixture
def paired(tmp_path, noise):
    """Two folders; LR images have nothing to do with the HR ones, so that none can be made from them."""
    for number in range(3):
        noise(tmp_path / f"hr/{number}.png", 9, 14)
        noise(tmp_path / f"lr/{number}x2.png", 4, 7)
    return tmp_path


def test_an_image_is_decoded_when_it_is_asked_for(folder, monkeypatch):
    read = []
    monkeypatch.setattr(folders, "read_image", lambda path: read.append(path.name))
    source = open_source(f"folder:{folder}", 4)
    assert list(source.names) == [f"{number}.png" for number in range(6)]
    assert read == []
    source[4]
    assert read == ["4.png"]


@pytest.mark.parametrize("kind", ["folder", "paired", "embedded"])
def test_sources_go_to_other_processes(folder, paired, kind):
    places = {"folder": f"folder:{folder}", "paired": f"paired:{paired}/hr,{paired}/lr"}
    source = open_source(places.get(kind, kind), 2)
    copy = pickle.loads(pickle.dumps(source))
    assert list(copy.names) == list(source.names)
    np.testing.assert_array_equal(copy[1].hr, source[1].hr)


@pytest.mark.parametrize("kind", ["folder", "paired", "embedded"])
def test_sizes_are_those_of_the_images(folder, paired, kind):
    places = {"folder": f"folder:{folder}", "paired": f"paired:{paired}/hr,{paired}/lr"}
    source = open_source(places.get(kind, kind), 2)
    shapes = [source[index].hr.shape[:2] for index in range(len(source))]
    np.testing.assert_array_equal(source.sizes, shapes)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_header_says_the_size_as_it_is_read(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (5, 3)).save(tmp_path / f"a{suffix}", exif=exif)
    assert image_shape(tmp_path / f"a{suffix}") == read_image(tmp_path / f"a{suffix}").shape[:2]


def test_hidden_files_are_no_images_and_others_are_told(folder, paired, noise, capsys):
    for place in (folder, paired / "hr", paired / "lr"):
        (place / "._0.png").write_text("no image")
    assert len(open_source(f"folder:{folder}", 4)) == 6
    assert len(open_source(f"paired:{paired}/hr,{paired}/lr", 2)) == 3
    assert capsys.readouterr().err == ""
    (folder / "notes.txt").write_text("")
    assert len(open_source(f"folder:{folder}", 4)) == 6
    assert capsys.readouterr().err == f"dysr: note: '{folder}': left out: 1 .txt\n"


def test_unreadable_files_are_named_and_counted(folder):
    for number in (0, 2, 3, 5):
        (folder / f"{number}.png").write_text("text")
    expected = r"4 of 6 images cannot be used: '0\.png', '2\.png', '3\.png' and 1 more; the first:.*0\.png"
    with pytest.raises(InputError, match=expected) as error:
        open_source(f"folder:{folder}", 4)
    assert "\n" not in str(error.value)


def test_files_of_which_the_header_alone_is_good_are_named(folder):
    for number in (1, 4):
        path = folder / f"{number}.png"
        path.write_bytes(path.read_bytes()[:-30])
    assert len(open_source(f"folder:{folder}", 4)) == 6
    with pytest.raises(InputError, match=r"2 of 6 images cannot be used: '1\.png', '4\.png'"):
        load_source(f"folder:{folder}", 4)


def test_duplicates_are_named_and_counted(folder):
    shutil.copy(folder / "1.png", folder / "7.png")
    shutil.copy(folder / "1.png", folder / "8.png")
    expected = r"duplicates, 2 in all: '7\.png = 1\.png', '8\.png = 1\.png'.*data\.duplicates skip"
    with pytest.raises(InputError, match=expected):
        open_source(f"folder:{folder}", 4)
    source = open_source(f"folder:{folder}", 4, duplicates="skip")
    assert list(source.names) == [f"{number}.png" for number in range(6)]


def test_files_of_one_size_are_no_duplicates(tmp_path):
    for number in range(2):
        image = np.full((8, 8, 3), number, np.uint8)
        Image.fromarray(image).save(tmp_path / f"{number}.bmp")
    first, second = tmp_path.iterdir()
    assert first.stat().st_size == second.stat().st_size
    assert len(open_source(f"folder:{tmp_path}", 4)) == 2


def test_the_config_says_what_to_do_with_duplicates(folder):
    shutil.copy(folder / "1.png", folder / "7.png")
    config = DataConfig(source=f"folder:{folder}", patch=2, holdout=1)
    with pytest.raises(InputError, match="duplicates, 1 in all"):
        load_pairs(config, 2)
    skipping = DataConfig(source=f"folder:{folder}", patch=2, holdout=1, duplicates="skip")
    training, validation = load_pairs(skipping, 2)
    assert len(training) + len(validation) == 6


def test_given_lr_images_are_used_as_they_are(paired):
    config = DataConfig(source=f"paired:{paired}/hr,{paired}/lr", patch=2, holdout=1)
    training, validation = load_pairs(config, 2)
    assert [pair.name for pair in training] == ["0.png", "2.png"]
    for pair in (*training, *validation):
        number = pair.name[0]
        np.testing.assert_array_equal(pair.hr, read_image(paired / f"hr/{number}.png")[:8, :14])
        np.testing.assert_array_equal(pair.lr, read_image(paired / f"lr/{number}x2.png"))
        assert (pair.lr != bicubic_downscale(pair.hr, 2)).any()


def test_an_lr_image_that_does_not_fit_is_named_with_both_sizes(paired, noise):
    noise(paired / "lr/1x2.png", 5, 7)
    expected = r"lr/1x2\.png': LR of 5x7 does not fit HR of 9x14; at scale 2 it must be 4x7"
    with pytest.raises(InputError, match=expected):
        open_source(f"paired:{paired}/hr,{paired}/lr", 2)


def test_several_that_do_not_fit_are_counted(paired, noise):
    for number in range(3):
        noise(paired / f"lr/{number}x2.png", 9, 14)
    with pytest.raises(InputError, match=r"3 of 3 images cannot be used: '0x2\.png'.*LR of 9x14"):
        open_source(f"paired:{paired}/hr,{paired}/lr", 2)


def test_paired_files_that_change_later_are_still_refused(paired, noise):
    source = open_source(f"paired:{paired}/hr,{paired}/lr", 2)
    noise(paired / "lr/2x2.png", 4, 6)
    with pytest.raises(InputError, match=r"lr/2x2\.png': LR of 4x6"):
        source[2]


def test_paired_duplicates_leave_with_their_lr(paired):
    shutil.copy(paired / "hr/0.png", paired / "hr/3.png")
    shutil.copy(paired / "lr/0x2.png", paired / "lr/3x2.png")
    place = f"paired:{paired}/hr,{paired}/lr"
    with pytest.raises(InputError, match=r"'3\.png = 0\.png'"):
        open_source(place, 2)
    assert list(open_source(place, 2, duplicates="skip").names) == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize("place", ["hr", "hr,", ",lr"])
def test_paired_needs_two_folders(place):
    with pytest.raises(InputError, match=rf"'paired:{place}': must be paired:HR,LR"):
        open_source(f"paired:{place}", 2)


def test_paired_names_a_missing_folder(paired):
    with pytest.raises(InputError, match=r"low' does not exist"):
        open_source(f"paired:{paired}/hr,{paired}/low", 2)
