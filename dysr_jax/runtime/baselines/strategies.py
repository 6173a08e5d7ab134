"""The servers by name, in the order of the tables."""

from typing import Final

from dysr_jax.runtime.baselines.ensemble import Ensemble
from dysr_jax.runtime.baselines.one_program import LaxSwitch
from dysr_jax.runtime.baselines.ours import Chained, Fused
from dysr_jax.runtime.baselines.reload import ReloadCached, ReloadCompiled
from dysr_jax.runtime.baselines.server import Server

_ALL: Final[tuple[type[Server], ...]] = (
    *(Fused, Chained),
    *(LaxSwitch, Ensemble, ReloadCached, ReloadCompiled),
)

STRATEGIES: Final = {kind.name: kind for kind in _ALL}
