"""Shared by all tests: several fake CPU devices, one small run.

With DYSR_TEST_ACCELERATOR=1 JAX takes the GPU or TPU that it finds, and compiles as it does for users.
"""

import fcntl
import functools
import json
import math
import os
import pathlib
import shutil
import signal

if os.environ.get("DYSR_TEST_ACCELERATOR") != "1":
    # Before JAX is imported: devices are counted once.
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
    os.environ["JAX_PLATFORMS"] = "cpu"
    # Programs of tests run for milliseconds and are compiled for seconds. XLA's own passes run as always;
    # LLVM does not optimise the machine code. With 0 it does, as it does for users.
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    # Workers and later runs share what they compiled; where the cache never hits, tests are only slower.
    os.environ.setdefault(
        "JAX_COMPILATION_CACHE_DIR", str(pathlib.Path(__file__).parents[1] / ".pytest_cache" / "compiled")
    )
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

from typing import NamedTuple

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils.epath import backend
from fsspec.implementations.memory import MemoryFileSystem
from jax.experimental.compilation_cache import compilation_cache

from dysr_jax.aot.executables import ExecutableCache
from dysr_jax.atomic import write_json
from dysr_jax.bundle.bundle import Bundle, load_bundle, make_bundle, make_member
from dysr_jax.config import RunConfig, SpaceConfig
from dysr_jax.data.config import DataConfig
from dysr_jax.model.names import parse_arch
from dysr_jax.model.programs import make_supernet
from dysr_jax.model.space import SearchSpace, arch_mult_adds, uniform_space
from dysr_jax.model.supernet import init_params
from dysr_jax.run import run_search
from dysr_jax.search.config import SearchConfig
from dysr_jax.train.config import TrainConfig

# The same examples at every run; a first call compiles, so there is no deadline.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.load_profile("repeatable")

TINY = RunConfig(
    space=SpaceConfig(slots=2, widths=(4,), scale=2, branches=("id", "s3", "c3", "r1")),
    data=DataConfig(patch=12),
    train=TrainConfig(steps=20, batch=2, chunk=5, checkpoint_chunks=1, warmup=2),
    search=SearchConfig(
        population=8, generations=3, patches=4, patch=24, frame=(24, 32), rounds=3, members=4
    ),
)
"""A whole run in seconds."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts these tests in the background makes them, and all they start, deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


SMOKE = (
    "data/builders/test_prepare.py",  # TFDS, array_record
    "data/test_grain_stream.py",  # Grain
    "model/test_weights.py",  # safetensors
    "report/html/test_write.py",  # plotly
    "report/test_paper_figures.py",  # Matplotlib
    "report/test_summary.py",  # a whole run: Flax, Optax, Orbax
    "aot/test_executables.py",  # JAX's serialisation
    "aot/test_onnx_graph.py",  # onnx, ONNX Runtime
    "apps/test_upscaler.py",  # Pillow
    "bundle/test_pretrained.py",
    "search/test_latency.py",  # SciPy
    "search/test_nsga2_sorting.py",
    "commands/test_parsing.py",  # tyro
    "commands/test_runs.py",
    "commands/test_images_upscale.py",
    "test_distributed.py",  # Orbax between processes
    "test_metrics.py",  # dm-pix, scikit-image
    "test_remote.py",  # etils
    "train/test_loop.py",  # Orbax, tensorboardX
    "video/test_reader.py",  # PyAV
    "video/test_writer.py",
)
"""What has to work with every version that setup.cfg allows: a part for each package at least."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked long too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of those files `smoke`; skip what is not asked for or cannot run here."""
    here = pathlib.Path(__file__).parent
    files = {here / name for name in SMOKE}
    gone = [str(file) for file in files if not file.is_file()]
    if gone:
        raise pytest.UsageError(f"SMOKE names files that are not there: {', '.join(gone)}")
    for item in items:
        if item.path in files:
            item.add_marker(pytest.mark.smoke)
        if item.get_closest_marker("long") and not config.getoption("long"):
            item.add_marker(pytest.mark.skip(reason="takes long: pytest --long"))
        if item.get_closest_marker("accelerator") and (reason := _no_accelerator()):
            item.add_marker(pytest.mark.skip(reason=reason))
    _sort_by_tiny_run(items)


def _sort_by_tiny_run(items: list[pytest.Item]) -> None:
    """One test makes the shared run first, and the files whose tests read it come last: no worker waits."""
    users = [item for item in items if "tiny_run" in getattr(item, "fixturenames", ())]
    files = {item.path for item in users}
    items.sort(key=lambda item: (item is not users[0], item.path in files) if users else (False, False))


@functools.cache
def _no_accelerator() -> str:
    """Why tests of an accelerator cannot run; empty where they can."""
    if os.environ.get("DYSR_TEST_ACCELERATOR") != "1":
        return "needs a GPU or TPU: make test-accelerator"
    return "JAX finds no GPU or TPU here" if jax.default_backend() == "cpu" else ""


class Run(NamedTuple):
    """A finished run of TINY."""

    path: pathlib.Path
    bundle: Bundle
    lines: list[str]


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory):
    """No test reads or writes the user's cache."""
    os.environ["DYSR_CACHE_DIR"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def tiny() -> RunConfig:
    return TINY


def _times_by_mult_adds(calls, rounds):
    """In place of `undisturbed_ms`: every program runs once, and a costlier arch takes longer."""
    space = TINY.space.build()
    assert all(np.asarray(call()).any() for call in calls.values())
    return {name: 0.1 + arch_mult_adds(space, parse_arch(space, name)) / 1e9 for name in calls}


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, worker_id) -> Run:
    """TINY, run once for the tests of all workers; tests must not change its files.

    What it left in the cache, the latency table above all, is then in that of each worker. Its programs run,
    but their times are made up of their mult-adds: the front must not hang on the machine's load.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "tiny"
    path, said, cache = shared / "run", shared / "said.json", shared / "cache"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            patch.setenv("DYSR_CACHE_DIR", str(cache))
            patch.setattr("dysr_jax.search.probing.undisturbed_ms", _times_by_mult_adds)
            lines: list[str] = []
            run_search(TINY, path, log=lines.append)
            write_json(said, lines)
    shutil.copytree(cache, os.environ["DYSR_CACHE_DIR"], dirs_exist_ok=True)
    return Run(path, load_bundle(path / "bundle"), json.loads(said.read_text()))


@pytest.fixture(scope="session")
def three_members() -> Bundle:
    """A small bundle that nobody trained; with noise on all weights its members differ by many levels."""
    space = uniform_space(slots=2, widths=4, scale=2, branches=("id", "s3", "c3", "r1"))

    @jax.jit  # one program, not one for each shape
    def noisy(params):
        return jax.tree.map(lambda x: x + 0.1 * jax.random.normal(jax.random.key(1), x.shape), params)

    params = noisy(init_params(jax.random.key(0), space))
    archs = [(0, 0, 0), (1, 2, 0), (3, 3, 1)]
    members = [make_member(space, arch, 30.0 + i, 1.0 + i) for i, arch in enumerate(archs)]
    net = make_supernet(space, "float32")
    return make_bundle(params, members, net=net, frame=(6, 8), bicubic_psnr_y=29.0)


@pytest.fixture(scope="session")
def full_space() -> SearchSpace:
    """Every registered branch in every slot."""
    return uniform_space(slots=2, widths=4, scale=2)


@pytest.fixture(scope="session")
def noisy_params():
    """`(space, noise) -> params`: fresh ones hardly change the output, with noise on all archs differ.

    Their spread is about that of fresh ones. All is NumPy's: JAX would compile a program for each space.
    """

    def make(space, noise=0.1):
        rng = np.random.default_rng(1)

        def draw(leaf):
            fresh = math.prod(leaf.shape[:-1]) ** -0.5 if len(leaf.shape) > 1 else 0.0
            return jnp.asarray((fresh + noise) * rng.normal(size=leaf.shape), jnp.float32)

        return jax.tree.map(draw, jax.eval_shape(lambda key: init_params(key, space), jax.random.key(0)))

    return make


@pytest.fixture
def bucket(monkeypatch):
    """A `gs://` folder in this process's memory, behind the interface by which epath reaches real ones."""
    memory = MemoryFileSystem()
    monkeypatch.setattr(memory, "store", {})
    monkeypatch.setattr(memory, "pseudo_dirs", [""])
    monkeypatch.setattr(backend.fsspec_backend, "_get_filesystem", lambda name: memory)
    memory.makedirs("gs://bucket")
    return "gs://bucket"


@pytest.fixture
def strict_dtypes():
    """Implicit dtype promotion raises (not everywhere: Optax itself relies on it)."""
    with jax.numpy_dtype_promotion("strict"):
        yield


def _all_compiling():
    """XLA compiles all: what JAX takes from its own cache on the CPU cannot be serialised whole."""
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()


compiling = pytest.fixture(name="compiling")(_all_compiling)
all_compiling = pytest.fixture(scope="module", name="all_compiling")(_all_compiling)


@pytest.fixture
def cache(tmp_path, monkeypatch, compiling):
    """The user's, which is empty."""
    monkeypatch.setenv("DYSR_CACHE_DIR", str(tmp_path / "cache"))
    return ExecutableCache()
