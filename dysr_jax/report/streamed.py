"""What `dysr bench switch`, `dysr stream` and the steady-rate experiment left as JSON."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from etils import epath

from dysr_jax.errors import InputError
from dysr_jax.report.timeline import Load
from dysr_jax.runtime.trace import Trace, trace_from_json


class Streamed(NamedTuple):
    """One stream of frames in time."""

    name: str
    trace: Trace
    load: Sequence[Load]
    """When other processes came and went; empty where it is not known."""
    true_psnr_y: float | None
    """dB, the mean over the frames, each against its HR frame; None where that was not measured."""


def _json(path: epath.PathLike, option: str) -> Any:
    name = os.fspath(path)
    try:
        return json.loads(epath.Path(path).read_text())
    except OSError:
        raise InputError(f"{option} {name!r}: the file cannot be read") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{option} {name!r} is not JSON: {error}") from None


def read_switch(path: epath.PathLike) -> dict[str, Any]:
    """What `dysr bench switch --json FILE` wrote.

    Raises:
        InputError: the file cannot be read, or is something else.
    """
    found = _json(path, "switch")
    columns = ("name", "switch_ms_p50", "switch_ms_p99", "steady_ms_p50", "steady_ms_p99")
    try:
        whole = all(name in row for row in found["strategies"] for name in columns)
        whole = whole and {"device", "frame", "scale", "fps"} <= {*found}
    except (TypeError, KeyError):
        whole = False
    if not whole:
        raise InputError(
            f"switch {os.fspath(path)!r}: allowed is a file that dysr bench switch --json wrote"
        )
    return found


def _streamed(fields: Mapping[str, Any], name: str) -> Streamed:
    load = [(float(seconds), float(busy)) for seconds, busy in fields.get("load", [])]
    return Streamed(name, trace_from_json(fields), load, fields.get("true_psnr_y"))


def read_steady(path: epath.PathLike) -> tuple[Streamed, ...]:
    """Streams: of `experiments/steady_fps.py --json FILE`, or the one of `dysr stream --json FILE`.

    Raises:
        InputError: the file cannot be read, or is something else.
    """
    found = _json(path, "steady")
    try:
        if "trace" in found:
            return (_streamed(found, "stream"),)
        return tuple(_streamed(fields, fields["name"]) for fields in found["strategies"])
    except (TypeError, LookupError, ValueError, AttributeError):
        raise InputError(
            f"steady {os.fspath(path)!r}: allowed is a file that dysr stream --json or "
            f"experiments/steady_fps.py wrote"
        ) from None
