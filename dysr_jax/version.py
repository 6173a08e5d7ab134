"""The version of this package, as it was installed."""

import importlib.metadata


def package_version() -> str:
    """Such as `0.1.0`; `unknown` for a checkout that is not installed."""
    try:
        return importlib.metadata.version("dysr_jax")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
