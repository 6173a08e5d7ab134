"""Whether PyTorch can be measured here. It is imported only to ask."""

import importlib.util

import jax


def torch_device() -> str | None:
    """Where PyTorch would run on the device that JAX runs on; None where it cannot."""
    import torch

    if jax.default_backend() == "gpu":
        return "cuda" if torch.cuda.is_available() else None
    return "cpu" if jax.default_backend() == "cpu" else None


def without_torch() -> str:
    """Why PyTorch cannot be measured here; empty where it can."""
    if importlib.util.find_spec("torch") is None:
        return "left out: torch is not installed"
    if torch_device() is None:
        return f"left out: this torch has no {jax.default_backend()}"
    return ""
