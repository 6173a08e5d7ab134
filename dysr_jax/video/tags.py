"""What stands in the head of a video beside its streams: tags, chapters and the time code."""

import dataclasses
import io
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from dysr_jax.video.pyav import fraction, open_av

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

TECHNICAL = re.compile(
    "major_brand|minor_version|compatible_brands|encoder|rotate|duration|vendor_id|handler_name"
    "|bps.*|number_of_(frames|bytes).*|_statistics.*|duration-.*|variant_bitrate|filename|mimetype",
    re.IGNORECASE,
)
"""Tags that say something about the file and its streams, and nothing about the film."""


def film_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags that belong to the film.

    FFmpeg gives two times of creation, one behind the other, where a file has it in two places.
    """
    texts = {_text(key): _text(value) for key, value in metadata.items()}
    kept = {key: value for key, value in texts.items() if not TECHNICAL.fullmatch(key)}
    return {k: v.split(";")[0] if k == "creation_time" else v for k, v in kept.items()}


def _text(value: str) -> str:
    """With bytes that are not UTF-8 as old programs for Windows mean them."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode(errors="surrogateescape").decode("cp1252", "replace")
    return value


def stream_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags of a stream that belong to the film; MP4 calls its title its name."""
    tags = film_tags(metadata)
    name = tags.pop("name", None)
    return tags if name is None else {"title": name, **tags}


@dataclasses.dataclass(frozen=True, eq=False)
class Head:
    """What the head of a file says."""

    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """The time code, `HH:MM:SS:FF`, is the one under `timecode`."""
    chapters: tuple[Any, ...] = ()
    """As PyAV gives and takes them."""


def head_of(container: "InputContainer", start: Fraction) -> Head:
    """The head of a file, whose time `start` in seconds becomes 0."""
    tags = film_tags(container.metadata)
    codes = [s.metadata["timecode"] for s in container.streams if "timecode" in s.metadata]
    if codes and "timecode" not in {key.lower() for key in tags}:
        tags["timecode"] = codes[0]
    chapters = [_shifted(chapter, start) for chapter in container.chapters()]
    return Head(tags, tuple(chapter for chapter in chapters if chapter is not None))


def _shifted(chapter: Any, start: Fraction) -> dict[str, Any] | None:
    """A chapter in the time of the output; None before its start and where it cannot be."""
    tick = fraction(chapter["time_base"])
    if tick is None or chapter["end"] < chapter["start"]:
        return None
    first, end = (round(chapter[name] - start / tick) for name in ("start", "end"))
    if end < 0:
        return None
    tags = film_tags(chapter["metadata"])
    return {**chapter, "metadata": tags, "start": max(first, 0), "end": end, "time_base": tick}


def is_of_head(stream: "Stream", head: Head) -> bool:
    """Whether a stream is but a part of the head: chapters and time codes of QuickTime."""
    if stream.type == "data":
        return "timecode" in stream.metadata or bool(head.chapters and stream.name == "bin_data")
    return stream.type == "subtitle" and _are_chapters(stream, head)


def _are_chapters(stream: "Stream", head: Head) -> bool:
    """Whether subtitles are the titles of the chapters, which FFmpeg 8.0 gives as such."""
    context, tick = stream.codec_context, fraction(stream.time_base)
    if not head.chapters or context is None or context.name != "mov_text" or tick is None:
        return False
    end = head.chapters[-1]["end"] * head.chapters[-1]["time_base"]
    lasts = (stream.duration or 0) * tick
    return stream.frames == len(head.chapters) and abs(lasts - end) < Fraction(1, 100)


def needs_keys(head: Head) -> bool:
    """Whether tags are of the kind that phones write, which MP4 and MOV hold under their full names."""
    return any(key.startswith("com.") for key in head.tags)


def fitting(
    head: Head, muxer: str, options: Mapping[str, str], encoder: str, rate: Fraction
) -> tuple[Head, list[str]]:
    """The part of a head that a container takes, and what it does not take, in words.

    Found by writing a short video and reading it: which tags a container holds is told nowhere.
    """
    bare = {key: value for key, value in head.tags.items() if key.lower() != "timecode"}
    for tried in (head, Head(bare, head.chapters), Head(head.tags), Head(bare), Head()):
        found = _read_back(tried, muxer, options, encoder, rate)
        if found is not None:
            break
    else:
        tried, found = Head(), (set(), 0)
    keys, chapters = found
    lost = [f"tag {key!r}" for key in head.tags if key.lower() not in keys]
    if chapters < len(head.chapters):
        lost.append("chapters")
    return tried, lost


def _read_back(
    head: Head, muxer: str, options: Mapping[str, str], encoder: str, rate: Fraction
) -> tuple[set[str], int] | None:
    """The keys of the tags, and how many chapters, that a file with this head has; None if it has none."""
    import av

    content = io.BytesIO()
    try:
        with open_av(content, "w", format=muxer, options=dict(options)) as output:
            stream: Any = output.add_stream(encoder, rate=rate)
            stream.width = stream.height = 16
            stream.pix_fmt = "yuv420p"
            output.metadata.update(head.tags)
            output.set_chapters(list(head.chapters))
            frame = av.VideoFrame(16, 16, "yuv420p")
            frame.pts = 0
            output.mux([*stream.encode(frame), *stream.encode(None)])
        content.seek(0)
        with open_av(content, "r") as written:
            named = (written.metadata, *(stream.metadata for stream in written.streams))
            return {key.lower() for tags in named for key in tags}, len(written.chapters())
    except (av.error.FFmpegError, ValueError, OverflowError):
        return None
