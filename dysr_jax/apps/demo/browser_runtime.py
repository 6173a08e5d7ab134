"""onnxruntime-web for the page: its three files, packed beside it or named with their digests at a CDN.

One build does both, WebGPU and WASM. The page hands all three over as content: from a `file:` address a
browser lets a worker load nothing by itself.
"""

import pathlib
from collections.abc import Callable
from typing import Final

from etils import epath

from dysr_jax.errors import InputError

VERSION: Final = "1.30.0"
CDN: Final = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"
FILES: Final = {
    "script": "ort.webgpu.min.js",
    "loader": "ort-wasm-simd-threaded.asyncify.mjs",
    "wasm": "ort-wasm-simd-threaded.asyncify.wasm",
}
DIGESTS: Final = {
    "script": "sha384-6BOUZhMpgaXRZBIj89pTWET0c7xcMe1yHACreuaBy2kUZwLd2tzCmv7MzwZccHYH",
    "loader": "sha384-qViEcCGzsR/m8nlQwIsbYh7afN4thuraqFYDQY6huvmoLVoZq/eYawQ1wrv8nnhA",
    "wasm": "sha384-EPVDLTxuO663dkZO/pcKJF6vOyyfq/5z9FY1oksN0UWFX2ABH4wDDZQHeNoUleWR",
}
"""Of that version; the browser refuses other content."""


def from_cdn() -> dict[str, dict[str, str]]:
    """Where the page finds each file, and what it must be."""
    return {part: {"url": CDN + name, "integrity": DIGESTS[part]} for part, name in FILES.items()}


def from_folder(folder: epath.PathLike, pack: Callable[[bytes], str]) -> dict[str, dict[str, str]]:
    """The files of an npm package `onnxruntime-web` or of its `dist`; an InputError names what it lacks."""
    given = pathlib.Path(folder)
    place = given / "dist" if (given / "dist").is_dir() else given
    found = {}
    for part, name in FILES.items():
        try:
            found[part] = {"packed": pack((place / name).read_bytes())}
        except OSError:
            must = f"must be a folder of the npm package onnxruntime-web, such as version {VERSION}"
            raise InputError(f"runtime {str(folder)!r}: has no {name}; {must}") from None
    return found
