"""The configuration of a run: frozen dataclasses, presets, strict JSON."""

import dataclasses
import itertools
import json
import os
from typing import Any, Final, Literal

from etils import epath

from dysr_jax.aot import find_provider
from dysr_jax.atomic import is_remote
from dysr_jax.data import DataConfig
from dysr_jax.errors import InputError
from dysr_jax.fields import from_dict, normalise, require
from dysr_jax.model import XLA, SearchSpace, compute_dtype, layer_backend, uniform_space
from dysr_jax.search import SearchConfig, read_load
from dysr_jax.train import TrainConfig

MAX_COUNT: Final = 9999  # of slots and of channels: names of archs count slots in four digits

MAX_SEED: Final = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class SpaceConfig:
    """A space whose body slots all offer the same branches."""

    slots: int = 4
    """Body slots; the upsampler's slot comes on top."""
    widths: tuple[int, ...] = (16,)
    """Channels that the trunk of an arch may have, increasing; of several, each arch has its own."""
    scale: int = 4
    """Side of the output over side of the input: 2, 3 or 4."""
    branches: tuple[str, ...] = ("id", "s3", "s5", "c3", "c5", "r1", "r2", "a1", "a2")
    """Branches that each body slot offers."""
    upsamplers: tuple[str, ...] = ("u1", "u2")
    """Branches that the upsampler's slot offers."""

    def __post_init__(self) -> None:
        normalise(self, "space.")

    def build(self) -> SearchSpace:
        """The space; an InputError names the field, its value and what it must be."""
        if not 1 <= self.slots <= MAX_COUNT:
            raise InputError(f"space.slots {self.slots}: must be in [1, {MAX_COUNT}]")
        widths = self.widths
        if not widths or not all(a < b for a, b in itertools.pairwise((0, *widths, MAX_COUNT + 1))):
            raise InputError(f"space.widths {widths}: must be increasing integers in [1, {MAX_COUNT}]")
        return uniform_space(**vars(self))


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that determines a run, besides the device."""

    space: SpaceConfig = SpaceConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    search: SearchConfig = SearchConfig()
    weights: str | None = None
    """`supernet.safetensors` of another run of this space, to search without training."""
    from_run: str | None = None
    """Run whose config, weights and archive a search begins with: what is known is not evaluated again.
    `dysr search --from` for short."""
    seed: int = 0
    """Seed of all randomness."""
    devices: int | None = None
    """Devices to use; default: all."""
    layers: str = XLA
    """Registered layer backend that computes the convolutions."""
    backend: str = "auto"
    """Where members will run, so where latencies are measured: auto (XLA), or onnxruntime[:PROVIDER]."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Compute dtype; `auto` is bfloat16 on accelerators and float32 on a CPU."""

    def __post_init__(self) -> None:
        normalise(self)


_LARGE_SEARCH = SearchConfig(
    population=512, generations=50, patches=64, patch=32, frame=(270, 480), latency_archs=32, members=12
)

_SIZES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5)

PRESETS: dict[str, RunConfig] = {
    "quickstart": RunConfig(train=TrainConfig(steps=800, learning_rate=3e-3)),
    "base": RunConfig(
        space=SpaceConfig(slots=19, widths=(16, 24, 32, 48, 64), branches=("id", "bq", "rq", "rh", "r1")),
        data=DataConfig(patch=24, small="skip", rescale=_SIZES),
        train=TrainConfig(
            steps=30_000,
            batch=192,
            archs="patch",
            random_archs=1,
            sampling="nested",
            sandwich_share=0.25,
            distill=0.0,
            channel_shuffle=True,
            color_jitter=0.5,
            noise=0.5,
            weight_decay=0.5,
            learning_rate=1e-3,
            warmup=500,
            clip=0.1,
            ema=0.999,
            chunk=100,
            checkpoint_chunks=100,
        ),
        search=_LARGE_SEARCH,
    ),
    "full": RunConfig(
        space=SpaceConfig(slots=16, widths=(64,)),
        data=DataConfig(patch=32, small="skip"),
        train=TrainConfig(
            steps=12_000,
            batch=32,
            random_archs=2,
            learning_rate=1e-3,
            warmup=500,
            ema=0.999,
            chunk=100,
            checkpoint_chunks=20,
        ),
        search=_LARGE_SEARCH,
    ),
}
"""`quickstart` is made for two CPU cores and three minutes; `base` for an accelerator, the space of the
weights that come with the package; `full` offers nine kinds of branch in every slot."""


def check(config: RunConfig, devices: int) -> SearchSpace:
    """The config's space, after every field that can be checked without data; `devices` share a step.

    An InputError names the field, its value and what it must be.
    """
    if not 0 <= config.seed <= MAX_SEED:
        raise InputError(f"seed {config.seed}: must be in [0, {MAX_SEED}]")
    space = config.space.build()
    given = config.from_run is None or config.weights is not None
    require(given, "weights", config.weights, "those of the run, as config_from_run names them")
    config.train.check_devices(devices)
    config.search.check_space(space)
    if config.search.for_load is not None:
        read_load(config.search.for_load)
    layer_backend(config.layers)
    if find_provider(config.backend) is not None:
        other = "in ONNX Runtime (backend)"
        require(config.layers == XLA, "layers", config.layers, f"{XLA} {other}")
        require(compute_dtype(config.dtype) == "float32", "dtype", config.dtype, f"float32 {other}")
    return space


def with_groups(config: RunConfig, devices: int) -> RunConfig:
    """The config with the number of groups of a training step written out, since it decides what is trained.

    A run begun on four devices does not go on with one, unless `train.groups` says so.
    """
    train = dataclasses.replace(config.train, groups=config.train.groups or devices)
    return dataclasses.replace(config, train=train)


def load_config(name: epath.PathLike, *, trained: bool = False) -> RunConfig:
    """A preset by name, or a `.json` file as a run writes it; the file may lie in a bucket (`gs://`).

    With `trained` the run of the config is over, so options that are gone do not matter. No such preset or
    file, an unknown key, a value of another type, or an option that is gone, is an InputError.
    """
    if isinstance(name, str) and name in PRESETS:
        return PRESETS[name]
    path = os.fspath(name) if isinstance(name, (str, os.PathLike)) else ""
    if not path.endswith(".json"):
        raise InputError(f"config {name!r}: must be {', '.join(PRESETS)} or a .json file")
    try:
        return config_from_json(json.loads(_read(path)), path, trained=trained)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"config {path!r} is not JSON: {error}") from None


def _read(path: str) -> str:
    try:
        return epath.Path(path).read_text(encoding="utf-8")
    except Exception as error:  # whatever a store raises
        if isinstance(error, ValueError) or not (is_remote(path) or isinstance(error, OSError)):
            raise
        raise InputError(f"config {path!r}: the file cannot be read") from None


FORMAT_VERSION: Final = 3
"""Of config.json. Version 1 has no number in the file: 0 and "" mean "not given" in it. Versions 1 and 2 have
one `space.width`."""

_RENAMED: Final = {
    "train.colours": "channel_shuffle",
    "train.tones": "color_jitter",
    "search.sharing": "switch_cost_weight",
}
_GONE: Final[dict[str, Any]] = {
    "train.loss": "l1",
    "train.schedule": "cosine",
    "train.frequency": 0.0,
    "train.mix": 0.0,
    "train.largest_steps": 0,
}
"""Options that brought nothing, with the one value that is left of each."""

_NOT_GIVEN: Final[dict[str, Any]] = {
    **dict.fromkeys(("weights", "data.validation", "data.directory", "search.latency"), ""),
    **dict.fromkeys(("devices", "train.groups"), 0),
    **dict.fromkeys(("search.mutation", "search.max_latency_ms", "search.min_psnr_y"), 0.0),
}


def config_from_json(fields: Any, where: str, *, trained: bool = False) -> RunConfig:
    """A config from the content of a `config.json`, of this version or an older one; `where` names the file.

    An unknown key, a value of another type or a newer format is an InputError; so is an option that is gone
    and was used, unless the run is over (`trained`).
    """
    if isinstance(fields, dict):
        fields = dict(fields)
        version = fields.pop("format_version", 1)
        if version not in range(1, FORMAT_VERSION + 1):
            raise InputError(f"{where}: format_version {version!r}: must be in [1, {FORMAT_VERSION}]")
        if version == 1:
            fields = _updated(fields, where, trained)
        space = fields.get("space")
        if version < 3 and isinstance(space, dict) and "width" in space:
            rest = {name: value for name, value in space.items() if name != "width"}
            fields["space"] = {**rest, "widths": [space["width"]]}
    return from_dict(RunConfig, fields, where)


def _updated(fields: dict[str, Any], where: str, trained: bool, prefix: str = "") -> dict[str, Any]:
    """The fields of version 1 as later ones name and mean them."""
    found: dict[str, Any] = {}
    for key, value in fields.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and not prefix:
            found[key] = _updated(value, where, trained, f"{name}.")
        elif name in _GONE:
            if value != _GONE[name] and not trained:
                raise InputError(f"{where}: {name} {value!r}: this version trains with {_GONE[name]!r} only")
        elif name in _NOT_GIVEN and value == _NOT_GIVEN[name]:
            found[key] = None
        else:
            found[_RENAMED.get(name, key)] = value
    return found


def to_dict(config: RunConfig) -> dict[str, Any]:
    """The content of `config.json`: tuples become lists."""
    return {"format_version": FORMAT_VERSION, **json.loads(json.dumps(dataclasses.asdict(config)))}
