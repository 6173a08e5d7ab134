"""What `import dysr_jax` brings along, and what it leaves until it is needed."""

import subprocess
import sys

import pytest

import dysr_jax

LEFT = (
    *("IPython", "array_record", "av", "dm_pix", "gcsfs", "grain", "hypothesis", "ipywidgets"),
    *("matplotlib", "moocore", "pandas", "pillow_heif", "plotly", "pymoo", "scipy", "selenium", "skimage"),
    *("tensorboard", "tensorboardX", "tensorflow", "tensorflow_datasets", "tifffile", "torch", "tyro"),
)
"""Optional packages, the tests' tools, and what takes long to import and only one part needs."""


def imported(code: str) -> set[str]:
    """The modules that a fresh interpreter has after `code`."""
    told = f"{code}\nimport sys\nprint(*sys.modules, sep=chr(10))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def after():
    """All that the package offers, which is imported when it is first used; no device is touched by that."""
    code = "from dysr_jax import *; import jax._src.xla_bridge as bridge"
    return imported(code + "\nassert not bridge.backends_are_initialized()")


@pytest.mark.parametrize("name", LEFT)
def test_what_is_not_needed_at_once_is_not_imported(after, name):
    assert "dysr_jax.run" in after  # the interpreter did import the package
    assert name not in after


def test_the_package_alone_takes_no_time():
    """So that Ctrl-C ends the command line in a line though it comes while JAX is imported."""
    assert not {"jax", "numpy", "dysr_jax.run"} & imported("import dysr_jax, dysr_jax.cli")


def test_what_is_offered_is_listed():
    code = "import dysr_jax; assert set(dysr_jax.__all__) <= set(dir(dysr_jax))"
    assert "dysr_jax" in imported(code)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        dysr_jax.nothing  # noqa: B018
