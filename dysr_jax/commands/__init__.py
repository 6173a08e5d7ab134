"""What `dysr COMMAND` can be told and does: a dataclass a command, whose fields are the options."""

from typing import Any, Final

from dysr_jax.commands.bench import (
    BenchCandidates,
    BenchData,
    BenchFront,
    BenchScaling,
    BenchSearch,
    BenchStep,
)
from dysr_jax.commands.bench_runtime import BenchFps, BenchSteady, BenchSwitch
from dysr_jax.commands.data import DataList, DataPrepare
from dysr_jax.commands.images import Eval, Upscale
from dysr_jax.commands.report import Report
from dysr_jax.commands.search import Profile, Search
from dysr_jax.commands.video import Stream

COMMANDS: Final[dict[str, Any]] = {
    "search": Search,
    "upscale": Upscale,
    "stream": Stream,
    "eval": Eval,
    "report": Report,
    "bench step": BenchStep,
    "bench candidates": BenchCandidates,
    "bench search": BenchSearch,
    "bench scaling": BenchScaling,
    "bench data": BenchData,
    "bench front": BenchFront,
    "bench fps": BenchFps,
    "bench switch": BenchSwitch,
    "bench steady": BenchSteady,
    "profile": Profile,
    "data prepare": DataPrepare,
    "data list": DataList,
}
