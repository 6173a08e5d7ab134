"""One update of the one-shot training: which archs it draws, its loss and gradients; many in one dispatch.

Axes: G groups, B patches of a group, R random archs, P the side of an LR patch, s the scale.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from chex import Array, PRNGKey
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh

from dysr_jax import model, parallel
from dysr_jax.compiling import jit
from dysr_jax.data import CropPool, draw_batch, prepare, vary_batch
from dysr_jax.model import SearchSpace, Supernet
from dysr_jax.train.config import Sampling, TrainConfig
from dysr_jax.train.losses import group_loss, passages_design
from dysr_jax.train.passages import draw_passages
from dysr_jax.train.state import TrainState, Unravel, apply_gradients, to_pytrees, to_vectors


def sample_training_archs(key: PRNGKey, space: SearchSpace, count: int, how: Sampling) -> Array:
    """Archs for a training step, int32 `[count, genes]`. Traceable.

    Widths are drawn uniformly. `uniform` draws every branch on its own. The others draw how many body slots
    are active, from none to all; the rest takes its cheapest branch. In half of the archs all active slots
    take one branch, in the others each its own. `spread` activates any slots; `nested`, in half of the archs,
    the first ones, so that small archs are the beginnings of larger ones (as depth is in Once-for-All, Cai et
    al. 2020). The more slots are active, the likelier is a costly upsampler.
    """
    if how == "uniform":
        return model.sample_archs(key, space, (count,))
    keys = jax.random.split(key, 6)
    body = len(space.body)
    order = jnp.argsort(jax.random.uniform(keys[0], (count, body)), 1)
    if how == "nested":
        nested = jax.random.bernoulli(keys[1], 0.5, (count, 1))
        order = jnp.where(nested, jnp.arange(body), order)
    number = jax.random.randint(keys[2], (count, 1), 0, body + 1)
    active = order < number
    alike = jax.random.bernoulli(keys[3], 0.5, (count, 1))
    own = jax.random.uniform(keys[4], (count, body))
    share = jnp.where(alike, own[:, :1], own)
    # An active slot takes a branch other than its cheapest, if it has another.
    limits = jnp.asarray(model.gene_counts(space)[:body], jnp.int32)
    cheapest = jnp.asarray(model.smallest_arch(space)[:body], jnp.int32)
    step = 1 + jnp.floor(share * (limits - 1)).astype(jnp.int32)
    genes = jnp.where(active, (cheapest + step) % limits, cheapest)
    # The larger the share of active slots, the likelier a costly upsampler.
    chance = number / body + jax.random.uniform(keys[5], (count, 1))
    by_cost = jnp.argsort(jnp.asarray(model.branch_mult_adds(space, body)))
    place = jnp.floor(chance / 2 * len(by_cost)).astype(jnp.int32)
    last = by_cost[jnp.minimum(place, len(by_cost) - 1)].astype(jnp.int32)
    return _with_width(jax.random.fold_in(key, 1), space, jnp.concatenate([genes, last], 1))


def _with_width(key: PRNGKey, space: SearchSpace, genes: Array) -> Array:
    """Genes `[..., slots]` with a width drawn for each, if the space has several."""
    if len(space.widths) == 1:
        return genes
    width = jax.random.randint(key, (*genes.shape[:-1], 1), 0, len(space.widths), jnp.int32)
    return jnp.concatenate([genes, width], -1)


Costs = Callable[[Array], Array]
"""What archs cost, in any unit: int32 `[..., genes]` to `[...]`. Traceable."""
STRATA = 8  # runs of like cost from which the archs of a step are drawn

Metrics = dict[str, Array]
Batch = tuple[Array, Array]  # LR `[G, B, P, P, 3]` and HR `[G, B, s P, s P, 3]`


def draw_archs(
    key: PRNGKey, space: SearchSpace, groups: int, count: int, costs: Costs | None, how: Sampling = "uniform"
) -> Array:
    """The random archs of all groups of a step, int32 `[G, count, genes]`, of like cost across groups.

    A step ends when its slowest device does. So of `STRATA` times as many archs as are needed, sorted by
    `costs` (such as `dysr_jax.search.predict` of a table), a random run of neighbours is taken: at each step
    the groups see archs that take about as long, over many steps every arch as often.
    Without costs, or for a single group, each arch is drawn on its own.
    """
    if groups == 1 or costs is None:
        return sample_training_archs(key, space, groups * count, how).reshape(groups, count, -1)
    key_archs, key_stratum = jax.random.split(key)
    drawn = sample_training_archs(key_archs, space, count * STRATA * groups, how)
    drawn = drawn.reshape(count, STRATA * groups, -1)
    cost = costs(drawn)
    stratum = jax.random.randint(key_stratum, (count, 1), 0, STRATA)
    places = jnp.argsort(cost, 1).reshape(count, STRATA, groups)
    chosen = jnp.take_along_axis(places, stratum[:, :, None], 1)[:, 0]
    return jnp.take_along_axis(drawn, chosen[:, :, None], 1).swapaxes(0, 1)


def draw_groups(
    key: PRNGKey,
    data: CropPool | Batch,
    net: Supernet,
    config: TrainConfig,
    numbers: Array,
    *,
    groups: int,
    costs: Costs | None = None,
) -> tuple[Batch, Array]:
    """The batch of the groups with these numbers (int32 `[G]`, of `groups` in all), and their archs.

    Archs are int32 `[G, R, genes]`, or, where each patch has its own, `[G, archs, genes]` of
    `passages_design`, all of one width. A group's draw depends on its number and the key only, not on the
    device that trains it. `data` is what crops are cut from, or the groups' crops themselves, uint8.
    """
    key_data, key_archs, key_vary = jax.random.split(key, 3)
    fold = jax.vmap(jax.random.fold_in, (None, 0))
    if config.archs == "patch":
        design = passages_design(net.space, config)
        archs = jax.vmap(functools.partial(draw_passages, design=design))(fold(key_archs, numbers))
        each = jax.vmap(lambda key, genes: _with_width(key, net.space, genes))
        archs = each(fold(jax.random.fold_in(key_archs, groups), numbers), archs)
    else:
        archs = draw_archs(key_archs, net.space, groups, config.random_archs, costs, config.sampling)[numbers]
    keys = fold(key_data, numbers)
    if isinstance(data, CropPool):
        batch = jax.vmap(lambda key: draw_batch(key, data, config.batch))(keys)
    else:
        batch = jax.vmap(prepare)(keys, *data)
    options: Any = {name: getattr(config, name) for name in ("channel_shuffle", "color_jitter", "noise")}
    vary = jax.vmap(lambda key, lr, hr: vary_batch(key, lr, hr, **options))
    return vary(fold(key_vary, numbers), *batch), archs


def train_step(
    state: TrainState, batch: Batch, archs: Array, *, net: Supernet, config: TrainConfig, unravel: Unravel
) -> tuple[TrainState, Metrics]:
    """One pure update, inside a per-device function: gradients are averaged over groups and devices.

    The state is of vectors (`to_vectors`, which gives `unravel`), the same on all devices; batch and archs
    are of this device's groups, as `draw_groups` gives them. The metrics are scalars: the loss, the L1 of
    each kind of arch trained, the gradient's norm.
    """
    params = unravel(state.params)

    def group(inputs: tuple[Batch, Array]) -> Any:
        (lr, hr), own = inputs
        out, grads = jax.value_and_grad(group_loss, has_aux=True)(params, net, lr, hr, own, config)
        return out, ravel_pytree(grads)[0]

    (loss, metrics), grads = parallel.mean(_mean_over_groups(group, (batch, archs)))
    metrics = {"loss": loss, **metrics, "gradient_norm": optax.tree.norm(grads)}
    return apply_gradients(state, grads, config), metrics


def _mean_over_groups(fn: Callable[[Any], Any], inputs: Any) -> Any:
    """The mean of `fn` over the leading axis, one after the other: memory of one group."""
    count = jax.tree.leaves(inputs)[0].shape[0]
    first = jax.tree.map(lambda leaf: leaf[0], inputs)
    if count == 1:
        return fn(first)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(fn, first))

    def add(total: Any, group: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, fn(group)), None

    total, _ = lax.scan(add, zeros, inputs)
    return jax.tree.map(lambda leaf: leaf / count, total)


def make_train_chunk(
    net: Supernet, config: TrainConfig, mesh: Mesh, costs: Costs | None = None, *, streamed: bool = False
) -> Callable[[TrainState, Any, PRNGKey], tuple[TrainState, Metrics]]:
    """`chunk` updates as one jitted dispatch over the devices of the mesh; the state is donated.

    `costs` makes the archs of all groups of a step alike in cost (see `draw_archs`). The returned function
    takes the state, the pool (or, if `streamed`, the crops of all its steps, as `dysr_jax.data.GrainStream`
    makes them) and the key; it gives the new state and, for every metric, its `[chunk]` values.
    """
    groups = config.groups or mesh.devices.size
    each = groups // mesh.devices.size
    draw = functools.partial(draw_groups, groups=groups, costs=costs)

    def chunk(state: TrainState, data: Any, key: PRNGKey) -> tuple[TrainState, Metrics]:
        numbers = parallel.index() * each + jnp.arange(each)

        def body(state: TrainState, crops: Batch | None) -> tuple[TrainState, Metrics]:
            step_key = jax.random.fold_in(key, state.step)
            batch, archs = draw(step_key, crops or data, net, config, numbers)
            return train_step(state, batch, archs, net=net, config=config, unravel=unravel)

        vectors, unravel = to_vectors(state)
        vectors, metrics = lax.scan(body, vectors, data if streamed else None, length=config.chunk)
        return to_pytrees(vectors, unravel), metrics

    in_axes = (None, 0 if streamed else None, None)
    return jit(parallel.per_device(chunk, mesh, in_axes=in_axes, out_axes=None), donate_argnums=0)
