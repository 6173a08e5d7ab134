"""Every candidate ever evaluated, one JSON line each, append-only."""

import json
import math
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from etils import epath

from dysr_jax.atomic import is_remote, naming, replacing
from dysr_jax.errors import InputError
from dysr_jax.model import Arch


class Record(NamedTuple):
    """One evaluated candidate."""

    name: str
    arch: Arch
    psnr_y: float  # dB, on the validation patches
    latency_ms: float  # as the latency table predicts it
    generation: int
    seconds: float  # its share of the dispatch that evaluated it
    predicted_psnr_y: float | None = None  # dB, by the surrogate that chose it


def candidates_per_second(records: Sequence[Record]) -> float:
    """Rate of evaluation over all records, compilation apart; 0 where all were reused."""
    seconds = [record.seconds for record in records if record.seconds]
    return len(seconds) / sum(seconds) if seconds else 0.0


class JsonLines:
    """A file of JSON objects, one a line, that is only appended to.

    A line that a kill cut short is dropped when the file is opened again. Object storage (`gs://...`) cannot
    append, so there the whole file is replaced each time. Processes that only read set `write` to False.
    """

    def __init__(self, path: epath.PathLike, *, write: bool = True) -> None:
        self._path, self._write = epath.Path(path), write
        self._local = not is_remote(self._path)
        content = self._path.read_bytes() if self._path.exists() else b""
        whole = content.rfind(b"\n") + 1
        if whole < len(content) and write and self._local:
            os.truncate(self._path, whole)
        self._content = b"" if self._local else content[:whole]
        self.found = content[:whole].splitlines()  # the whole lines, when the file was opened

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows to the end of the file and wait until they are on disk."""
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        if self._write and self._local:
            with naming(self._path), self._path.open("ab") as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
        elif self._write:
            self._content += lines
            with replacing(self._path) as partial:
                partial.write_bytes(self._content)


class Archive:
    """The records of a run by arch, on disk before they are used, in a file of `JsonLines`.

    Of several lines of one arch the first counts. Processes that only read set `write` to False.
    Raises `InputError`: a line that is whole and no record.
    """

    def __init__(self, path: epath.PathLike, *, write: bool = True) -> None:
        self._lines = JsonLines(path, write=write)
        self.records: dict[Arch, Record] = {}
        for number, line in enumerate(self._lines.found, 1):
            try:
                record = _parse(line)
            except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
                raise InputError(f"archive {os.fspath(path)!r}: line {number} is damaged") from None
            self.records.setdefault(record.arch, record)

    def append(self, records: list[Record]) -> None:
        """Write records to the end of the file and wait until they are on disk."""
        self._lines.append(map(_row, records))
        self.records |= {record.arch: record for record in records}


def _row(record: Record) -> dict[str, Any]:
    fields = record._asdict()
    if record.predicted_psnr_y is None:
        del fields["predicted_psnr_y"]
    return fields


def _parse(line: bytes) -> Record:
    fields = json.loads(line)
    arch = tuple(int(index) for index in fields["arch"])
    predicted = ["predicted_psnr_y"] if fields.get("predicted_psnr_y") is not None else []
    numbers = {k: float(fields[k]) for k in ("psnr_y", "latency_ms", "seconds", *predicted)}
    generation = operator.index(fields["generation"])
    if any(map(math.isnan, numbers.values())) or not 0 <= generation < 2**31:
        raise ValueError
    return Record(**{**fields, **numbers, "arch": arch, "generation": generation})
