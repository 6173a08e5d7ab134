"""Images of every kind through a member, and files of them."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.apps import tiles
from dysr_jax.apps.files import upscale_files
from dysr_jax.apps.upscaler import Upscaler
from dysr_jax.bundle.bundle import make_bundle, make_member
from dysr_jax.data.degradation import bicubic_upscale
from dysr_jax.data.images.metadata import Metadata
from dysr_jax.data.images.read import read_image, read_picture
from dysr_jax.data.images.write import write_image
from dysr_jax.errors import InputError
from dysr_jax.model.names import parse_arch
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import uniform_space

SCALE, SHAPE = 3, (10, 14)
SPACE = uniform_space(slots=1, widths=4, scale=SCALE, branches=("id", "c3", "a1"))
NAMES = ["id-u1", "c3-u1", "a1-u1"]


@pytest.fixture(scope="module")
def bundle(noisy_params):
    members = [make_member(SPACE, parse_arch(SPACE, n), 30.0, 1.0 + i) for i, n in enumerate(NAMES)]
    net = make_supernet(SPACE, "float32")
    return make_bundle(noisy_params(SPACE), members, net=net, frame=(6, 8), bicubic_psnr_y=29.0)


@pytest.fixture(scope="module")
def upscaler(bundle):
    return Upscaler(bundle)


def random_image(channels: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, 256, (*shape, channels), np.uint8)


def plain(upscaler: Upscaler, rgb: np.ndarray, member: str = NAMES[-1]) -> np.ndarray:
    bank = upscaler.server
    bank.prepare(rgb.shape[:2], [member])
    return bank(rgb, member)


# --- channels ----------------------------------------------------------------------------------------


def test_rgb_is_the_network_s_output(upscaler):
    rgb = random_image(3)
    np.testing.assert_array_equal(upscaler(rgb), plain(upscaler, rgb))


def test_grey_is_the_mean_of_the_network_s_output(upscaler):
    grey = random_image(1)
    output = plain(upscaler, np.repeat(grey, 3, 2))
    assert (output != output[:, :, :1]).any()  # the network tints it
    expected = np.round(output.mean(2, keepdims=True))
    np.testing.assert_array_equal(upscaler(grey), expected)
    np.testing.assert_array_equal(upscaler(grey[:, :, 0]), expected[:, :, 0])


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_bicubic_and_opaque_colours_are_the_network_s(upscaler, channels):
    image = random_image(channels)
    image[:, :, -1] |= 1  # nothing is invisible
    found = upscaler(image)
    np.testing.assert_array_equal(found[:, :, :-1], upscaler(image[:, :, :-1]))
    np.testing.assert_array_equal(found[:, :, -1:], bicubic_upscale(image[:, :, -1:], SCALE))


def test_invisible_colours_do_not_bleed(upscaler):
    """A red disc on nothing, which one program writes as black and another as white."""
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    visible = ((row - 5) ** 2 + (column - 7) ** 2 < 16)[..., None]
    alpha = np.where(visible, 255, 0).astype(np.uint8)
    found = [
        upscaler(np.concatenate([np.where(visible, (200, 10, 20), x).astype(np.uint8), alpha], 2))
        for x in (0, 255)
    ]
    np.testing.assert_array_equal(*found)
    # All of it is as red as a red image; the alpha channel alone says where.
    red = plain(upscaler, np.broadcast_to(np.uint8([200, 10, 20]), (*SHAPE, 3)))
    np.testing.assert_array_equal(found[0][:, :, :3], red)
    assert set(np.unique(alpha)) == {0, 255} < set(np.unique(found[0][:, :, 3]))


def test_an_image_of_which_nothing_is_visible(upscaler):
    image = random_image(4)
    image[:, :, 3] = 0
    found = upscaler(image)
    assert not found[:, :, 3].any()
    np.testing.assert_array_equal(found[:, :, :3], plain(upscaler, image[:, :, :3]))


def test_alpha_of_large_images_goes_in_tiles(upscaler, monkeypatch):
    image = random_image(2, (40, 23))
    expected = bicubic_upscale(image[:, :, 1:], SCALE)
    monkeypatch.setattr("dysr_jax.apps.upscaler.MAX_TILE", 16)
    found = upscaler(image, "fastest")
    np.testing.assert_array_equal(found[:, :, 1:], expected)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros(4, np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
    ids=["a line", "five channels", "a batch", "empty", "float"],
)
def test_arrays_that_are_no_images(upscaler, image):
    with pytest.raises(InputError, match=r"image must be (\[H, W\] or .*|uint8), got "):
        upscaler(image)


# --- members and executables -------------------------------------------------------------------------


def test_members_are_chosen_by_name(upscaler):
    rgb = random_image(3)
    for name in (*NAMES, "fastest", "best", None):
        member = {"fastest": NAMES[0], "best": NAMES[-1], None: NAMES[-1]}.get(name, name)
        np.testing.assert_array_equal(upscaler(rgb, name), plain(upscaler, rgb, member))
    with count_compilations() as compilations:
        upscaler(rgb)
    assert compilations.value == 0
    with pytest.raises(InputError, match=r"member 'zz': the bundle has id-u1, .*fastest and best"):
        upscaler(rgb, "zz")


def test_executables_of_few_shapes_are_kept(bundle):
    upscaler = Upscaler(bundle, keep=2)
    for columns in (5, 6, 7):
        upscaler(random_image(3, (5, columns)), "fastest")
    with count_compilations() as compilations:
        for columns in (6, 7):
            upscaler(random_image(3, (5, columns)), "fastest")
        assert compilations.value == 0
        upscaler(random_image(3, (5, 5)), "fastest")
    assert compilations.value == 1
    # What is asked for together is there together.
    upscaler.server.prepare((4, 4))
    for name in NAMES:
        upscaler.server(random_image(3, (4, 4)), name)


# --- files -------------------------------------------------------------------------------------------


def test_grey_transparency_and_profile_come_through(bundle, upscaler, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    write_image(tmp_path / "in.png", random_image(4), Metadata(profile=profile))
    ((path, notes),) = upscale_files(bundle, tmp_path / "in.png")
    assert (path, notes) == (tmp_path / "in_x3.png", ())
    picture = read_picture(path)
    assert picture.metadata.profile == profile
    np.testing.assert_array_equal(picture.pixels, upscaler(random_image(4)))


def test_a_picture_is_turned_once(bundle, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(random_image(3)).save(tmp_path / "in.jpg", exif=exif, quality=100)
    ((path, _),) = upscale_files(bundle, tmp_path / "in.jpg", tmp_path / "out.jpg")
    assert read_image(path).shape == (SCALE * SHAPE[1], SCALE * SHAPE[0], 3)
    with Image.open(path) as image:
        assert image.getexif().get(0x0112) in (None, 1)


def test_an_output_that_its_format_cannot_hold_is_refused(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(Upscaler, "__call__", lambda *_, **__: pytest.fail("it went on"))
    write_image(tmp_path / "wide.png", np.zeros((1, 6000, 3), np.uint8))
    with pytest.raises(InputError, match=r"out\.webp' cannot be written: 18000x3 is more than"):
        upscale_files(bundle, tmp_path / "wide.png", tmp_path / "out.webp")
    with pytest.raises(InputError, match=r"missing' is no folder"):
        upscale_files(bundle, tmp_path / "wide.png", tmp_path / "missing" / "out.png")
    assert [path.name for path in tmp_path.iterdir()] == ["wide.png"]


def test_means_over_tiles_are_told(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(tiles, "MAX_TILE", 16)
    monkeypatch.setattr(tiles, "TILE_STEP", 8)
    monkeypatch.setattr(tiles, "FADE_OVERLAP", 3)
    write_image(tmp_path / "in.png", random_image(3, (12, 40)))
    found = {
        name: upscale_files(bundle, tmp_path / "in.png", tmp_path / f"{name}.png", name).written[0]
        for name in NAMES
    }
    assert [bool(written.notes) for written in found.values()] == [False, False, True]
    assert found["a1-u1"].notes[0].endswith("they are means over tiles of 16x12")
