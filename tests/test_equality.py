"""What the package returns can be compared and be a key: no `==` and no `hash` of it raises."""

import dataclasses
import importlib
import inspect
import pkgutil

import jax.numpy as jnp
import numpy as np
import pytest

import dysr_jax

OPTIONAL = ("torch",)
"""Modules that need what may not be installed."""


def dataclasses_of_the_package():
    for module in pkgutil.walk_packages(dysr_jax.__path__, "dysr_jax."):
        if any(name in module.name for name in OPTIONAL):
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            own = inspect.isclass(kind) and kind.__module__ == module.name
            named = own and dataclasses.is_dataclass(kind) and not kind.__name__.startswith("_")
            if named and kind.__dataclass_params__.frozen:
                yield kind


KINDS = sorted(dataclasses_of_the_package(), key=lambda kind: (kind.__module__, kind.__qualname__))


def filled(kind):
    """An instance with arrays and dicts wherever a field's type allows them; it is not checked."""
    made = object.__new__(kind)
    for field in dataclasses.fields(kind):
        text = str(field.type)
        value = 1
        nested = "dict[str, dict" in text
        if any(name in text for name in ("Array", "ndarray", "Params")) or text == "typing.Any":
            value = jnp.arange(3.0) if "Array" in text else np.arange(3.0)
        elif "dict" in text or "Mapping" in text:
            value = {"a": 1.0}
        elif "list[" in text:
            value = [1.0]
        if nested:  # parameters
            value = {"slot00": {"conv": np.arange(3.0)}}
        object.__setattr__(made, field.name, value)
    return made


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_neither_equality_nor_hash_raises(kind):
    first, second = filled(kind), filled(kind)
    assert isinstance(first == second, bool)
    assert first == first
    assert {first: 1}[first] == 1
