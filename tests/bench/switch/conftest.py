"""The small bundle as a directory."""

import pytest

from dysr_jax.bundle.bundle import save_bundle


@pytest.fixture(scope="module")
def bundle(three_members, tmp_path_factory):
    path = tmp_path_factory.mktemp("switch") / "bundle"
    save_bundle(path, three_members, {})
    return path
