"""Whether PyTorch can be measured here. It is imported only to ask."""

import importlib.util

import jax


def torch_device() -> str:
    """Where PyTorch runs on the device that JAX runs on; empty where it cannot."""
    import torch

    if jax.default_backend() == "gpu":
        return "cuda" if torch.cuda.is_available() else ""
    return "cpu" if jax.default_backend() == "cpu" else ""


def without_torch() -> str:
    """Why PyTorch cannot be measured here; empty where it can."""
    if importlib.util.find_spec("torch") is None:
        return "left out: torch is not installed"
    return "" if torch_device() else f"left out: this torch has no {jax.default_backend()}"
