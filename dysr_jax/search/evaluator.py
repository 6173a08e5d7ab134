# ruff: noqa: N806 (axes stand in names)
"""A population's quality, in a dispatch or a few per width, spread over the devices."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from chex import Array
from jax.sharding import Mesh

from dysr_jax import parallel
from dysr_jax.compiling import jit
from dysr_jax.device import memory_bytes
from dysr_jax.metrics import PEAK, PSNR_CAP_DB
from dysr_jax.model import Params, Supernet, at_width, rows_by_width
from dysr_jax.search.clock import Clock
from dysr_jax.search.population import Patches, best_tile, population_program, row_bytes
from dysr_jax.search.schedule import Plan, Schedule, make_schedule, mult_add_costs, partition
from dysr_jax.threads import in_threads

MEMORY_SHARE = 0.25  # part of a device's memory that activations of candidates may take


class Evaluator:
    """`(params, genes [N, genes]) -> PSNR-Y [N]` in dB, by the search program.

    The archs of a width are a population of their own, with an executable of their own. It is partitioned
    over the devices and computed as a schedule of tiles (`dysr_jax.search.schedule`): what archs share is
    computed once, and archs that take the same branch in a slot go through it together. PSNR-Y is the
    reported metric, on uint8 output: a photograph's is that of its patches' mean squared error, and
    photographs are averaged.
    """

    def __init__(
        self,
        net: Supernet,
        patches: Patches,
        mesh: Mesh,
        *,
        tile: int | None = None,
        costs: Callable[[int], np.ndarray] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Hold patches on every device of a mesh.

        `tile` is the number of candidates that go through a branch together (None: see `best_tile`); `costs`
        gives a width's `[slots, branches]`, a branch's time, by which work is partitioned (None:
        multiply-adds). Neither changes a result. `clock` is told what is compiled, scheduled and evaluated.
        """
        self._net, self._mesh, self._tile = net, mesh, tile
        self._patches = parallel.replicate(patches, mesh)
        self._images = np.asarray(patches.image)
        self._costs = costs or functools.partial(mult_add_costs, net.space)
        # Processes whose devices hold different amounts still have to run the same program.
        self._memory = int(MEMORY_SHARE * min(parallel.gather(memory_bytes())))
        self._executables: dict[Plan, Any] = {}
        self._clock = clock or Clock()

    def plan(self, width: int, population: int) -> Plan:
        """Shapes of the work on one device for the archs of a width in a population of this many in all.

        There is room for as many as a device has of a width on the average, and some more, as memory allows;
        a width that has more is computed in blocks. So nothing is compiled where its number changes from one
        population to the next.
        """
        shards = self._shards
        share = -(-population // shards)
        spare = share // (8 if len(self._net.space.widths) == 1 else 2)  # widths differ by more than devices
        slack = share if shards == 1 else share + spare + 1
        most = max(1, self._memory // (2 * row_bytes(self._net, self._patches, width)))
        space, size = at_width(self._net.space, width), min(slack, population, most)
        return Plan(space, size, min(self._tile or best_tile(space, size, self._patches), size))

    @property
    def _shards(self) -> int:
        """Parts of a population that are computed apart."""
        return self._mesh.devices.size * len(self._net.space.widths)

    def _prepared(self, width: int, population: int) -> Plan:
        """The smallest plan that has an executable and room for so many, else a new one."""
        space = at_width(self._net.space, width)
        plans = [plan for plan in self._executables if plan.space == space]
        fitting = [plan for plan in plans if self._shards * plan.population >= population]
        return min(fitting, key=lambda plan: plan.population, default=self.plan(width, population))

    def prepare(self, params: Params, genes: Array) -> None:
        """Compile for the widths of `genes` and as many candidates as it has, once; nothing is evaluated."""
        self._compile(params, [self.plan(w, len(genes)) for w in self._by_width(genes)])

    def _by_width(self, genes: Array) -> dict[int, np.ndarray]:
        return rows_by_width(self._net.space, np.asarray(genes))

    def _compile(self, params: Params, plans: list[Plan]) -> None:
        """Those that have no executable, in threads."""

        def compiled(plan: Plan) -> Any:
            program = population_program(self._net, plan)
            mapped = parallel.per_device(program, self._mesh, in_axes=(None, 0, None), out_axes=0)
            return jit(mapped).lower(params, self._schedules(plan, []), self._patches).compile()

        new = [plan for plan in plans if plan not in self._executables]
        if new:
            with self._clock.part("compile"):
                self._executables |= zip(new, in_threads(compiled, new), strict=True)

    def _schedules(self, plan: Plan, shards: list[np.ndarray]) -> Schedule:
        """One schedule per device, stacked; a device without candidates gets an empty one."""
        empty = np.zeros((0, len(plan.space.slots)), np.int32)
        shards = shards + [empty] * (self._mesh.devices.size - len(shards))
        each = [make_schedule(plan, genes) for genes in shards]
        return parallel.split(jax.tree.map(lambda *leaves: np.stack(leaves), *each), self._mesh)

    def _blocks(self, genes: np.ndarray) -> Iterator[tuple[Plan, list[np.ndarray]]]:
        """Each dispatch: its plan, and which rows of `[N, genes]` each device computes."""
        devices, slots = self._mesh.devices.size, len(self._net.space.slots)
        for width, rows in self._by_width(genes).items():
            plan, costs = self._prepared(width, len(genes)), self._costs(width)
            own = genes[rows, :slots]
            order = np.lexsort(own.T[::-1])
            for block in np.array_split(order, -(-len(own) // (devices * plan.population))):
                shards = partition(costs, own[block], devices, plan.population)
                yield plan, [rows[block[shard]] for shard in shards]

    def __call__(self, params: Params, genes: Array) -> np.ndarray:
        """Evaluate int32 `[N, genes]`, by `params` on every device; more than any prepared number compile."""
        genes, slots = np.asarray(genes), len(self._net.space.slots)
        self._compile(params, [self._prepared(width, len(genes)) for width in self._by_width(genes)])
        errors_NxP = np.empty((len(genes), len(self._images)), np.float32)

        def keep(found: Array, shards: list[np.ndarray]) -> None:
            for shard, values in zip(shards, parallel.fetch(found), strict=True):
                errors_NxP[shard] = values[: len(shard)]

        running: tuple[Array, list[np.ndarray]] | None = None
        with self._clock.part("schedule"):
            for plan, shards in self._blocks(genes):
                # The host schedules while the devices compute the block before.
                schedules = self._schedules(plan, [genes[shard, :slots] for shard in shards])
                with self._clock.part("evaluate"):
                    if running:
                        keep(*running)
                    running = self._executables[plan](params, schedules, self._patches), shards
        with self._clock.part("evaluate"):
            if running:
                keep(*running)
        # From the mean squared error of each patch to dB.
        photographs = [errors_NxP[:, self._images == i].mean(1) for i in np.unique(self._images)]
        with np.errstate(divide="ignore"):
            each = 10.0 * np.log10(PEAK**2 / np.stack(photographs))
        return np.mean(np.minimum(each, PSNR_CAP_DB), 0)
