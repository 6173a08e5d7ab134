"""The cache of executables: the same results from disk, and nothing that is damaged or foreign is loaded."""

import functools
import os
import pathlib
import pickle
import stat
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import serialize_executable

from dysr_jax.aot import executables, private_files
from dysr_jax.aot.accounting import count_compilations
from dysr_jax.aot.executables import SUFFIX, ExecutableCache, compiled_executable

ARGUMENTS = ({"w": jax.ShapeDtypeStruct((3,), jnp.float32)}, jax.ShapeDtypeStruct((), jnp.float32))
WEIGHTS = {"w": np.array([1, 2, 3], np.float32)}


def compile_power(power):
    return jax.jit(lambda p, x: jnp.sin(p["w"]) ** power + x).lower(*ARGUMENTS).compile()


def get(cache, power=2, **key):
    build = functools.partial(compile_power, power)
    return cache.get({"power": power, **key}, ARGUMENTS, build)


def run(executable):
    return np.asarray(executable(WEIGHTS, np.float32(0.5)))


def files(cache):
    return sorted(path for path in cache.folder.iterdir() if path.name.endswith(SUFFIX))


def counts(cache):
    return cache.loaded, cache.compiled


def test_what_is_loaded_computes_the_same(cache):
    cold = get(cache)
    again = ExecutableCache()
    with count_compilations() as compilations:
        warm = get(again)
    assert compilations.value == 1  # a load counts too
    assert (counts(cache), counts(again)) == ((0, 1), (1, 0))
    np.testing.assert_array_equal(run(warm), run(cold))
    np.testing.assert_allclose(run(warm), np.sin([1, 2, 3]) ** 2 + 0.5, rtol=1e-6)
    assert not np.array_equal(run(get(again, 3)), run(warm))
    assert counts(again) == (1, 1)


def test_only_this_user_may_read_the_files(cache):
    old = os.umask(0)
    try:
        get(cache)
    finally:
        os.umask(old)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in cache.folder.iterdir()] == [0o600]


def test_bytes_of_code_are_the_same_cold_and_warm(cache):
    cold, warm = get(cache), get(cache)
    assert cold.code_bytes == warm.code_bytes > 1000
    direct = compiled_executable(compile_power(2), ARGUMENTS[0]).code_bytes
    assert abs(direct - cold.code_bytes) < 500  # names within may differ


class Bomb:
    """Runs code when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def explosive(path):
    """As long as a file may be: all is right but the digest."""
    content = path.read_bytes()
    payload = pickle.dumps(Bomb(path.parent.parent / "exploded"))
    start = content.index(b"\n", content.index(b"{"))
    path.write_bytes(content[: start + 1] + payload)


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def replace_by_link(path):
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def replace_by_pipe(path):
    path.unlink()
    os.mkfifo(path, 0o600)


DAMAGES = {
    "empty": lambda path: cut(path, 0),
    "magic only": lambda path: cut(path, 22),
    "header only": lambda path: cut(path, 200),
    "last byte missing": lambda path: cut(path, -1),
    "more bytes": lambda path: path.write_bytes(path.read_bytes() + b"."),
    "magic": lambda path: flip(path, 3),
    "digest": lambda path: flip(path, 30),
    "key": lambda path: flip(path, 150),
    "payload": lambda path: flip(path, -100),
    "bomb": explosive,
    "link": replace_by_link,
    "pipe": replace_by_pipe,
    "group may write": lambda path: path.chmod(0o620),
    "others may write": lambda path: path.chmod(0o602),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_or_foreign_file_is_replaced_and_not_unpickled(cache, damage):
    cold = run(get(cache))
    (path,) = files(cache)
    good = path.read_bytes()
    damage(path)
    np.testing.assert_array_equal(run(get(cache)), cold)
    assert counts(cache) == (0, 2)
    assert not (path.parent.parent / "exploded").exists()
    assert path.is_file() and not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert abs(len(path.read_bytes()) - len(good)) < 500
    get(cache)
    assert counts(cache) == (1, 2)


def test_the_bomb_would_explode(cache):
    """The oracle of the test above: with its digest made right, the payload runs."""
    get(cache)
    (path,) = files(cache)
    explosive(path)
    content = path.read_bytes().split(b"\n", 2)[2]
    key, payload = content.split(b"\n", 1)
    path.write_bytes(executables._packed(key, payload))
    get(cache)
    assert (path.parent.parent / "exploded").exists()


def test_a_file_of_another_program_under_this_name_is_not_loaded(cache):
    get(cache, 2)
    (two,) = files(cache)
    three = run(get(cache, 3))
    (other,) = set(files(cache)) - {two}
    other.write_bytes(two.read_bytes())
    np.testing.assert_array_equal(run(get(cache, 3)), three)
    assert counts(cache) == (0, 3)


def test_a_directory_in_its_place_is_left(cache):
    cold = run(get(cache))
    (path,) = files(cache)
    path.unlink()
    path.mkdir()
    np.testing.assert_array_equal(run(get(cache)), cold)
    assert counts(cache) == (0, 2)
    assert path.is_dir()


def open_to_all(folder):
    folder.chmod(0o777)


def linked(folder):
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize("spoil", [open_to_all, linked])
def test_a_folder_that_others_can_write_to_is_not_used(cache, spoil):
    cold = run(get(cache))
    (path,) = files(cache)
    spoil(cache.folder)
    before = path.stat().st_mtime_ns
    np.testing.assert_array_equal(run(get(cache)), cold)
    get(cache, 3)
    assert counts(cache) == (0, 3)
    assert files(cache) == [path]
    assert path.stat().st_mtime_ns == before


def test_files_of_another_user_are_not_loaded(cache, monkeypatch):
    cold = run(get(cache))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    np.testing.assert_array_equal(run(get(cache)), cold)
    assert counts(cache) == (0, 2)


def test_where_owners_are_not_known_nothing_is_kept(cache, monkeypatch):
    monkeypatch.delattr(os, "geteuid")
    first, second = run(get(cache)), run(get(cache))
    np.testing.assert_array_equal(first, second)
    assert counts(cache) == (0, 2)
    assert not cache.folder.exists()


def test_a_folder_that_cannot_be_made_costs_time_only(tmp_path, compiling):
    (tmp_path / "file").write_text("")
    cache = ExecutableCache(tmp_path / "file" / "executables")
    np.testing.assert_array_equal(run(get(cache)), run(get(cache)))
    assert counts(cache) == (0, 2)


@pytest.mark.parametrize("step", ["serialize", "deserialize_and_load"])
def test_what_the_backend_cannot_serialise_is_compiled(cache, monkeypatch, step):
    def refuse(*args, **kwargs):
        raise RuntimeError("not on this backend")

    monkeypatch.setattr(serialize_executable, step, refuse)
    np.testing.assert_array_equal(run(get(cache)), run(get(cache)))
    assert counts(cache) == (0, 2)
    assert not cache.folder.exists()


class Broken:
    """What was loaded and is not whole."""

    def __call__(self, *args):
        raise RuntimeError("a function is missing")

    def memory_analysis(self):
        return None


def test_what_fails_when_it_runs_is_compiled_again_once(cache, monkeypatch):
    cold = run(get(cache))
    (path,) = files(cache)
    with monkeypatch.context() as broken:
        broken.setattr(executables, "_deserialised", lambda *_: Broken())
        loaded = get(cache)
    assert (cache.loaded, cache.compiled, cache.failed) == (1, 1, 0)
    path.write_bytes(b"to be replaced")
    for _ in range(2):
        np.testing.assert_array_equal(run(loaded), cold)
        assert (cache.loaded, cache.compiled, cache.failed) == (1, 2, 1)
    np.testing.assert_array_equal(run(get(cache)), cold)
    assert (cache.loaded, cache.compiled, cache.failed) == (2, 2, 1)


def test_what_fails_is_gone_even_where_nothing_can_be_written(cache, monkeypatch):
    cold = run(get(cache))
    (path,) = files(cache)
    monkeypatch.setattr(executables, "_deserialised", lambda *_: Broken())
    monkeypatch.setattr(serialize_executable, "serialize", None)
    np.testing.assert_array_equal(run(get(cache)), cold)
    assert not path.exists()


def test_a_mistaken_call_is_not_the_executable_that_fails(cache):
    get(cache)
    loaded = get(cache)
    with pytest.raises(TypeError):
        loaded(WEIGHTS)
    assert (cache.compiled, cache.failed) == (1, 0)


def test_another_jax_device_or_option_is_another_executable(cache, monkeypatch):
    get(cache)
    with jax.default_matmul_precision("highest"):
        get(cache)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    get(cache)
    with jax.default_device(jax.devices()[1]):
        there = get(cache)
        assert there(WEIGHTS, np.float32(0)).device == jax.devices()[1]
        again = get(cache)
        assert again(WEIGHTS, np.float32(0)).device == jax.devices()[1]
    assert counts(cache) == (1, 4)
    cache.get({"power": 2}, (ARGUMENTS[0],), jax.jit(lambda p: p["w"]).lower(ARGUMENTS[0]).compile)
    assert counts(cache) == (1, 5)


def test_the_least_recently_used_go_first(cache):
    sizes = []
    for power in (2, 3, 4):
        get(cache, power)
        sizes.append(max(path.stat().st_size for path in files(cache)))
    names = {path: path.stat().st_mtime_ns for path in files(cache)}
    oldest, middle, newest = sorted(names, key=names.__getitem__)
    small = ExecutableCache(limit=int(3.5 * max(sizes)))
    get(small, 2)  # the oldest is used
    get(small, 5)
    assert small.loaded == 1
    assert oldest.exists() and newest.exists() and not middle.exists()
    assert len(files(cache)) == 3
    get(ExecutableCache(limit=10), 6)
    assert files(cache) == []


def test_what_a_kill_left_is_removed(cache):
    get(cache)
    (cache.folder / ".old.partial").write_text("")
    os.utime(cache.folder / ".old.partial", (0, 0))
    (cache.folder / ".new.partial").write_text("")
    (cache.folder / "notes.txt").write_text("")
    os.utime(cache.folder / "notes.txt", (0, 0))
    get(cache, 3)
    left = {path.name for path in cache.folder.iterdir()} - {path.name for path in files(cache)}
    assert left == {".new.partial", "notes.txt"}


def test_a_private_file_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "made" / "file"
    private_files.write_private(path, b"first")

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(OSError, match="disk full"):
        private_files.write_private(path, b"second")
    monkeypatch.undo()
    assert private_files.read_private(path) == b"first"
    assert list(path.parent.iterdir()) == [path]


CHILD = """
import test_executables as t
cache = t.ExecutableCache()
print(t.run(t.get(cache)).tobytes().hex(), *t.counts(cache))
"""


def test_another_process_loads_what_this_one_compiled(cache):
    expected = run(get(cache)).tobytes().hex()
    path = [str(pathlib.Path(__file__).parent), *filter(None, sys.path)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [expected, "1", "0"]
