# ruff: noqa: N806 (axes stand in names)
"""A population's quality, in a dispatch or a few, spread over the devices."""

from typing import Any

import jax
import numpy as np
from chex import Array
from jax.sharding import Mesh

from dysr_jax import parallel
from dysr_jax.compiling import jit
from dysr_jax.device import memory_bytes
from dysr_jax.metrics import PEAK, PSNR_CAP_DB
from dysr_jax.model import Params, Supernet
from dysr_jax.search.population import Patches, best_tile, population_program, row_bytes
from dysr_jax.search.schedule import Plan, Schedule, make_schedule, mult_add_costs, partition

MEMORY_SHARE = 0.25  # part of a device's memory that activations of candidates may take


class Evaluator:
    """`(params, genes [N, slots]) -> PSNR-Y [N]` in dB, by the search program.

    A population is partitioned over the devices and computed as a schedule of tiles
    (`dysr_jax.search.schedule`): what archs share is computed once, and archs that take the same branch in a
    slot go through it together. PSNR-Y is the reported metric, on uint8 output: a photograph's is that of its
    patches' mean squared error, and photographs are averaged.
    """

    def __init__(
        self,
        net: Supernet,
        patches: Patches,
        mesh: Mesh,
        *,
        tile: int | None = None,
        costs: np.ndarray | None = None,
    ) -> None:
        """Hold patches on every device of a mesh.

        `tile` is the number of candidates that go through a branch together (None: see `best_tile`), `costs`
        `[slots, branches]` a branch's time, by which work is partitioned (None: multiply-adds). Neither
        changes a result.
        """
        self._net, self._mesh, self._tile = net, mesh, tile
        self._patches = parallel.replicate(patches, mesh)
        self._images = np.asarray(patches.image)
        self._costs = mult_add_costs(net.space) if costs is None else costs
        # Processes whose devices hold different amounts still have to run the same program.
        self._memory = int(MEMORY_SHARE * min(parallel.gather(memory_bytes())))
        self._executables: dict[Plan, Any] = {}

    def plan(self, population: int) -> Plan:
        """Shapes of the work on one device for this many candidates, as memory allows."""
        devices, space = self._mesh.devices.size, self._net.space
        share = -(-population // devices)
        slack = share if devices == 1 else share + share // 8 + 1
        most = max(1, self._memory // (2 * row_bytes(self._net, self._patches)))
        size = min(slack, population, most)
        return Plan(space, size, min(self._tile or best_tile(space, size, self._patches), size))

    def prepare(self, params: Params, genes: Array) -> None:
        """Compile for as many candidates as `genes` has, once; nothing is evaluated."""
        self._executable(params, self.plan(len(genes)))

    def _executable(self, params: Params, plan: Plan) -> Any:
        if plan not in self._executables:
            program = population_program(self._net, plan)
            mapped = parallel.per_device(program, self._mesh, in_axes=(None, 0, None), out_axes=0)
            lowered = jit(mapped).lower(params, self._schedules(plan, []), self._patches)
            self._executables[plan] = lowered.compile()
        return self._executables[plan]

    def _schedules(self, plan: Plan, shards: list[np.ndarray]) -> Schedule:
        """One schedule per device, stacked; a device without candidates gets an empty one."""
        empty = np.zeros((0, len(plan.space.slots)), np.int32)
        shards = shards + [empty] * (self._mesh.devices.size - len(shards))
        each = [make_schedule(plan, genes) for genes in shards]
        return parallel.split(jax.tree.map(lambda *leaves: np.stack(leaves), *each), self._mesh)

    def __call__(self, params: Params, genes: Array) -> np.ndarray:
        """Evaluate int32 `[N, slots]`, by `params` on every device; more than any prepared number compile."""
        genes, devices = np.asarray(genes), self._mesh.devices.size
        fitting = [plan for plan in self._executables if devices * plan.population >= len(genes)]
        plan = min(fitting, key=lambda plan: plan.population, default=self.plan(len(genes)))
        executable = self._executable(params, plan)
        order = np.lexsort(genes.T[::-1])
        errors_NxP = np.empty((len(genes), len(self._images)), np.float32)
        for block in np.array_split(order, -(-len(genes) // (devices * plan.population))):
            shards = [block[s] for s in partition(self._costs, genes[block], devices, plan.population)]
            schedules = self._schedules(plan, [genes[shard] for shard in shards])
            found = parallel.fetch(executable(params, schedules, self._patches))
            for shard, values in zip(shards, found, strict=True):
                errors_NxP[shard] = values[: len(shard)]
        # From the mean squared error of each patch to dB.
        photographs = [errors_NxP[:, self._images == i].mean(1) for i in np.unique(self._images)]
        with np.errstate(divide="ignore"):
            each = 10.0 * np.log10(PEAK**2 / np.stack(photographs))
        return np.mean(np.minimum(each, PSNR_CAP_DB), 0)
