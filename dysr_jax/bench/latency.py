"""The latency table of this device, and how well it predicts archs that it has not seen."""

from typing import NamedTuple

import jax

from dysr_jax.config import RunConfig, check
from dysr_jax.fields import require
from dysr_jax.model import init_params, make_supernet
from dysr_jax.search import Fidelity, LatencyTable, leave_one_out, measure_table


class LatencyProfile(NamedTuple):
    """A table, and how well it predicts."""

    table: LatencyTable
    fidelity: Fidelity


def profile(config: RunConfig, *, archs: int = 32) -> LatencyProfile:
    """Measure the latency table of a config's space, frame and precision on this device, and check it.

    The table is fitted to one probe per branch and to `archs` random archs. The check predicts each of these
    from a fit to all the others. An InputError where `archs` is under 2 or the space has no more.
    """
    require(archs >= 2, "archs", archs, "at least 2")
    space = check(config, devices=1)
    net, search = make_supernet(space, config.dtype, layers=config.layers), config.search
    params = jax.block_until_ready(init_params(jax.random.key(config.seed), space))
    table = measure_table(net, params, search.frame, search.rounds, drawn=archs, backend=config.backend)
    return LatencyProfile(table, leave_one_out(table, space))
