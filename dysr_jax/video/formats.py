"""What the suffix of an output says: its container, and what its frames are encoded with."""

import dataclasses
import pathlib

from dysr_jax.errors import InputError
from dysr_jax.video.pyav import av
from dysr_jax.video.source import STANDARD


@dataclasses.dataclass(frozen=True)
class Encoder:
    """An encoder of FFmpeg and its options."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    even: bool = False  # whether it takes even sizes only
    max_denominator: int = 1 << 30  # of the unit of its time stamps


@dataclasses.dataclass(frozen=True)
class Format:
    """A container of FFmpeg, its options, and the encoders that are tried in turn."""

    muxer: str
    encoders: tuple[Encoder, ...]
    options: tuple[tuple[str, str], ...] = ()
    tagged: bool = True  # whether it says the matrix of its colours, and the time of each frame


X264 = Encoder("libx264", (("crf", "18"), ("preset", "veryfast")), even=True)
MPEG4 = Encoder("mpeg4", (("flags", "+qscale"), ("global_quality", "236")), max_denominator=60_000)
VP9 = Encoder(
    "libvpx-vp9", (("crf", "20"), ("b", "0"), ("deadline", "realtime"), ("cpu-used", "7"), ("row-mt", "1"))
)

# Fragments of a second, so that a part plays; at the end they become a file like any other.
FRAGMENTS = (("movflags", "hybrid_fragmented+delay_moov"), ("frag_duration", "1000000"))
# Before libavformat 62.12, that end was written wrongly.
ONLY_FRAGMENTS = (("movflags", "frag_keyframe+empty_moov+delay_moov"), FRAGMENTS[1])
CLUSTERS = (("cluster_time_limit", "1000"),)

MP4 = Format("mp4", (X264, MPEG4), FRAGMENTS)
Y4M = Format("yuv4mpegpipe", (Encoder("rawvideo"),), (("flush_packets", "1"),), tagged=False)

# By suffix, in lower case.
FORMATS = {
    ".mp4": MP4,
    ".m4v": MP4,
    ".mov": dataclasses.replace(MP4, muxer="mov"),
    ".mkv": Format("matroska", (X264, MPEG4), CLUSTERS),
    ".webm": Format("webm", (VP9,), CLUSTERS),
    ".y4m": Y4M,
}


def format_of(name: str) -> Format:
    """The format of an output, Y4M for standard output; an InputError for another suffix."""
    if name == STANDARD:
        return Y4M
    suffix = pathlib.Path(name).suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"video {name!r}: allowed suffixes are {', '.join(FORMATS)}")
    return FORMATS[suffix]


def muxer_options(form: Format, *, full_names: bool = False) -> dict[str, str]:
    """The options of a format's container for this FFmpeg; in MP4 and MOV, tags may keep their full names."""
    old = av.library_versions["libavformat"] < (62, 12)
    options = dict(ONLY_FRAGMENTS if form.options is FRAGMENTS and old else form.options)
    if full_names and "movflags" in options:
        options["movflags"] += "+use_metadata_tags"
    return options


def choose_encoder(form: Format) -> Encoder:
    """The first encoder of a format that this build of FFmpeg has; an InputError if it has none."""
    for encoder in form.encoders:
        if encoder.name in av.codecs_available:
            return encoder
    names = ", ".join(encoder.name for encoder in form.encoders)
    raise InputError(f"format {form.muxer!r} cannot be written: this FFmpeg has no {names}")
