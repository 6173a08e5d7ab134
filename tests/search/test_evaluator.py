"""The evaluator against a plain loop, and the patches it measures on."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2ycbcr

from dysr_jax import parallel
from dysr_jax.aot.accounting import count_compilations
from dysr_jax.data.examples import Pair
from dysr_jax.errors import InputError
from dysr_jax.model.programs import frame_program, make_supernet
from dysr_jax.model.space import SearchSpace, sample_archs, to_archs, uniform_space
from dysr_jax.model.supernet import init_params
from dysr_jax.search import evaluator
from dysr_jax.search.evaluator import MEMORY_SHARE, Evaluator
from dysr_jax.search.population import Patches, archs_psnr_y, grid_patches, row_bytes

SPACE = uniform_space(slots=2, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))
NET = make_supernet(SPACE, "float32")
FEW = uniform_space(slots=2, widths=4, scale=2, branches=("id", "c3"), upsamplers=("u1",))
"""Some branches of SPACE, whose weights serve it too: for what does not depend on what a branch is."""

# --- patches ----------------------------------------------------------------------------------------


def map_pair(number, rows, columns, scale):
    """An image whose pixels say where they are: row, column, number of the image."""
    row, column = np.indices((rows, columns))
    lr = np.stack([row, column, np.full_like(row, number)], 2).astype(np.uint8)
    return Pair(f"map{number}", lr, lr.repeat(scale, 0).repeat(scale, 1))


def corners(patches):
    return [tuple(patch[0, 0].tolist()) for patch in np.asarray(patches.lr)]


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_patches_are_where_they_say(count, scale):
    side, sizes = 7, [(20, 30), (25, 11)]
    pairs = [map_pair(i, *shape, scale) for i, shape in enumerate(sizes)]
    patches = grid_patches(pairs, count, side)
    each = max(1, count // 2)
    assert patches.image.tolist() == [0] * each + [1] * each
    for (row, column, number), lr, hr in zip(
        corners(patches), np.asarray(patches.lr), np.asarray(patches.hr), strict=True
    ):
        assert row + side <= sizes[number][0]
        assert column + side <= sizes[number][1]
        np.testing.assert_array_equal(lr, pairs[number].lr[row : row + side, column : column + side])
        np.testing.assert_array_equal(hr, lr.repeat(scale, 0).repeat(scale, 1))
    assert [number for _, _, number in corners(patches)] == patches.image.tolist()
    assert len(set(corners(patches))) == 2 * each


@pytest.mark.parametrize(
    ("count", "expected"),
    [(4, {(0, 0), (0, 20), (10, 0), (10, 20)}), (9, {(r, c) for r in (0, 5, 10) for c in (0, 10, 20)})],
)
def test_the_grid_is_even_and_reaches_the_corners(count, expected):
    patches = grid_patches([map_pair(0, 16, 26, 2)], count, 6)
    assert {(row, column) for row, column, _ in corners(patches)} == expected


def test_an_image_of_the_patch_s_size_is_one_patch():
    pair = map_pair(0, 6, 6, 2)
    patches = grid_patches([pair], 1, 6)
    np.testing.assert_array_equal(patches.lr[0], pair.lr)
    np.testing.assert_array_equal(patches.hr[0], pair.hr)


@pytest.mark.parametrize("shape", [(5, 30), (30, 5)])
def test_an_image_smaller_than_a_patch_is_refused(shape):
    pairs = [map_pair(0, 30, 30, 2), map_pair(1, *shape, 2)]
    with pytest.raises(InputError, match=r"'map1'.*search\.patch must be at most 5, got 6"):
        grid_patches(pairs, 4, 6)


# --- quality ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def params(noisy_params):
    return noisy_params(SPACE)  # archs differ by decibels


@pytest.fixture(scope="module")
def patches():
    """Five patches of two images: their shares are not equal."""
    rng = np.random.default_rng(0)
    lr = rng.integers(0, 256, (5, 12, 12, 3), np.uint8)
    hr = lr.repeat(2, 1).repeat(2, 2)
    image = jnp.asarray([0, 0, 1, 1, 1], jnp.int32)
    return Patches(lr=jnp.asarray(lr), hr=jnp.asarray(hr), image=image)


@pytest.fixture(scope="module")
def many():
    return np.asarray(sample_archs(jax.random.key(2), SPACE, (23,)))


@pytest.fixture(scope="module")
def genes(many):
    return many[:5]


@pytest.fixture(scope="module")
def evaluate(patches):
    """On all four fake devices."""
    mesh = parallel.device_mesh()
    assert mesh.devices.size == 4
    return Evaluator(NET, patches, mesh)


@pytest.fixture(scope="module")
def alone(params, patches, many):
    """One candidate after the other on one device; compiled for all."""
    evaluate = Evaluator(NET, patches, parallel.device_mesh(1), tile=1)
    evaluate.prepare(params, many)
    return evaluate


def static_luma(net, params, lr, archs):
    """Luma of what static programs make of patches, by scikit-image: `[archs, P, H - 4, W - 4]`."""
    program = jax.jit(frame_program(net), static_argnums=2)
    return np.stack([inner_luma(program(params, lr, arch)) for arch in archs])


def inner_luma(frames):
    return np.round(rgb2ycbcr(np.asarray(frames))[:, 2:-2, 2:-2, 0])


def mean_psnr(found, hr, image):
    """PSNR-Y by NumPy: patches of an image are pooled."""
    mse = ((found - inner_luma(hr)) ** 2).mean((2, 3))
    pooled = [mse[:, np.asarray(image) == one].mean(1) for one in np.unique(image)]
    return np.mean(10 * np.log10(255**2 / np.stack(pooled)), 0)


@pytest.fixture(scope="module")
def expected(params, patches, genes):
    found = static_luma(NET, params, patches.lr, to_archs(SPACE, genes))
    return mean_psnr(found, patches.hr, patches.image)


def test_equals_a_loop_of_static_programs(evaluate, params, genes, expected):
    assert np.ptp(expected) > 0.5
    found = evaluate(params, genes)
    assert found.shape == (5,)  # four devices do not divide it
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_equals_one_device(evaluate, params, genes, alone):
    np.testing.assert_allclose(alone(params, genes), evaluate(params, genes), atol=1e-4)


def test_a_population_smaller_than_the_devices(evaluate, params, genes, expected):
    np.testing.assert_allclose(evaluate(params, genes[3:5]), expected[3:5], atol=0.01)


def test_one_compilation_a_population_size(params, patches, genes):
    mesh, genes = parallel.device_mesh(2), np.minimum(genes, (1, 1, 0))
    fresh = Evaluator(make_supernet(FEW, "float32"), patches, mesh)
    # Put on the mesh beforehand: JAX compiles a transfer for the first array that is not there.
    params, *populations, two = parallel.replicate(
        (params, genes, genes[::-1], np.zeros_like(genes), genes[:2]), mesh
    )
    with count_compilations() as compilations:
        for population in populations:
            fresh(params, population)
        fresh(params, two)
        assert compilations.value == 1
        fresh(params, np.concatenate(populations))
        assert compilations.value == 2


@pytest.mark.parametrize(("devices", "tile"), [(1, 3), (3, 2), (3, 8)])
def test_tiles_change_nothing(params, patches, many, alone, tile, devices):
    one = alone(params, many)
    found = Evaluator(NET, patches, parallel.device_mesh(devices), tile=tile)(params, many)
    assert np.ptp(one) > 0.5
    np.testing.assert_allclose(found, one, atol=1e-4)


def test_slots_that_offer_different_branches(noisy_params):
    space = SearchSpace((("c3", "id"), ("r2", "s3", "id"), ("a1",)), ("u2",), 4, 2)
    net, params = make_supernet(space, "float32"), noisy_params(space)
    lr = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
    hr = np.random.default_rng(2).integers(0, 256, (3, 16, 16, 3), np.uint8)
    patches = Patches(lr=lr, hr=hr, image=np.arange(3))
    archs = [(0, 0, 0, 0), (1, 1, 0, 0), (0, 2, 0, 0)]
    found = Evaluator(net, patches, parallel.device_mesh(2), tile=2)(params, np.array(archs * 2, np.int32))
    expected = mean_psnr(static_luma(net, params, lr, archs), hr, patches.image)
    np.testing.assert_allclose(found, np.tile(expected, 2), atol=0.01)


def test_a_body_of_identities_only(params, patches, genes, alone):
    space = uniform_space(slots=2, widths=4, scale=2, branches=("id",))
    archs = np.array([[0, 0, 0], [0, 0, 1]], np.int32)
    found = Evaluator(make_supernet(space, "float32"), patches, parallel.device_mesh(1))(params, archs)
    expected = alone(params, archs)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_little_memory_takes_several_dispatches(params, patches, many, alone, monkeypatch):
    mesh = parallel.device_mesh(2)
    whole = Evaluator(NET, patches, mesh)
    row = row_bytes(NET, patches, 4)
    monkeypatch.setattr(evaluator, "memory_bytes", lambda: 3 * 2 * row / MEMORY_SHARE)
    little = Evaluator(NET, patches, mesh)
    assert (whole.plan(4, 23).population, little.plan(4, 23).population) == (14, 3)
    np.testing.assert_allclose(little(params, many), alone(params, many), atol=1e-4)


def test_images_that_are_reproduced_exactly_count_100_db(params, patches):
    net, arch = make_supernet(FEW, "float32"), np.array([[1, 0, 0]], np.int32)
    hr = jax.jit(frame_program(net))(params, patches.lr, arch[0])
    same = dataclasses.replace(patches, hr=hr)
    assert Evaluator(net, same, parallel.device_mesh(1))(params, arch).tolist() == [100.0]


# --- several widths ---------------------------------------------------------------------------------

ELASTIC = uniform_space(slots=2, widths=(3, 6), scale=2, branches=("id", "s5", "a1"))
ELASTIC_NET = make_supernet(ELASTIC, "float32")
ELASTIC_ARCHS = [(i, (i + 2) % 3, i % 2, width) for width in range(2) for i in range(3)]
"""Every branch of every slot at every width."""


@pytest.fixture(scope="module")
def elastic_params(noisy_params):
    return noisy_params(ELASTIC)


@pytest.fixture(scope="module")
def elastic_luma(elastic_params, patches):
    return static_luma(ELASTIC_NET, elastic_params, patches.lr, ELASTIC_ARCHS)


@pytest.fixture(scope="module")
def elastic_expected(elastic_luma, patches):
    found = mean_psnr(elastic_luma, patches.hr, patches.image)
    assert np.ptp(found) > 0.5
    assert np.abs(found[:3] - found[3:]).min() > 1e-3  # a width is seen
    return found


@pytest.fixture(scope="module", params=[(1, 2), (3, 1)], ids="{0[0]} devices, tile {0[1]}".format)
def elastic(request, elastic_params, patches):
    """Evaluates any 20 archs or fewer, and compiles for nothing else."""
    devices, tile = request.param
    mesh = parallel.device_mesh(devices)
    evaluate, placed = (
        Evaluator(ELASTIC_NET, patches, mesh, tile=tile),
        parallel.replicate(elastic_params, mesh),
    )
    evaluate.prepare(placed, np.tile(ELASTIC_ARCHS, (4, 1))[:20])
    assert sorted(plan.space.width for plan in evaluate._executables) == [3, 6]
    assert {plan.tile for plan in evaluate._executables} == {tile}
    return lambda genes: evaluate(placed, genes), evaluate


@settings(max_examples=25)
@given(st.lists(st.sampled_from(range(6)), min_size=1, max_size=20))
def test_each_candidate_of_any_width_is_its_static_program(elastic, elastic_expected, rows):
    found, evaluate = elastic
    quality = found(np.array(ELASTIC_ARCHS, np.int32)[rows])
    np.testing.assert_allclose(quality, elastic_expected[rows], atol=0.01)
    assert len(evaluate._executables) == 2


@pytest.mark.parametrize("width", range(2))
def test_a_population_of_one_width_goes_in_blocks(elastic, elastic_expected, width):
    found, evaluate = elastic
    rows = np.flatnonzero(np.array(ELASTIC_ARCHS)[:, -1] == width).repeat(6)
    assert len(rows) > max(plan.population for plan in evaluate._executables)
    quality = found(np.array(ELASTIC_ARCHS, np.int32)[rows])
    np.testing.assert_allclose(quality, elastic_expected[rows], atol=0.01)
    assert len(evaluate._executables) == 2


def test_an_executable_per_width_when_it_is_first_met(noisy_params, patches):
    space = SearchSpace((("id", "c3"),), ("u1",), (3, 4, 6), 2)
    mesh, rng = parallel.device_mesh(2), np.random.default_rng(0)
    evaluate = Evaluator(make_supernet(space, "float32"), patches, mesh)
    params = parallel.replicate(noisy_params(space), mesh)

    def drawn(count, *widths):
        genes = rng.integers(0, (2, 1, 1), (count, 3)).astype(np.int32)
        genes[:, -1] = rng.choice(widths, count)
        return genes

    evaluate.prepare(params, drawn(12, 0))
    evaluate(params, drawn(12, 0))
    with count_compilations() as compilations:
        evaluate(params, drawn(5, 0))
        assert compilations.value == 0
        evaluate.prepare(params, drawn(12, 0, 2))
        assert compilations.value == 1
        for count in (12, 1, 7, 12):
            evaluate(params, drawn(count, 0, 2))
        assert compilations.value == 1
        evaluate(params, drawn(12, 0, 1, 2))
        assert compilations.value == 2
    assert {plan.space.widths for plan in evaluate._executables} == {(3,), (4,), (6,)}


def test_a_width_has_the_results_of_its_space_alone(elastic_params, patches):
    """Bit for bit, over weights that are cut to it."""
    narrow = dataclasses.replace(ELASTIC, widths=3)
    genes = np.array([(i, j, (i + j) % 2) for i in range(3) for j in range(3)], np.int32)
    stored = jax.eval_shape(lambda: init_params(jax.random.key(0), narrow))
    cut = jax.tree.map(
        lambda whole, part: whole[tuple(slice(length) for length in part.shape)],
        {name: jax.device_get(elastic_params[name]) for name in stored},
        stored,
    )
    mesh = parallel.device_mesh(1)
    alone = Evaluator(make_supernet(narrow, "float32"), patches, mesh)(cut, genes)
    with_width = np.pad(genes, ((0, 0), (0, 1)), constant_values=0)
    found = Evaluator(ELASTIC_NET, patches, mesh)(elastic_params, with_width)
    np.testing.assert_array_equal(found, alone)


def test_narrow_trunks_take_less_memory(patches, monkeypatch):
    net = make_supernet(dataclasses.replace(ELASTIC, widths=(3, 4, 6)), "float32")
    row = row_bytes(net, patches, 6)
    monkeypatch.setattr(evaluator, "memory_bytes", lambda: 4 * 2 * row / MEMORY_SHARE)
    little = Evaluator(net, patches, parallel.device_mesh(1))
    assert [little.plan(width, 90).population for width in (3, 4, 6)] == [8, 6, 4]


def test_whole_images_of_archs_of_any_width(elastic_params, patches, elastic_luma):
    """The five patches as images: each is one photograph."""
    pairs = [Pair(str(i), np.asarray(patches.lr[i]), np.asarray(patches.hr[i])) for i in range(5)]
    rows, counts, found = [4, 2, 0, 1], [], []
    archs = [ELASTIC_ARCHS[i] for i in rows]  # the first one is the wide one
    for asked in (archs[1:], archs):
        with count_compilations() as compilations:
            found.append(archs_psnr_y(ELASTIC_NET, elastic_params, asked, pairs))
        counts.append(compilations.value)
    assert counts[1] == 2  # the first call compiles transfers too
    expected = mean_psnr(elastic_luma[rows], patches.hr, np.arange(5))
    np.testing.assert_allclose(found[1], expected, atol=0.01)
    np.testing.assert_array_equal(found[0], found[1][1:])
