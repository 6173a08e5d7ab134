"""The rows of `bench step` and `bench candidates`: an arch by the search program and by its static one."""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from dysr_jax.model.supernet import Supernet
from dysr_jax.space import size


class Row(NamedTuple):
    """Medians of one arch."""

    arch: str
    search_ms: float
    static_ms: float

    @property
    def ratio(self) -> float:
        """Time of the search program over that of the static program."""
        return self.search_ms / self.static_ms

    def to_json(self) -> dict[str, Any]:
        """With the ratio."""
        return {**self._asdict(), "ratio": self.ratio}


def median_ratio(rows: Sequence[Row]) -> float:
    """The ratios' median."""
    return statistics.median(row.ratio for row in rows)


def describe_space(net: Supernet) -> str:
    """One line."""
    space = net.space
    return f"{len(space.body)} slots, width {space.width}, x{space.scale}, {size(space):.3g} archs"
