"""Data for a page: JSON beside arrays of numbers, compressed, as text that HTML can hold."""

import base64
import gzip
import json
from typing import Any, Final

import numpy as np

ALIGNMENT: Final = 4
"""Bytes: where typed arrays of JavaScript may begin."""


def compress(content: bytes) -> str:
    """Bytes as base64 of gzip; the same bytes give the same text."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


class Packer:
    """Collects arrays; JSON names them by what `add` returns.

    The packed bytes are: uint32 length of the JSON, the JSON `{"arrays": [{kind, offset, length}, ...],
    "content": ...}`, padding to a multiple of four, and the arrays, each padded likewise, little-endian.
    Offsets count from the first array.
    """

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []
        self._bytes = bytearray()

    def add(self, values: Any, kind: str = "float32") -> dict[str, int]:
        """A reference to these numbers, flattened; `kind` is uint8, uint16, int32 or float32."""
        array = np.ascontiguousarray(values, np.dtype(kind).newbyteorder("<")).reshape(-1)
        self._entries.append({"kind": kind, "offset": len(self._bytes), "length": array.size})
        self._bytes += _padded(array.tobytes())
        return {"array": len(self._entries) - 1}

    def pack(self, content: Any) -> str:
        """All of it, compressed, as base64; `content` is JSON without NaN, with references in it."""
        fields = {"arrays": self._entries, "content": content}
        head = _padded(json.dumps(fields, allow_nan=False).encode(), b" ")
        return compress(len(head).to_bytes(ALIGNMENT, "little") + head + bytes(self._bytes))


def _padded(content: bytes, fill: bytes = b"\0") -> bytes:
    return content + fill * (-len(content) % ALIGNMENT)
