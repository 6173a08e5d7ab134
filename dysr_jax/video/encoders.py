"""The encoders of FFmpeg that can be asked for: quality, presets, pixel formats, whether they work here."""

import contextlib
import functools
import io
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dysr_jax.video.sink import Format
from dysr_jax.video.source import av, open_av

Size = tuple[int, int]  # columns and rows
Options = dict[str, str]
TRIAL_S = 30.0  # after which a trial is given up


class Quality(NamedTuple):
    """The options that `crf` stands for, its range and default; FFmpeg takes it times `factor`."""

    options: tuple[str, ...]
    low: int
    high: int
    default: int
    factor: int = 1


class Presets(NamedTuple):
    """The option that `preset` stands for, what it takes and the default."""

    option: str
    names: tuple[str, ...]
    default: str


class Encoder(NamedTuple):
    """An encoder of FFmpeg, and how it is used here."""

    name: str
    codec: str
    quality: Quality | None = None
    presets: Presets | None = None
    options: tuple[tuple[str, str], ...] = ()
    even: bool = False  # whether it takes even sizes only where chroma is halved
    max_denominator: int = 1 << 30  # of the unit of its time stamps
    hardware: bool = False
    device: str | None = None  # FFmpeg's type of the device that frames are uploaded to
    smallest: int = 1  # side of a frame

    @property
    def available(self) -> bool:
        """Whether this build of FFmpeg has it."""
        return self.name in av.codecs_available

    @property
    def pixel_formats(self) -> dict[str, str]:
        """What it takes here, planar formats, each with the form that FFmpeg's encoder wants it in."""
        known = av.Codec(self.name, "w").video_formats if self.available else ()
        native = {form.name for form in known or ()} if known is not None else set(PIXEL_FORMATS)
        if self.device in native:
            native = set(PACKED.values())  # frames on the device hold these
        # Devices take samples of 12 and 16 bits, and round them to 10.
        names = [n for n in PIXEL_FORMATS if not (self.hardware and n.endswith(("12le", "14le", "16le")))]
        found = {name: name if name in native else PACKED.get(name, "") for name in names}
        return {name: form for name, form in found.items() if form in native}


PIXEL_FORMATS = tuple(
    f"yuv{chroma}p{f'{bits}le' if bits > 8 else ''}"
    for bits in (8, 9, 10, 12, 14, 16)
    for chroma in (420, 422, 444)
)
# The same samples with blue and red beside each other, which many devices take only.
PACKED = {"yuv420p": "nv12", "yuv422p": "nv16", "yuv420p10le": "p010le", "yuv422p10le": "p210le"}

QSV = ("veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
X26X = ("ultrafast", "superfast", *QSV, "placebo")
QP2LAMBDA = 118  # FFmpeg's unit of a quantiser


def _numbers(option: str, last: int, default: int) -> Presets:
    return Presets(option, tuple(map(str, range(last + 1))), str(default))


def _nvenc(codec: str, best: int, worst: int) -> Encoder:
    quality, presets = Quality(("cq",), 1, worst, best), tuple(f"p{n}" for n in range(1, 8))
    options = (("rc", "vbr"), ("b", "0"))
    name = f"{codec}_nvenc"
    return Encoder(name, codec, quality, Presets("preset", presets, "p4"), options, even=True, hardware=True)


def _vaapi(codec: str) -> Encoder:
    quality, options = Quality(("qp",), 1, 52, 20), (("rc_mode", "CQP"),)
    return Encoder(f"{codec}_vaapi", codec, quality, None, options, True, hardware=True, device="vaapi")


def _videotoolbox(codec: str) -> Encoder:
    quality = Quality(("global_quality",), 1, 100, 65, QP2LAMBDA)  # here larger is better
    options = (("flags", "+qscale"),)
    return Encoder(f"{codec}_videotoolbox", codec, quality, None, options, True, hardware=True)


def _qsv(codec: str) -> Encoder:
    quality, presets = Quality(("global_quality",), 1, 51, 20), Presets("preset", QSV, "veryfast")
    return Encoder(f"{codec}_qsv", codec, quality, presets, even=True, hardware=True)


VP9_OPTIONS = (("b", "0"), ("deadline", "realtime"), ("row-mt", "1"))
X26X_PRESETS = Presets("preset", X26X, "veryfast")
QUIET_X265 = (("x265-params", "log-level=none"),)
ALL = (
    Encoder("libx264", "h264", Quality(("crf",), 0, 51, 18), X26X_PRESETS, even=True),
    # Below a width of 64 it writes beyond its own memory.
    Encoder("libx265", "hevc", Quality(("crf",), 0, 51, 20), X26X_PRESETS, QUIET_X265, True, smallest=64),
    Encoder("libsvtav1", "av1", Quality(("crf",), 1, 63, 24), _numbers("preset", 13, 8)),
    Encoder("libvpx-vp9", "vp9", Quality(("crf",), 0, 63, 20), _numbers("cpu-used", 8, 7), VP9_OPTIONS),
    Encoder("ffv1", "ffv1", options=(("level", "3"), ("slicecrc", "1"))),
    Encoder("mpeg4", "mpeg4", Quality(("qmin", "qmax"), 1, 31, 2), max_denominator=60_000),
    Encoder("rawvideo", "rawvideo"),
    *(_nvenc(codec, 19, 51) for codec in ("h264", "hevc")),
    _nvenc("av1", 24, 63),
    *(make(codec) for make in (_vaapi, _videotoolbox, _qsv) for codec in ("h264", "hevc")),
)
ENCODERS = {encoder.name: encoder for encoder in ALL}

# Codecs that FFmpeg's table of QuickTime has, and its header refuses.
NOT_IN_MOV = ("av1", "vp9")


def takes(form: Format, encoder: Encoder) -> bool:
    """Whether a container takes what an encoder makes; raw frames go into Y4M alone."""
    if not form.tagged or encoder.codec == "rawvideo":
        return not form.tagged and encoder.codec == "rawvideo"
    if form.muxer == "mov" and encoder.codec in NOT_IN_MOV:
        return False
    return encoder.codec in _codecs(form.muxer)


@functools.cache
def _codecs(muxer: str) -> set[str]:
    with open_av(io.BytesIO(), "w", format=muxer) as container:
        return container.supported_codecs


def arguments(encoder: Encoder) -> dict[str, Any]:
    """What PyAV opens an encoder with beside its name: the device that frames are uploaded to."""
    os.environ.setdefault("SVT_LOG", "1")  # errors only; libsvtav1 prints by itself, and has no option for it
    if encoder.device is None:
        return {}
    return {"hwaccel": av.codec.hwaccel.HWAccel(encoder.device, allow_software_fallback=False)}


@contextlib.contextmanager
def ordinary_priority() -> Iterator[None]:
    """Threads keep their scheduling policy while an encoder is opened: SVT-AV1 gives a process of the
    superuser, with all its threads and children, a real-time priority above everything else on the machine.
    """
    if not hasattr(os, "sched_getscheduler"):  # not Linux
        yield
        return
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        for thread in (int(task.name) for task in pathlib.Path("/proc/self/task").iterdir()):
            with contextlib.suppress(ProcessLookupError):  # it has ended
                if os.sched_getscheduler(thread) != before:
                    os.sched_setscheduler(thread, before, parameters)


class Trial(NamedTuple):
    """An encoder that is tried with one frame."""

    name: str
    device: str | None
    form: str
    options: Options
    size: Size = (256, 256)
    rate: str = "25"


def try_encoders(trials: Sequence[Trial]) -> list[str | None]:
    """Why each encoder does not work here; None where it does. Processes of their own try them, because some
    drivers and libraries end or stop the process that opens them.
    """
    reasons: list[str | None] = []
    while len(reasons) < len(trials):
        given = json.dumps([trial._asdict() for trial in trials[len(reasons) :]])
        program = [sys.executable, str(pathlib.Path(__file__).with_name("encoder_trial.py"))]
        environment = {**os.environ, "SVT_LOG": "1"}
        how: dict[str, Any] = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(program, stdin=subprocess.PIPE, text=True, **how) as child:
            try:
                told, ended = (
                    child.communicate(given, timeout=TRIAL_S)[0],
                    "it ends the process that opens it",
                )
            except subprocess.TimeoutExpired:
                child.kill()
                told, ended = child.communicate()[0], f"nothing comes for {TRIAL_S:g} s"
        reasons += [json.loads(line) for line in told.splitlines()]
        if len(reasons) < len(trials):
            reasons.append(ended)
    return reasons
