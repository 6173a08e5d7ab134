"""Tiles: the pixels of the whole frame, whatever the arch and the shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dysr_jax.aot.accounting import count_compilations
from dysr_jax.apps import tiles
from dysr_jax.apps.tiles import make_tiling, prepare_tiles, receptive_radius, spans, upscale_frame
from dysr_jax.bundle.bundle import make_bundle, make_member
from dysr_jax.model.backend import layer_backend
from dysr_jax.model.branches import BODY, Conv, layer_specs
from dysr_jax.model.names import parse_arch
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import uniform_space
from dysr_jax.model.upsamplers import UPSAMPLERS
from dysr_jax.runtime.bank import Bank

SCALE = 2
SPACE = uniform_space(slots=3, widths=4, scale=SCALE)
RADII = {
    "3id-u1": 2,
    "c5-id-s3-u1": 5,
    "r2-s5-c3-u2": 8,
    "3r1-u2": 9,
    "a1-id-id-u1": None,
    "c3-a2-r1-u2": None,
}
LOCAL = [name for name, radius in RADII.items() if radius is not None]
"""Without channel attention."""


@pytest.fixture(scope="module")
def bank(noisy_params):
    members = [make_member(SPACE, parse_arch(SPACE, name), 30.0, 1.0) for name in RADII]
    net = make_supernet(SPACE, "float32")
    return Bank(make_bundle(noisy_params(SPACE), members, net=net, frame=(6, 8), bicubic_psnr_y=29.0))


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "MAX_TILE", 60)
    monkeypatch.setattr(tiles, "TILE_STEP", 10)
    monkeypatch.setattr(tiles, "FADE_OVERLAP", 12)


def random_frame(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)


def whole(bank: Bank, frame: np.ndarray, member: str) -> np.ndarray:
    bank.prepare(frame.shape[:2], [member], warm_up=False)
    return bank(frame, member)


# --- where tiles lie ---------------------------------------------------------------------------------


@settings(max_examples=300)
@given(length=st.integers(1, 400), overlap=st.integers(0, 30), more=st.integers(1, 100))
def test_spans_cover_an_axis_once_with_the_overlap_inside(length, overlap, more):
    tile = 2 * overlap + more
    found = spans(length, tile, overlap)
    kept = [index for span in found for index in range(span.first, span.stop)]
    assert kept == list(range(length))
    for span in found:
        end = span.start + min(tile, length)
        assert 0 <= span.start <= span.first < span.stop <= end <= length
        # What is kept lies away from each edge that is not the image's.
        assert span.start == 0 or span.first - span.start >= overlap
        assert end == length or end - span.stop >= overlap


@pytest.mark.parametrize(("name", "radius"), RADII.items())
def test_the_radius_of_an_arch(name, radius):
    assert receptive_radius(SPACE, parse_arch(SPACE, name)) == radius


@pytest.mark.parametrize(
    ("registry", "name"), [(BODY, name) for name in BODY] + [(UPSAMPLERS, name) for name in UPSAMPLERS]
)
def test_a_branch_says_how_far_it_sees(registry, name):
    """By the gradient of an output pixel: what it depends on, and no more."""
    branch, layers = registry[name], layer_backend("xla")
    specs = branch.reads(4, SCALE)
    rng = np.random.default_rng(0)
    kernels = {kernel: rng.uniform(0, 0.1, spec.shape).astype(np.float32) for kernel, spec in specs.items()}
    x = rng.random((1, 15, 15, 4), np.float32)  # no relu closes
    seen = jax.jit(jax.grad(lambda x: jnp.sum(branch(kernels, x, layers)[0, 7, 7] ** 2)))(x)
    rows, columns = np.nonzero(np.abs(seen[0]).sum(-1))
    reach = int(max(np.abs(rows - 7).max(), np.abs(columns - 7).max()))
    assert reach == (7 if branch.radius(4, SCALE) is None else branch.radius(4, SCALE))


class Wide(Conv):
    """Sees farther on a wide trunk."""

    def __init__(self):
        super().__init__(3)

    def reads(self, width, scale):
        return layer_specs("wide", (width - 1, width - 1, width, width), 0.1)

    def __call__(self, kernels, x, layers):
        return x + layers.conv2d(x, kernels["wide"])


def test_the_radius_is_that_of_the_arch_s_width(monkeypatch, noisy_params, small_tiles):
    """And tiles of members of both widths are the pixels of the whole frame."""
    monkeypatch.setitem(BODY, "wide", Wide())
    space = uniform_space(slots=1, widths=(4, 8), scale=SCALE, branches=("id", "wide", "a1"))
    names = {"w4-wide-u1": 3, "w8-wide-u1": 5, "w8-id-u2": 3, "w4-a1-u1": None}
    archs = [parse_arch(space, name) for name in names]
    assert [receptive_radius(space, arch) for arch in archs] == list(names.values())
    members = [make_member(space, arch, 30.0, 1.0 + i) for i, arch in enumerate(archs[:3])]
    net = make_supernet(space, "float32")
    bank = Bank(make_bundle(noisy_params(space), members, net=net, frame=(6, 8), bicubic_psnr_y=29.0))
    frame = random_frame(70, 90)
    for member in members:
        expected = whole(bank, frame, member.name)
        prepare_tiles(bank, frame.shape[:2], [member.name])
        np.testing.assert_array_equal(upscale_frame(bank, frame, member.name), expected)


def test_small_frames_are_taken_whole():
    for radius in (5, None):
        for shape in ((1024, 1024), (1, 1), (10, 20_000), (540, 960)):
            assert make_tiling(shape, radius).tile == shape


def test_larger_frames_are_cut_into_tiles_of_one_shape():
    assert make_tiling((1080, 1920), 5) == ((640, 1024), 5, False)
    assert make_tiling((300, 20_000), 5).tile == (300, 1024)
    assert make_tiling((1000, 20_000), None) == ((1000, 1024), 96, True)
    # Most of a tile is kept even where a member sees very far.
    assert make_tiling((4000, 4000), 300).tile == (1200, 1200)


@given(rows=st.integers(1, 9000), columns=st.integers(1, 9000), radius=st.integers(0, 40) | st.none())
def test_tiles_are_bounded_and_cost_little_more_than_the_frame(rows, columns, radius):
    cut = make_tiling((rows, columns), radius)
    if cut.tile == (rows, columns):
        assert rows * columns <= 1024**2
        return
    assert max(cut.tile) <= 1024
    assert cut.tile[0] <= rows
    assert cut.tile[1] <= columns
    counts = [len(spans(n, t, cut.overlap)) for n, t in zip((rows, columns), cut.tile, strict=True)]
    least = [max(1, -(-(n - 2 * cut.overlap) // (1024 - 2 * cut.overlap))) for n in (rows, columns)]
    assert counts == [1 if n <= 1024 else m for n, m in zip((rows, columns), least, strict=True)]


# --- pixels ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("shape", [(61, 97), (250, 15)], ids=["both axes", "one axis"])
def test_tiles_give_the_pixels_of_the_whole_frame(bank, small_tiles, name, shape):
    frame = random_frame(*shape)
    found, expected = upscale_frame(bank, frame, name), whole(bank, frame, name)
    assert found.shape == expected.shape == (SCALE * shape[0], SCALE * shape[1], 3)
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=8)
@given(rows=st.integers(1, 90), columns=st.integers(1, 90), seed=st.integers(0, 9))
def test_tiles_of_any_frame(bank, rows, columns, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "MAX_TILE", 24)
        patch.setattr(tiles, "TILE_STEP", 8)
        frame = random_frame(rows, columns, seed)
        found = upscale_frame(bank, frame, "c5-id-s3-u1")
    np.testing.assert_array_equal(found, whole(bank, frame, "c5-id-s3-u1"))


def test_an_overlap_less_than_the_radius_shows(bank, small_tiles, monkeypatch):
    """Otherwise the equalities above might hold for any overlap."""
    frame = random_frame(70, 97)
    monkeypatch.setattr(tiles, "receptive_radius", lambda space, arch: 8)
    expected = whole(bank, frame, "3r1-u2")
    assert (upscale_frame(bank, frame, "3r1-u2") != expected).any()


def test_a_member_compiles_once_for_large_frames_of_like_sizes(bank, small_tiles):
    fresh = Bank(bank.bundle)
    with count_compilations() as compilations:
        for shape in ((65, 97), (67, 99), (70, 110)):
            upscale_frame(fresh, random_frame(*shape), "3id-u1")
    assert compilations.value == 1


def test_the_smallest_frame(bank):
    assert upscale_frame(bank, random_frame(1, 1), "r2-s5-c3-u2").shape == (SCALE, SCALE, 3)


def test_attention_sees_a_frame_that_is_not_too_large_whole(bank, small_tiles):
    frame = random_frame(60, 60)
    np.testing.assert_array_equal(
        upscale_frame(bank, frame, "c3-a2-r1-u2"), whole(bank, frame, "c3-a2-r1-u2")
    )


class Means(Bank):
    """Paints each tile in the mean of its pixels: nothing else but statistics."""

    def prepare(self, *given, **options):
        pass

    def __call__(self, frame, member):
        shape = (SCALE * frame.shape[0], SCALE * frame.shape[1], 3)
        return np.broadcast_to(np.round(frame.mean((0, 1))).astype(np.uint8), shape)


def test_statistics_of_tiles_are_cross_faded(bank, small_tiles):
    row, column = np.mgrid[:150, :160]
    frame = np.repeat((row + column // 2)[..., None], 3, 2).astype(np.uint8)
    found = upscale_frame(Means(bank.bundle), frame, "c3-a2-r1-u2").astype(int)
    assert np.ptp(found) > 100
    # Tiles lie 36 LR pixels apart and 8 are faded, 16 of the output: 36 levels in 16 steps.
    for axis in (0, 1):
        steps = np.diff(found, axis=axis)
        assert steps.min() >= -1  # of the rounding
        assert steps.max() <= 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "make_tiling", lambda *given: make_tiling(*given)._replace(fade=False))
        cut = upscale_frame(Means(bank.bundle), frame, "c3-a2-r1-u2").astype(int)
    assert np.diff(cut, axis=0).max() > 30
