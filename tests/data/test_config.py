"""Options of the data: what is not given, and what is refused by the name of its field."""

import pytest

from dysr_jax.data.config import DataConfig
from dysr_jax.errors import InputError


def test_empty_text_means_not_given():
    assert DataConfig(validation="", directory="") == DataConfig()
    assert DataConfig().validation is None


@pytest.mark.parametrize(
    ("field", "value", "must"),
    [
        ("patch", 0, "at least 1"),
        ("rescale", (0.5, 1.0), "in (0, 1)"),
        ("pool_share", 0.0, "in (0, 1]"),
        ("pool_share", float("nan"), "in (0, 1]"),
        ("crops_per_image", 0, "at least 1"),
        ("workers", -1, "at least 0"),
    ],
)
def test_values_that_cannot_be_are_refused(field, value, must):
    with pytest.raises(InputError) as error:
        DataConfig(**{field: value})
    shown = value[-1] if isinstance(value, tuple) else value
    assert str(error.value) == f"data.{field} {shown}: must be {must}"


@pytest.mark.parametrize(("field", "value"), [("small", "maybe"), ("validation", 1), ("workers", None)])
def test_values_of_another_type_are_refused(field, value):
    with pytest.raises(InputError, match=rf"data\.{field}: "):
        DataConfig(**{field: value})
