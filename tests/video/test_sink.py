"""The file that only grows."""

import errno
import os

import pytest

from dysr_jax.video.sink import Sink


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "file"
    return path, os.open(path, os.O_WRONLY | os.O_CREAT)


def test_patches_wait_for_the_end(target):
    path, descriptor = target
    sink = Sink(descriptor, seekable=True)
    sink.write(b"head....")
    sink.write(b"body")
    sink.seek(4)
    sink.write(b"size")
    assert sink.tell() == 8
    assert path.read_bytes() == b"head....body"
    sink.seek(0, os.SEEK_END)
    sink.write(b"tail")
    sink.finish()
    assert path.read_bytes() == b"headsizebodytail"
    assert sink.error is None


def test_after_an_error_nothing_is_written(target, monkeypatch):
    path, descriptor = target
    sink = Sink(descriptor, seekable=True)
    sink.write(b"head....")

    def full(descriptor, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        assert sink.write(b"body") == 4
    sink.write(b"more")
    sink.seek(0)
    sink.write(b"size")
    sink.finish()
    assert path.read_bytes() == b"head...."
    assert sink.error is not None and sink.error.errno == errno.ENOSPC


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_disk_that_is_full():
    sink = Sink(os.open("/dev/full", os.O_WRONLY), seekable=True)
    sink.write(b"head")
    sink.finish()
    assert sink.error is not None and sink.error.errno == errno.ENOSPC


def test_writes_that_are_cut_short_go_on(target, monkeypatch):
    path, descriptor = target
    write = os.write
    monkeypatch.setattr(os, "write", lambda where, data: write(where, data[:3]))
    sink = Sink(descriptor, seekable=False)
    sink.write(b"0123456789")
    sink.finish()
    assert path.read_bytes() == b"0123456789"
