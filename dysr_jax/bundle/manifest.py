"""The files of a bundle, read only where the manifest's digests hold. Folders may lie in a bucket."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from etils import epath

from dysr_jax.atomic import write_json
from dysr_jax.errors import InputError

FORMAT_VERSION: Final = 2
"""Version 1 has one width, `space.width`, in place of `space.widths`."""
MANIFEST_FILE: Final = "manifest.json"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _manifest_digest(manifest: dict[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return _digest(json.dumps(rest, sort_keys=True).encode())


def write_manifest(folder: epath.Path, fields: dict[str, Any], files: Iterable[str]) -> None:
    """Write `fields`, the format version, and the digests of `files`, which exist, and of the manifest."""
    digests = {name: _digest((folder / name).read_bytes()) for name in files}
    manifest = {"format_version": FORMAT_VERSION, **fields, "files": digests}
    write_json(folder / MANIFEST_FILE, {**manifest, "digest": _manifest_digest(manifest)})


def read_manifest(folder: epath.Path) -> dict[str, Any]:
    """The manifest of a bundle; an InputError if it is missing, damaged, altered or of another version."""
    named = f"bundle {str(folder)!r}"
    if not folder.is_dir():
        raise InputError(f"{named} does not exist (a run's bundle is RUN/bundle)")
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text())
        version = manifest["format_version"]
    except OSError:
        raise InputError(f"{named}: {MANIFEST_FILE} is missing") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{named}: {MANIFEST_FILE} is damaged") from None
    if version not in range(1, FORMAT_VERSION + 1):
        known = f"this version of dysr_jax reads 1 to {FORMAT_VERSION}"
        raise InputError(f"{named} has format {version}; {known}")
    if manifest.get("digest") != _manifest_digest(manifest):
        raise InputError(f"{named}: {MANIFEST_FILE} was altered (digest)")
    return manifest


def read_file(folder: epath.Path, manifest: dict[str, Any], name: str) -> bytes:
    """The content of a file of a bundle; an InputError if it is missing, or has another digest."""
    try:
        content = (folder / name).read_bytes()
    except OSError:
        raise InputError(f"bundle {str(folder)!r}: {name} is missing") from None
    digests = manifest.get("files")
    if not isinstance(digests, dict) or name not in digests:
        raise InputError(f"bundle {str(folder)!r}: {MANIFEST_FILE} has no digest of {name} in its files")
    if _digest(content) != digests[name]:
        raise InputError(f"bundle {str(folder)!r}: {name} is truncated or altered (digest)")
    return content
