"""`dysr upscale`: images and folders of every kind."""

import shutil

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from dysr_jax.cli import main
from dysr_jax.data.degradation import bicubic_upscale
from dysr_jax.data.images.read import read_image

SCALE, ROWS, COLUMNS = 2, 20, 24
"""The tiny run's scale; images of one size, so that its members compile few times."""


def dysr(*args: object) -> int:
    return main([str(arg) for arg in args])


def snapshot(folder) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


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


def test_transparency_that_a_format_lacks_becomes_white(bundle, tmp_path, capsys):
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
