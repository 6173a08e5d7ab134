"""What a candidate is judged by: its objectives, and by how much it violates the constraints."""

import functools
import itertools
from collections.abc import Sequence

import numpy as np

from dysr_jax.errors import InputError
from dysr_jax.model import Arch, SearchSpace, arch_mult_adds, arch_parameters, smallest_arch
from dysr_jax.search.archive import Record
from dysr_jax.search.config import SearchConfig

_COSTS = {"params": arch_parameters, "mult_adds": arch_mult_adds}


@functools.cache
def _cost_table(space: SearchSpace, name: str) -> tuple[int, np.ndarray]:
    """Cost of the smallest arch and, `[slots, branches]`, what another branch of a slot adds to it."""
    cost, base = _COSTS[name], smallest_arch(space)
    least = cost(space, base)
    added = np.zeros((len(space.slots), max(map(len, space.slots))), np.int64)
    for slot, names in enumerate(space.slots):
        for index in range(len(names)):
            added[slot, index] = cost(space, (*base[:slot], index, *base[slot + 1 :])) - least
    return least, added


def arch_costs(space: SearchSpace, archs: Sequence[Arch], name: str) -> np.ndarray:
    """Weights (`params`) or `mult_adds` of many valid archs at once: int64 `[N]`, exact."""
    least, added = _cost_table(space, name)
    return least + added[np.arange(len(space.slots)), np.asarray(archs)].sum(1)


def objectives(space: SearchSpace, records: Sequence[Record], config: SearchConfig) -> np.ndarray:
    """float32 `[N, M]`, minimised, a column for each of `config.objectives`."""
    columns = []
    for name in config.objectives:
        if name == "psnr_y":
            columns.append(np.array([-record.psnr_y for record in records]))
        elif name == "latency_ms":
            columns.append(np.array([record.latency_ms for record in records]))
        else:
            columns.append(arch_costs(space, [record.arch for record in records], name))
    return np.stack(columns, 1).astype(np.float32)


def excesses(records: Sequence[Record], config: SearchConfig) -> dict[str, np.ndarray]:
    """By how much each constraint is violated, in parts of its bound: float64 `[N]`, 0 where it holds.

    The keys name the field and its value: `search.max_latency_ms 12.5`.
    """
    found = {}
    for name, sign in (("latency_ms", 1), ("psnr_y", -1)):
        field = f"max_{name}" if sign > 0 else f"min_{name}"
        bound = getattr(config, field)
        if bound is not None:
            values = np.array([getattr(record, name) for record in records])
            found[f"search.{field} {bound}"] = np.maximum(sign * (values - bound) / bound, 0.0)
    return found


def violation(records: Sequence[Record], config: SearchConfig) -> np.ndarray:
    """The sum of `excesses`: float32 `[N]`, 0 where all constraints hold."""
    total = sum(excesses(records, config).values(), np.zeros(len(records)))
    return total.astype(np.float32)


def judge(
    space: SearchSpace, records: Sequence[Record], config: SearchConfig
) -> tuple[np.ndarray, np.ndarray]:
    """`objectives` and `violation` of records, as NSGA-II's `tell` takes them."""
    return objectives(space, records, config), violation(records, config)


def feasible_records(records: Sequence[Record], config: SearchConfig) -> list[Record]:
    """The records that satisfy every constraint, in their order.

    Raises:
        InputError: none does; says how many each constraint excludes.
    """
    outside = {constraint: excess > 0 for constraint, excess in excesses(records, config).items()}
    excluded = np.any([np.zeros(len(records), bool), *outside.values()], 0)
    if records and excluded.all():
        counts = ", ".join(
            f"{constraint} excludes {np.sum(rows)} of {len(records)}" for constraint, rows in outside.items()
        )
        raise InputError(f"no evaluated arch satisfies the constraints: {counts}")
    return list(itertools.compress(records, ~excluded))
