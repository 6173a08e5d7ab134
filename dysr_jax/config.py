"""The configuration of a run: frozen dataclasses, presets, strict JSON."""

import dataclasses
import json
import os
from typing import Any, Final, Literal

from etils import epath

from dysr_jax.atomic import is_remote
from dysr_jax.data import DataConfig, check_pipeline
from dysr_jax.errors import InputError
from dysr_jax.fields import from_dict, normalise
from dysr_jax.model import XLA, SearchSpace, layer_backend, uniform_space
from dysr_jax.search import SearchConfig
from dysr_jax.train import TrainConfig

MOST: Final = 9999
"""Slots and channels: names of archs count slots in four digits."""


@dataclasses.dataclass(frozen=True)
class SpaceConfig:
    """A space whose body slots all offer the same branches."""

    slots: int = 4
    """Body slots; the upsampler's comes on top."""
    width: int = 16
    """Channels of the trunk."""
    scale: int = 4
    """Side of the output over side of the input: 2, 3 or 4."""
    branches: tuple[str, ...] = ("id", "s3", "s5", "c3", "c5", "r1", "r2", "a1", "a2")
    """Branches of each body slot."""
    upsamplers: tuple[str, ...] = ("u1", "u2")
    """Branches of the upsampler's slot."""

    def __post_init__(self) -> None:
        normalise(self, "space.")

    def build(self) -> SearchSpace:
        """The space.

        Raises:
            InputError: names what cannot be.
        """
        for name, value in (("slots", self.slots), ("width", self.width)):
            if not 1 <= value <= MOST:
                raise InputError(f"space.{name} {value}: allowed is 1 to {MOST}")
        return uniform_space(
            slots=self.slots,
            width=self.width,
            scale=self.scale,
            branches=self.branches,
            upsamplers=self.upsamplers,
        )


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that determines a run, beside the device."""

    space: SpaceConfig = SpaceConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    search: SearchConfig = SearchConfig()
    weights: str = ""
    """`supernet.safetensors` of another run of this space: it is searched as it is, on this device, and
    nothing is trained."""
    seed: int = 0
    """All randomness comes from it."""
    devices: int = 0
    """Devices to use, 0 for all."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Compute dtype; `auto` is bfloat16 on accelerators and float32 on the CPU."""
    layers: str = XLA
    """The registered layer backend that computes convolutions while the run trains, searches and measures."""

    def __post_init__(self) -> None:
        normalise(self)


_LARGE_SEARCH = SearchConfig(
    population=512, generations=50, patches=64, patch=32, frame=(270, 480), latency_archs=32, members=12
)

PRESETS: dict[str, RunConfig] = {
    "quickstart": RunConfig(train=TrainConfig(steps=800, learning_rate=3e-3)),
    "base": RunConfig(
        space=SpaceConfig(slots=19, width=64, branches=("id", "bq", "rq", "rh", "r1")),
        data=DataConfig(
            patch=24, small="skip", rescale=(0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5)
        ),
        train=TrainConfig(
            steps=30_000,
            batch=192,
            archs="patch",
            random_archs=1,
            sampling="nested",
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
        space=SpaceConfig(slots=16, width=64),
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


MAX_SEED = 2**32 - 1


def check(config: RunConfig, devices: int) -> SearchSpace:
    """The config's space, after every field that can be checked without data was.

    Args:
        config: of a run.
        devices: how many share the groups of a training step.

    Raises:
        InputError: names the field, its value and what is allowed.
    """
    if not 0 <= config.seed <= MAX_SEED:
        raise InputError(f"seed {config.seed}: allowed is 0 to {MAX_SEED}")
    space = config.space.build()
    check_pipeline(config.data)
    config.train.check_devices(devices)
    config.search.check_space(space)
    layer_backend(config.layers)
    return space


def with_groups(config: RunConfig, devices: int) -> RunConfig:
    """The config with the number of groups of a training step written out.

    It decides what is trained, so a run that was begun on four devices does not go on on one unless
    `train.groups` says so.
    """
    train = dataclasses.replace(config.train, groups=config.train.groups or devices)
    return dataclasses.replace(config, train=train)


def load_config(name: epath.PathLike) -> RunConfig:
    """A preset by name, or a `.json` file as a run writes it; the file may lie in a bucket (`gs://`).

    Raises:
        InputError: no such preset or file, or a file with an unknown key or a value of another type.
    """
    if isinstance(name, str) and name in PRESETS:
        return PRESETS[name]
    allowed = f"{', '.join(PRESETS)} or a .json file"
    if not isinstance(name, (str, os.PathLike)):
        raise InputError(f"config {name!r}: allowed are {allowed}")
    path = os.fspath(name)
    if not path.endswith(".json"):
        raise InputError(f"config {path!r}: allowed are {allowed}")
    try:
        fields = json.loads(_read(path))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"config {path!r} is not JSON: {error}") from None
    return from_dict(RunConfig, fields, path)


def _read(path: str) -> str:
    try:
        return epath.Path(path).read_text(encoding="utf-8")
    except ValueError:
        raise
    except Exception as error:  # whatever a store raises
        if not is_remote(path) and not isinstance(error, OSError):
            raise
        raise InputError(f"config {path!r}: the file cannot be read") from None


def to_dict(config: RunConfig) -> dict[str, Any]:
    """As JSON holds it: tuples become lists."""
    return json.loads(json.dumps(dataclasses.asdict(config)))
