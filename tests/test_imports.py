"""What `import dysr_jax` brings along, and what it leaves until it is needed."""

import subprocess
import sys

import pytest

LEFT = (
    *("IPython", "array_record", "av", "dm_pix", "gcsfs", "grain", "hypothesis", "ipywidgets"),
    *(
        "matplotlib",
        "moocore",
        "pandas",
        "pillow_heif",
        "plotly",
        "pymoo",
        "scipy",
        "selenium",
        "skimage",
    ),
    *(
        "tensorboard",
        "tensorboardX",
        "tensorflow",
        "tensorflow_datasets",
        "tifffile",
        "torch",
        "tyro",
    ),
)
"""Optional packages, the tests' tools, and what takes long to import and only one part needs."""


def imported(code: str) -> set[str]:
    """The modules that a fresh interpreter has after `code`."""
    told = f"{code}\nimport sys\nprint(*sys.modules, sep=chr(10))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def after():
    return imported("import dysr_jax")


@pytest.mark.parametrize("name", LEFT)
def test_what_is_not_needed_at_once_is_not_imported(after, name):
    assert "dysr_jax.run" in after  # the interpreter did import the package
    assert name not in after


def test_no_device_is_touched():
    code = "import dysr_jax, jax._src.xla_bridge as bridge\nassert not bridge.backends_are_initialized()"
    assert "dysr_jax" in imported(code)
