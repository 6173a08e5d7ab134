"""Every candidate ever evaluated, one JSON line each, append-only."""

import json
import os
import pathlib
from typing import NamedTuple

from dysr_jax.errors import InputError
from dysr_jax.space import Arch


class Record(NamedTuple):
    """One evaluated candidate."""

    name: str
    arch: Arch
    psnr_y: float
    """dB, on the validation patches."""
    latency_ms: float
    """As the latency table predicts it."""
    generation: int
    seconds: float
    """Its share of the dispatch that evaluated it."""


class Archive:
    """The records of a run by arch, on disk before they are used.

    A line that a kill cut short is dropped when the file is opened again.
    """

    def __init__(self, path: str | os.PathLike[str], *, write: bool = True) -> None:
        self._write = write
        self._path = pathlib.Path(path)
        self.records: dict[Arch, Record] = {}
        if self._path.exists():
            if write:
                self._drop_partial_line()
            content = self._path.read_bytes()
            lines = content[: content.rfind(b"\n") + 1].splitlines()
            for number, line in enumerate(lines, 1):
                record = self._parse(number, line)
                self.records[record.arch] = record

    def _drop_partial_line(self) -> None:
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self._path, whole)

    def _parse(self, number: int, line: bytes) -> Record:
        try:
            fields = json.loads(line)
            arch = tuple(int(index) for index in fields["arch"])
            numbers = {k: float(fields[k]) for k in ("psnr_y", "latency_ms", "seconds")}
            return Record(**{**fields, **numbers, "arch": arch})
        except (ValueError, TypeError, KeyError):
            raise InputError(f"archive {str(self._path)!r}: line {number} is damaged") from None

    def append(self, records: list[Record]) -> None:
        """Write records to the end of the file and wait until they are on disk."""
        if self._write:
            with self._path.open("a") as file:
                file.writelines(json.dumps(record._asdict()) + "\n" for record in records)
                file.flush()
                os.fsync(file.fileno())
        self.records |= {record.arch: record for record in records}
