"""The latency table of this device, and how well it predicts archs that it has not seen."""

from typing import NamedTuple

import jax

from dysr_jax.config import RunConfig, check
from dysr_jax.errors import InputError
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.supernet import init_params
from dysr_jax.search.latency import LatencyTable
from dysr_jax.search.probing import Fidelity, check_table, measure_table, probes
from dysr_jax.space import size


class Profile(NamedTuple):
    """A table, and its check against executables."""

    table: LatencyTable
    fidelity: Fidelity


def profile(config: RunConfig, *, archs: int = 30) -> Profile:
    """Measure the latency table of a config's space, frame and precision on this device, and check it.

    The table is fitted to one probe a branch and to `search.latency_archs` random archs, or to as many as
    the check has where that is 0; half of a space that is too small is left to the check.

    Args:
        config: its space, dtype, `search.frame`, `search.rounds` and `search.latency_archs` count.
        archs: random archs that the table is checked with.

    Raises:
        InputError: see `check`; `archs` under 2, or a space with fewer than two archs to check with.
    """
    if archs < 2:
        raise InputError(f"archs {archs}: allowed is 2 or more")
    space = check(config, devices=1)
    net, search = make_supernet(space, config.dtype), config.search
    fresh = size(space) - len(probes(space))
    if fresh < 2:
        raise InputError(f"the space has too few archs to check a table with: {size(space)}")
    params = jax.block_until_ready(init_params(jax.random.key(config.seed), space))
    drawn = min(search.latency_archs or archs, fresh // 2)
    table = measure_table(net, params, search.frame, search.rounds, drawn=drawn)
    return Profile(table, check_table(table, net, params, archs=archs, rounds=search.rounds))
