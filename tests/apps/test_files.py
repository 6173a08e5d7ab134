"""Files and folders through `upscale_files`: names, damage, locks, and what is said."""

import contextlib
import os
import pathlib
import warnings
from fractions import Fraction

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import ExifTags, Image

import dysr_jax
import dysr_jax.video
from dysr_jax.apps import files
from dysr_jax.apps.files import upscale_files
from dysr_jax.apps.output_paths import folder_tasks
from dysr_jax.apps.upscaler import Upscaler
from dysr_jax.atomic import exclusive
from dysr_jax.bundle.bundle import Bundle, save_bundle
from dysr_jax.cli import main
from dysr_jax.data.images.read import read_image
from dysr_jax.data.images.write import check_image_suffix
from dysr_jax.errors import InputError

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
SCALE = 2


@pytest.fixture(scope="module")
def bundle(three_members) -> Bundle:
    return three_members


@pytest.fixture(scope="module")
def saved(bundle, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "bundle"
    save_bundle(path, bundle, {})
    return path


@pytest.fixture
def quick(monkeypatch):
    """Without the network: what counts here is which files are read and written."""

    def enlarge(self, pixels, member, *, progress=False):
        return pixels.repeat(SCALE, 0).repeat(SCALE, 1)

    monkeypatch.setattr(Upscaler, "__call__", enlarge)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "in"
    place.mkdir()
    return place


def save(path, **options) -> None:
    Image.fromarray(RGB).save(path, **options)


def names(place) -> list[str]:
    return sorted(path.name for path in place.iterdir())


# --- when the work is done ---------------------------------------------------------------------------


def test_it_is_done_and_checked_when_it_is_called(bundle, quick, folder):
    with pytest.raises(InputError, match=r"missing\.png' does not exist"):
        upscale_files(bundle, folder / "missing.png")
    with pytest.raises(InputError, match="max_pixels must be at least 1, got 0"):
        upscale_files(bundle, folder, max_pixels=0)
    save(folder / "a.png")
    upscale_files(bundle, folder / "a.png")
    assert read_image(folder / "a_x2.png").shape == (12, 16, 3)


def test_what_cannot_be_read_does_not_stop_the_others(bundle, quick, folder, tmp_path):
    for name in ("a.png", "c.png", "e.jpg"):
        save(folder / name)
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:-60])
    (folder / "d.png").write_bytes(b"")
    seen: list[str] = []
    done = upscale_files(bundle, folder, tmp_path / "out", on_written=lambda one: seen.append(one.path.name))
    assert seen == names(tmp_path / "out") == ["a.png", "c.png", "e.jpg"]
    assert [one.path.name for one in done] == seen
    assert [one.path for one in done.failed] == [folder / "b.png", folder / "d.png"]
    assert all(f"{one.path}' cannot be read" in one.error for one in done.failed)


def test_every_image_is_decoded_once(bundle, quick, folder, tmp_path, monkeypatch):
    read = []
    real = files.read_picture

    def count(path, **options):
        read.append(path.name)
        return real(path, **options)

    monkeypatch.setattr(files, "read_picture", count)
    for name in ("a.png", "b.png"):
        save(folder / name)
    upscale_files(bundle, folder, tmp_path / "out")
    assert read == ["a.png", "b.png"]


def test_a_lack_of_memory_is_one_image_s(bundle, folder, tmp_path, monkeypatch):
    def enlarge(self, pixels, member, *, progress=False):
        if pixels.shape[0] > 6:
            raise MemoryError("Unable to allocate 9 TiB")
        return pixels

    monkeypatch.setattr(Upscaler, "__call__", enlarge)
    save(folder / "a.png")
    Image.new("RGB", (8, 9)).save(folder / "b.png")
    done = upscale_files(bundle, folder, tmp_path / "out")
    assert [one.path.name for one in done] == ["a.png"]
    assert "b.png' needs more memory than there is: Unable to allocate" in done.failed[0].error


# --- names -------------------------------------------------------------------------------------------


def test_images_that_would_have_one_name(bundle, quick, folder, tmp_path):
    for name in ("a.gif", "a.png", "b.gif", "b.pcx", "c.gif", "a.gif.png", "d.jfif", "d.jpg"):
        save(folder / name)
    done = upscale_files(bundle, folder, tmp_path / "out")
    expected = {
        *("a.png", "a.gif.png", "a.gif_2.png"),
        *("b.gif.png", "b.pcx.png", "c.png", "d.jfif", "d.jpg"),
    }
    assert set(names(tmp_path / "out")) == expected
    assert len(done) == 8
    again = upscale_files(bundle, folder, tmp_path / "out", skip_existing=True)
    assert len(again) == 0


LETTERS = st.text("ab\u00e9\U0001f600", min_size=1, max_size=3)
SUFFIXES = st.lists(st.sampled_from([".png", ".gif", ".PNG", ".jpg", ".pcx"]), min_size=1, max_size=2)


@hypothesis.given(st.lists(st.builds(lambda *x: x[0] + "".join(x[1]), LETTERS, SUFFIXES), unique=True))
def test_every_image_of_a_folder_has_an_output_of_its_own(given):
    images = [pathlib.Path("in") / name for name in given]
    place, tasks = folder_tasks(images, pathlib.Path("in"), None, 3)
    assert place == pathlib.Path("in_x3")
    assert [task.read for task in tasks] == images
    assert len({task.write for task in tasks}) == len(images)
    for task in tasks:
        assert check_image_suffix(task.write) in ("PNG", "JPEG")
        if task.read.suffix.lower() in (".png", ".jpg"):
            assert task.write == place / task.read.name
        else:
            assert task.write.name.startswith(task.read.stem)


@pytest.mark.parametrize("letter", ["a", "é", "\U0001f600"])
def test_names_at_the_limit(bundle, quick, folder, tmp_path, letter):
    longest = os.pathconf(folder, "PC_NAME_MAX")
    stem = letter * ((longest - 4) // len(os.fsencode(letter)))
    save(folder / f"{stem}.png")
    save(folder / "z.png")
    done = upscale_files(bundle, folder, tmp_path / "out")
    assert names(tmp_path / "out") == sorted([f"{stem}.png", "z.png"])
    assert not done.failed
    ((path, _),) = upscale_files(bundle, folder / f"{stem}.png")
    assert path.name.endswith("_x2.png")
    assert stem.startswith(path.name.removesuffix("_x2.png"))
    assert read_image(path).shape == (12, 16, 3)
    with pytest.raises(InputError, match="its name must be at most"):
        upscale_files(bundle, folder / "z.png", tmp_path / f"{stem}{letter}.png")


def test_a_folder_with_a_name_at_the_limit(bundle, quick, tmp_path):
    place = tmp_path / ("a" * os.pathconf(tmp_path, "PC_NAME_MAX"))
    place.mkdir()
    save(place / "a.png")
    ((path, _),) = upscale_files(bundle, place)
    assert path.parent.parent == tmp_path
    assert path.parent.name.endswith("a_x2")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".jp2", ".avif", ".webp", ".tga", ".gif"])
def test_names_that_are_not_utf_8(bundle, quick, folder, tmp_path, suffix):
    name = os.fsdecode(b"caf\xe9" + suffix.encode())
    save(folder / f"a{suffix}")
    (folder / f"a{suffix}").rename(folder / name)
    (written,) = upscale_files(bundle, folder, tmp_path / "out")
    assert os.fsencode(written.path.name).startswith(b"caf\xe9.")
    (folder / name).write_bytes(b"")
    (failed,) = upscale_files(bundle, folder, tmp_path / "out", overwrite=True).failed
    failed.error.encode()


# --- one at a time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["out", "out.png"])
def test_an_output_is_for_one_command(bundle, quick, folder, tmp_path, target):
    save(folder / "a.png")
    out, source = tmp_path / target, folder if target == "out" else folder / "a.png"
    with exclusive(out), pytest.raises(InputError, match=f"output .*{target}' is being written"):
        upscale_files(bundle, source, out)
    upscale_files(bundle, source, out)
    assert names(tmp_path) == sorted(["in", target])
    with pytest.raises(InputError, match="exists; allowed with"):
        upscale_files(bundle, source, out)


# --- what is said ------------------------------------------------------------------------------------


def test_a_note_on_many_images_is_one_line(bundle, saved, quick, folder, tmp_path, capsys):
    for number in range(5):
        Image.fromarray(RGB[:, :, 0].astype(np.uint16) * 257).save(folder / f"{number}.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    save(folder / "5.bmp")
    save(folder / "6.jpg", exif=exif)
    (folder / "6.jpg").rename(folder / "6.ppm")  # known by its content
    out = tmp_path / "out"
    options = ["--bundle", str(saved), "--member", "fastest"]
    assert main(["upscale", str(folder), str(out), *options]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [str(out / name) for name in names(folder)]
    assert printed.err.splitlines() == [
        f"dysr: note: {out / '0.png'} and 4 more: its 16 bits per channel are rounded to 8",
        f"dysr: note: {out / '6.ppm'}: its EXIF data cannot be kept in PPM",
    ]


# --- what is no path --------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, 3, b"a.png", ["a.png"]])
def test_what_is_no_path_is_named(bundle, given):
    for call, name in (
        (lambda: dysr_jax.upscale_files(bundle, given), "source"),
        (lambda: dysr_jax.upscale_files(bundle, "a.png", given or 3), "target"),
        (lambda: dysr_jax.load_bundle(given), "bundle"),
        (lambda: dysr_jax.video.open_video(given), "video"),
        (lambda: dysr_jax.video.open_writer(given, width=2, height=2, rate=Fraction(1)), "video"),
        (lambda: dysr_jax.run_search(dysr_jax.RunConfig(), given), "out"),
    ):
        with pytest.raises(InputError, match=rf"^{name} .*: must be a path$"):
            call()


# --- odd files ---------------------------------------------------------------------------------------


def test_damaged_files_end_in_a_line_or_in_a_picture(bundle, quick, folder, tmp_path):
    """Cut, changed and swapped files of many formats: no exception but ours, and no file for a cut one."""
    rng = np.random.default_rng(0)
    for suffix in (".png", ".jpg", ".gif", ".webp", ".avif", ".jp2", ".tif", ".bmp", ".tga", ".ppm"):
        save(folder / f"whole{suffix}")
        content = np.frombuffer((folder / f"whole{suffix}").read_bytes(), np.uint8)
        for number in range(6):
            changed = content.copy()
            changed[rng.integers(0, len(content), 3)] = rng.integers(0, 256, 3)
            (folder / f"{number}{suffix}").write_bytes(changed.tobytes())
            cut = content[: rng.integers(0, len(content) - 40)]
            (folder / f"cut{number}{suffix}").write_bytes(cut.tobytes())
    with warnings.catch_warnings(), contextlib.suppress(OSError):
        warnings.simplefilter("ignore")
        done = upscale_files(bundle, folder, tmp_path / "out")
    failed = {one.path.name for one in done.failed}
    assert failed >= {name for name in names(folder) if name.startswith("cut")}
    assert not {name for name in failed if name.startswith("whole")}
    assert len(done) + len(failed) == len(names(folder))
    assert all("\n" not in one.error for one in done.failed)
