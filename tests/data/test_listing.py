"""Which files of a folder are images."""

import os
import sys
import types

import numpy as np
import pytest
from PIL import Image

from dysr_jax.data.images import formats
from dysr_jax.data.images.read import read_image, read_picture
from dysr_jax.data.images.write import check_image_suffix
from dysr_jax.data.listing import list_folder, list_images
from dysr_jax.data.sources import open_source
from dysr_jax.errors import InputError

RGB = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)


SUFFIXES = (
    *(".png", ".jfif", ".JPE", ".webp", ".bmp", ".tif", ".avif", ".jp2", ".j2k", ".tga", ".ppm"),
    *(".pcx", ".sgi", ".dib", ".gif", ".dds", ".mpo"),
)


def test_every_kind_that_pillow_reads_is_taken(tmp_path):
    for suffix in SUFFIXES:
        kind = Image.registered_extensions()[suffix.lower()]
        Image.fromarray(RGB).save(tmp_path / f"a{suffix}", format=kind)
    paths = list_images(tmp_path).images
    assert sorted(path.suffix for path in paths) == sorted(SUFFIXES)
    for path in paths:
        assert read_image(path).shape == RGB.shape
    taken = open_source(f"folder:{tmp_path}", 4, duplicates="skip")
    assert len(taken) == len(SUFFIXES) - 2  # three are one JPEG file


def test_list_images_is_sorted_and_flat(tmp_path):
    for name in ("b.PNG", "c.jpeg", "a.webp", "notes.txt", "nosuffix"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "inside.png").write_bytes(b"")
    assert [file.name for file in list_images(tmp_path).images] == ["a.webp", "b.PNG", "c.jpeg"]


def test_list_images_of_no_images(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(InputError, match=rf"{tmp_path.name}.*holds no \.png"):
        list_images(tmp_path)
    for missing in (tmp_path / "missing", tmp_path / "notes.txt"):
        with pytest.raises(InputError, match=rf"{missing.name}.*does not exist"):
            list_images(missing)


def test_hidden_files_are_none(tmp_path):
    for name in ("a.png", "._a.png", ".hidden.png", ".DS_Store"):
        (tmp_path / name).write_bytes(b"")
    found = list_folder(tmp_path)
    assert ([path.name for path in found.images], found.note) == (["a.png"], "")


def test_what_is_left_out_is_counted(tmp_path):
    for name in ("a.png", "b.txt", "c.txt", "d.eps", "e", "f.MPEG"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "g.png").mkdir()
    os.mkfifo(tmp_path / "h.png")
    (tmp_path / "i.png").symlink_to(tmp_path / "i.png")
    found = list_folder(tmp_path)
    assert [path.name for path in found.images] == ["a.png"]
    assert found.left == {".txt": 2, ".eps": 1, ".mpeg": 1, "file": 1, "folder": 1, "special file": 2}
    assert found.note.startswith("left out: 2 .txt, 2 special files, 1 ")
    for number in range(9):
        (tmp_path / f"x.{number}").write_bytes(b"")
    assert list_folder(tmp_path).note.endswith(" other kinds")


def test_a_folder_without_images_says_what_it_has(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds no \.png, .* image file \(left out: 1 \.txt\)"):
        list_images(tmp_path)


def test_heic_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "has_heic", lambda: False)
    formats.readable_suffixes.cache_clear()
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    assert "1 .heic (HEIC needs pillow-heif: pip install" in list_folder(tmp_path).note
    with pytest.raises(InputError, match=r"a\.heic' cannot be read: it is HEIC, which needs"):
        read_picture(tmp_path / "a.heic")


def test_heic_is_taken_where_the_package_is(tmp_path, monkeypatch):
    """A package that registers a format, as pillow-heif does."""
    known = dict(Image.OPEN), list(Image.ID), dict(Image.EXTENSION)

    def register() -> None:
        Image.register_open("HEIF", Image.OPEN["PNG"][0], lambda prefix: prefix[4:8] == b"ftyp")
        Image.register_extension("HEIF", ".heic")

    fake = types.SimpleNamespace(register_heif_opener=register)
    monkeypatch.setitem(sys.modules, "pillow_heif", fake)
    monkeypatch.setattr(formats, "has_heic", lambda: True)
    formats.readable_suffixes.cache_clear()
    try:
        (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
        assert [path.name for path in list_folder(tmp_path).images] == ["a.heic"]
        with pytest.raises(InputError, match=r"a\.heic' cannot be read: damaged HEIF"):
            read_picture(tmp_path / "a.heic")  # PNG's reader was called
    finally:
        for mine, before in zip((Image.OPEN, Image.EXTENSION), (known[0], known[2]), strict=True):
            mine.clear()
            mine.update(before)
        Image.ID[:] = known[1]
        formats.readable_suffixes.cache_clear()


def test_drawings_and_films_are_no_images(tmp_path):
    (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(InputError, match=r"a\.eps' cannot be read: it is no image of a known"):
        read_picture(tmp_path / "a.eps")
    with pytest.raises(InputError, match=r"its suffix must be one of \.png"):
        check_image_suffix("a.eps")


def test_pipes_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png' cannot be read: it is a pipe or a device"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a" * 300, "b" * 300 + ".png", "c\udce9.png", "d\0.png"])
def test_names_that_no_file_has(tmp_path, name):
    with pytest.raises(InputError, match=r"(does not exist|cannot be read)"):
        list_images(tmp_path / name)
    with pytest.raises(InputError, match=r"(does not exist|cannot be read)"):
        read_picture(tmp_path / name)
