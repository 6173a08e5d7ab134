"""Small images and a recipe for the scripts that train; the candidates, registered for a while."""

import dataclasses
import importlib
import json
import pathlib

import numpy as np
import pytest

from dysr_jax.config import SpaceConfig, to_dict
from dysr_jax.data.images.write import write_image
from dysr_jax.model.branches import BODY
from dysr_jax.model.upsamplers import UPSAMPLERS


@pytest.fixture(scope="module")
def training_options(tiny, tmp_path_factory) -> list[str]:
    """What a script is told to train in seconds."""
    place: pathlib.Path = tmp_path_factory.mktemp("material")
    rng = np.random.default_rng(0)
    for folder, count in (("train", 3), ("others", 2)):
        (place / folder).mkdir()
        for number in range(count):
            image = rng.integers(0, 256, (64, 72, 3), np.uint8)
            write_image(place / folder / f"{number}.png", image)
    recipe = dataclasses.replace(tiny.train, archs="patch", sampling="nested", steps=20, chunk=5)
    space = SpaceConfig(slots=1, widths=(4,), scale=2, branches=tiny.space.branches)  # compiles fast
    config = dataclasses.replace(tiny, train=recipe, space=space)
    (place / "config.json").write_text(json.dumps(to_dict(config)))
    images = [f"--source=folder:{place / 'train'}", f"--validation=folder:{place / 'others'}"]
    return [*images, "--config", str(place / "config.json"), "--steps", "20"]


@pytest.fixture(scope="module")
def candidates():
    """The module `branch_candidates`. What it registers is taken back: other tests take all that is there."""
    before = dict(BODY), dict(UPSAMPLERS)
    module = importlib.import_module("branch_candidates")
    module.register_candidates()
    yield module
    for registry, entries in zip((BODY, UPSAMPLERS), before, strict=True):
        for name in registry.keys() - entries:
            del registry[name]
