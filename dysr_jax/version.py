"""The installed version. This file imports nothing heavy: `dysr --version` answers at once."""

import importlib.metadata


def package_version() -> str:
    """Such as `0.1.0`; `unknown` for a checkout that is not installed."""
    try:
        return importlib.metadata.version("dysr_jax")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
