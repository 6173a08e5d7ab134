"""The training's config: what it refuses."""

import dataclasses
import re

import pytest

from dysr_jax.errors import InputError
from dysr_jax.train.config import TrainConfig

CONFIG = TrainConfig(steps=12, batch=2, chunk=3, warmup=1, checkpoint_chunks=1)


@pytest.mark.parametrize(
    ("field", "value", "needed"),
    [
        ("steps", 0, "at least 1"),
        ("steps", 7, "a multiple of train.chunk (3)"),
        ("batch", 0, "at least 1"),
        ("random_archs", 0, "at least 1"),
        ("groups", 3, "a multiple of the 2 devices"),
        ("distill", 1.5, "in [0, 1]"),
        ("sandwich_share", 0.0, "in (0, 1]"),
        ("sandwich_share", 0.5, "1 with `archs` group or with `distill`"),
        ("color_jitter", -0.1, "in [0, 1]"),
        ("weight_decay", -1.0, "finite and at least 0"),
        ("noise", float("inf"), "finite and at least 0"),
        ("warmup", -1, "at least 0"),
        ("clip", 0.0, "finite and above 0"),
        ("learning_rate", float("nan"), "finite and above 0"),
        ("ema", -0.1, "in [0, 1]"),
    ],
)
def test_a_wrong_field_is_named_with_what_it_must_be(field, value, needed):
    message = re.escape(f"train.{field} must be {needed}, got {value}")
    with pytest.raises(InputError, match=f"^{message}$"):
        dataclasses.replace(CONFIG, **{field: value}).check_devices(2)
