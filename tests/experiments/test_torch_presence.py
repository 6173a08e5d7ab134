"""PyTorch runs on JAX's device or not at all."""

import importlib.util
import sys
import types

import jax
import pytest
from baselines.torch_presence import without_torch


@pytest.mark.parametrize(
    ("backend", "cuda", "expected"),
    [("cpu", False, ""), ("gpu", True, ""), ("gpu", False, "no gpu"), ("tpu", False, "no tpu")],
)
def test_pytorch_runs_on_jax_s_device_or_not_at_all(monkeypatch, backend, cuda, expected):
    torch = types.SimpleNamespace(cuda=types.SimpleNamespace(is_available=lambda: cuda))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert without_torch().endswith(expected)
    assert bool(without_torch()) == bool(expected)


def test_pytorch_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert without_torch() == "left out: torch is not installed"
