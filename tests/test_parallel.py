"""Per-device programs against `jax.pmap` of the same function, on the fake devices of `conftest.py`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dysr_jax import parallel
from dysr_jax.errors import InputError

DEVICES = 4


@pytest.fixture(scope="module")
def mesh():
    return parallel.device_mesh()


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(0)
    return {"a": rng.normal(size=(3, 2)).astype(np.float32), "b": np.ones(2, np.float32)}


@pytest.fixture(scope="module")
def batches():
    """Another batch and another branch a device: equal inputs would hide who computes what."""
    batch = np.random.default_rng(1).normal(size=(DEVICES, 5, 3)).astype(np.float32)
    picks = np.array([2, 0, 1, 2], np.int32)
    assert len(np.unique(batch, axis=0)) == DEVICES
    assert len(np.unique(picks)) == 3
    return {"x": batch, "pick": picks}


def _loss(weights, batch, factor):
    y = batch["x"] @ weights["a"] + weights["b"]
    y = lax.switch(batch["pick"], [jnp.sin, jnp.square, lambda z: -z], y)
    return factor * jnp.mean(y)


def gradient_step(weights, batch, factor):
    """As a training step is: a switch a device, then the mean gradient over devices."""
    gradient = lax.pmean(jax.grad(_loss)(weights, batch, factor), parallel.AXIS)
    return jax.tree.map(lambda w, g: w - g, weights, gradient)


# One device at a time, without any mesh.
each_gradient = jax.jit(
    lambda weights, batches, factor: lax.map(lambda batch: jax.grad(_loss)(weights, batch, factor), batches)
)


def local_loss(weights, batch, factor):
    """No collective: what each device computes by itself."""
    return _loss(weights, batch, factor), lax.axis_index(parallel.AXIS)


@pytest.mark.parametrize(("count", "out_axes"), [(DEVICES, 0), (DEVICES, None), (2, None)])
def test_per_device_is_pmap(weights, batches, count, out_axes):
    batches = jax.tree.map(lambda leaf: leaf[:count], batches)
    mesh, in_axes = parallel.device_mesh(count), (None, 0, None)
    ours = jax.jit(parallel.per_device(gradient_step, mesh, in_axes=in_axes, out_axes=out_axes))(
        weights, batches, 0.5
    )
    theirs = jax.pmap(
        gradient_step,
        axis_name=parallel.AXIS,
        in_axes=in_axes,
        out_axes=out_axes,
        devices=jax.devices()[:count],
    )(weights, batches, 0.5)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    shape = (3, 2) if out_axes is None else (count, 3, 2)
    assert ours["a"].shape == theirs["a"].shape == shape
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours, theirs)
    # The step moved the weights, and by the mean of what differs between devices.
    gradients = each_gradient(weights, batches, 0.5)["a"]
    assert np.ptp(gradients, axis=0).min() > 1e-3
    expected = weights["a"] - np.mean(gradients, axis=0)
    np.testing.assert_allclose(np.broadcast_to(expected, shape), ours["a"], rtol=1e-4, atol=1e-5)


def test_without_a_collective_each_device_answers_for_itself(weights, batches, mesh):
    in_axes = (None, 0, None)
    ours = jax.jit(parallel.per_device(local_loss, mesh, in_axes=in_axes, out_axes=0))(weights, batches, 0.5)
    theirs = jax.pmap(local_loss, axis_name=parallel.AXIS, in_axes=in_axes)(weights, batches, 0.5)
    assert len(np.unique(ours[0])) == DEVICES
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    np.testing.assert_array_equal(ours[1], theirs[1])


def test_every_in_axes_position_counts(mesh):
    """An argument that is mapped loses its device axis; one that is not arrives whole."""
    rows = np.arange(DEVICES * 2.0, dtype=np.float32).reshape(DEVICES, 2)

    def fn(mapped, whole):
        assert mapped.shape == (2,)
        assert whole.shape == (DEVICES, 2)
        return mapped + whole.sum(0)

    first = jax.jit(parallel.per_device(fn, mesh, in_axes=(0, None), out_axes=0))(rows, rows)
    flipped = parallel.per_device(lambda a, b: fn(b, a), mesh, in_axes=(None, 0), out_axes=0)
    np.testing.assert_array_equal(first, rows + rows.sum(0))
    np.testing.assert_array_equal(jax.jit(flipped)(rows, rows), rows + rows.sum(0))


@pytest.mark.parametrize("count", [None, *range(1, DEVICES + 1)])
def test_a_mesh_has_the_first_devices(count):
    mesh = parallel.device_mesh(count)
    assert mesh.axis_names == (parallel.AXIS,)
    assert list(mesh.devices) == jax.devices()[: count or DEVICES]


@pytest.mark.parametrize("count", [-1, 0, DEVICES + 1])
def test_a_mesh_of_devices_that_are_not_there_is_refused(count):
    with pytest.raises(InputError) as error:
        parallel.device_mesh(count)
    assert f"devices {count}: must be in [1, {DEVICES}]" in str(error.value)


def test_mean_and_index(mesh):
    values = np.array([1.0, 5.0, 2.0, 8.0], np.float32)

    def fn(value):
        return parallel.index(), parallel.mean({"value": value, "twice": 2 * value})

    place, means = jax.jit(parallel.per_device(fn, mesh, in_axes=(0,), out_axes=0))(values)
    assert place.dtype == jnp.int32
    np.testing.assert_array_equal(place, np.arange(DEVICES))
    np.testing.assert_allclose(means["value"], np.full(DEVICES, 4.0))
    np.testing.assert_allclose(means["twice"], np.full(DEVICES, 8.0))


def test_replicate_puts_the_whole_tree_on_every_device(mesh, weights):
    everywhere = parallel.replicate(weights, mesh)
    for name, leaf in everywhere.items():
        assert leaf.sharding.is_fully_replicated
        assert {shard.device for shard in leaf.addressable_shards} == set(jax.devices())
        for shard in leaf.addressable_shards:
            np.testing.assert_array_equal(shard.data, weights[name])


def test_replicate_on_some_devices_leaves_the_others_alone(weights):
    some = parallel.replicate(weights, parallel.device_mesh(2))
    for leaf in jax.tree.leaves(some):
        assert {shard.device for shard in leaf.addressable_shards} == set(jax.devices()[:2])


def test_from_local_is_split_where_there_is_one_process(mesh):
    rows = {"a": np.arange(DEVICES * 6).reshape(DEVICES, 2, 3)}
    assert parallel.local_places(mesh) == list(range(DEVICES))
    ours, theirs = parallel.from_local(rows, mesh)["a"], parallel.split(rows, mesh)["a"]
    assert ours.sharding == theirs.sharding
    for mine, other in zip(ours.addressable_shards, theirs.addressable_shards, strict=True):
        assert mine.device == other.device
        np.testing.assert_array_equal(mine.data, other.data)


def test_fetch_gives_the_whole_of_what_is_spread_over_devices(mesh):
    rows = jax.jit(parallel.per_device(lambda: parallel.index() * 2, mesh, in_axes=(), out_axes=0))
    spread = rows()
    assert not spread.is_fully_replicated
    found = parallel.fetch(spread)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, 2 * np.arange(DEVICES))
    np.testing.assert_array_equal(parallel.fetch(parallel.replicate(found, mesh)), found)


def test_a_process_alone_agrees_with_itself():
    def refuse():
        raise InputError("no")

    assert parallel.is_main()
    assert parallel.gather({"a": [1, 2.5]}) == [{"a": [1, 2.5]}]
    assert parallel.from_main(lambda: 3) == parallel.everywhere(lambda: 3) == 3
    parallel.same(lambda: pytest.fail("it was made"), "never said")
    for run in (parallel.from_main, parallel.everywhere):
        with pytest.raises(InputError, match=r"^no$"):
            run(refuse)
