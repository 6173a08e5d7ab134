"""Where the time of a whole search goes, from the latency table to the measured members."""

import tempfile

import jax
from etils import epath

from dysr_jax import parallel, search
from dysr_jax.bench.setup import Setup
from dysr_jax.config import RunConfig
from dysr_jax.model import Params
from dysr_jax.search import SearchTimes, grid_patches


def whole_search(config: RunConfig, setup: Setup, params: Params) -> SearchTimes | None:
    """Search on one device with these weights, in a folder that goes; the latency table may be known.

    Raises InputError: a space that is too small, or constraints that no candidate satisfies.
    """
    net, recipe = setup.net, config.search
    patches = grid_patches(setup.validation, recipe.patches, recipe.patch)
    key, mesh, backend = jax.random.key(config.seed), parallel.device_mesh(1), config.backend
    with tempfile.TemporaryDirectory() as folder:
        with search.timed_stage(folder, search.BEFORE, "latency"):
            table, _ = search.device_table(
                net, params, recipe.frame, recipe.rounds, drawn=recipe.latency_archs, backend=backend
            )
        archive = search.search(key, net, params, patches, table, recipe, mesh, folder)
        records = list(archive.records.values())
        with search.timed_stage(folder, search.AFTER, "members"):
            archs = search.choose_members(net.space, records, recipe)
            search.measure_members(net, params, archs, setup.validation, recipe, backend=backend)
        laps = search.Laps(epath.Path(folder) / search.CLOCK_FILE, write=False)
    return search.search_times(laps.by_stage.values(), records)
