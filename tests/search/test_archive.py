"""The archive: exact, append-only, whole lines only."""

import json
import os

import pytest
from etils.epath import gpath

from dysr_jax.errors import InputError
from dysr_jax.search.archive import Archive, Record

RECORDS = [
    Record("2id-u1", (0, 0, 0), 29.496294021606445, 0.1 + 0.2, 0, 1e-17),
    Record("2c3-u1", (2, 2, 0), float("inf"), 1 / 3, 0, 0.5),
    Record("2r1-u2", (3, 3, 1), -1e-300, 2.5, 3, 123456.789),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "archive.jsonl"


@pytest.fixture
def written(path):
    Archive(path).append(RECORDS)
    return path


def test_a_new_archive_is_empty_and_makes_no_file(path):
    assert Archive(path).records == {}
    assert not path.exists()


def test_reload_gives_the_same_records(path):
    archive = Archive(path)
    archive.append(RECORDS[:1])
    archive.append(RECORDS[1:])
    again = Archive(path).records
    assert again == archive.records
    assert list(again.values()) == RECORDS
    assert all(type(key) is tuple for key in again)


def test_one_json_line_a_record(written):
    lines = [json.loads(line) for line in written.read_text().splitlines()]
    assert [line["name"] for line in lines] == [record.name for record in RECORDS]


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_line_cut_short_is_dropped_and_appending_goes_on(written, cut):
    content = written.read_bytes()
    written.write_bytes(content[:-cut])
    archive = Archive(written)
    assert list(archive.records.values()) == RECORDS[:2]
    archive.append(RECORDS[2:])
    assert written.read_bytes() == content
    assert list(Archive(written).records.values()) == RECORDS


WORD = json.dumps({**RECORDS[1]._asdict(), "psnr_y": "high"}).encode()


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"7", b"null", b'{"name": "x"}', b'{"arch": 3}', WORD, b"\x00\x00", b"\xff\xfe"],
)
def test_a_damaged_line_is_named(written, damage):
    lines = written.read_bytes().splitlines()
    lines[1] = damage
    written.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(InputError, match=r"archive\.jsonl': line 2 is damaged"):
        Archive(written)


def test_what_two_searches_once_wrote_counts_once(written):
    """Each wrote every candidate; the first line of an arch is the one that was searched with."""
    again = [record._replace(generation=9, seconds=9.0) for record in RECORDS]
    lines = b"".join(json.dumps(record._asdict()).encode() + b"\n" for record in again)
    content = written.read_bytes() + lines
    written.write_bytes(content)
    archive = Archive(written)
    assert list(archive.records.values()) == RECORDS
    new = RECORDS[0]._replace(name="id-c3-u1", arch=(0, 2, 0))
    archive.append([new])
    assert list(Archive(written).records.values()) == [*RECORDS, new]
    assert written.read_bytes().startswith(content)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("generation", value) for value in (None, "x", [], 0.5, -1, 1e400, 2**40)),
        *(("arch", value) for value in ([1e400], [None], 3)),
        *((key, float("nan")) for key in ("psnr_y", "latency_ms", "seconds")),
    ],
)
def test_values_that_no_candidate_has_are_damage(written, key, value):
    with written.open("a") as file:
        file.write(json.dumps(RECORDS[0]._asdict() | {key: value}) + "\n")
    with pytest.raises(InputError, match="line 4 is damaged"):
        Archive(written)


def test_an_unknown_field_is_damage(written):
    record = RECORDS[0]._asdict() | {"ssim": 0.9}
    with written.open("a") as file:
        file.write(json.dumps(record) + "\n")
    with pytest.raises(InputError, match="line 4"):
        Archive(written)


def test_who_does_not_write_reads_and_remembers(written):
    content = written.read_bytes()[:-20]
    written.write_bytes(content)
    archive = Archive(written, write=False)
    assert list(archive.records.values()) == RECORDS[:2]
    archive.append(RECORDS[2:])
    assert list(archive.records.values()) == RECORDS
    assert written.read_bytes() == content


def test_who_does_not_write_makes_no_file(path):
    Archive(path, write=False).append(RECORDS)
    assert not path.exists()


# --- object storage ---------------------------------------------------------------------------------


class Bucket:
    """A folder behind `gs://bucket`: files are opened to be read or to be written anew, not appended to."""

    def __init__(self, folder):
        self.folder = folder

    def _file(self, path):
        return self.folder / os.fspath(path).removeprefix("gs://bucket/")

    def exists(self, path):
        return self._file(path).exists()

    def open(self, path, mode):
        assert mode in ("rb", "wb"), "object storage has no append"
        return self._file(path).open(mode)

    def replace(self, path, target):
        self._file(path).replace(self._file(target))

    def remove(self, path):
        self._file(path).unlink()


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    monkeypatch.setitem(gpath._PREFIX_TO_BACKEND, "gs", Bucket(tmp_path))
    monkeypatch.setattr(gpath, "_is_tf_installed", lambda: False)
    return tmp_path


def test_an_archive_on_object_storage_is_the_same(bucket, tmp_path):
    remote = Archive("gs://bucket/archive.jsonl")
    assert remote.records == {}
    remote.append(RECORDS[:1])
    remote.append(RECORDS[1:])
    assert [path.name for path in bucket.iterdir()] == ["archive.jsonl"]
    Archive(tmp_path / "local.jsonl").append(RECORDS)
    content = (bucket / "archive.jsonl").read_bytes()
    assert content == (tmp_path / "local.jsonl").read_bytes()
    (bucket / "archive.jsonl").write_bytes(content[:-20])
    again = Archive("gs://bucket/archive.jsonl")
    assert list(again.records.values()) == RECORDS[:2]
    again.append(RECORDS[2:])
    assert (bucket / "archive.jsonl").read_bytes() == content


def test_who_does_not_write_leaves_object_storage_alone(bucket):
    archive = Archive("gs://bucket/archive.jsonl", write=False)
    archive.append(RECORDS)
    assert list(archive.records.values()) == RECORDS
    assert list(bucket.iterdir()) == []
