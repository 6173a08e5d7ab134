"""What a file says about its film beside the streams: tags, chapters and the time code."""

import dataclasses
import io
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from dysr_jax.video.source import av, fraction, open_av

# Tags of the file and its streams, which say nothing about the film.
TECHNICAL = re.compile(
    "major_brand|minor_version|compatible_brands|encoder|rotate|duration|vendor_id|handler_name"
    "|bps.*|number_of_(frames|bytes).*|_statistics.*|duration-.*|variant_bitrate|filename|mimetype",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True, eq=False)
class FilmTags:
    """Tags of a film, the time code `HH:MM:SS:FF` under `timecode`, and chapters as PyAV has them."""

    tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    chapters: tuple[Any, ...] = ()


def film_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags that belong to the film; of two creation times, joined by FFmpeg, the first."""
    texts = {_as_text(key): _as_text(value) for key, value in metadata.items()}
    kept = {key: value for key, value in texts.items() if not TECHNICAL.fullmatch(key)}
    return {k: v.split(";")[0] if k == "creation_time" else v for k, v in kept.items()}


def _as_text(value: str) -> str:
    """With bytes that are not UTF-8 as old programs for Windows mean them."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode(errors="surrogateescape").decode("cp1252", "replace")
    return value


def stream_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags of a stream that belong to the film; MP4 calls its title its name."""
    tags = film_tags(metadata)
    return {"title": tags.pop("name"), **tags} if "name" in tags else tags


def read_tags(
    container: "av.container.InputContainer", start: Fraction, limit: Fraction | None = None
) -> FilmTags:
    """The tags and chapters of a file, whose time `start` in seconds becomes 0 and which ends at `limit`."""
    tags = film_tags(container.metadata)
    codes = [s.metadata["timecode"] for s in container.streams if "timecode" in s.metadata]
    if codes and not has_time_code(tags):
        tags["timecode"] = codes[0]
    chapters = [_shifted(chapter, start, limit) for chapter in container.chapters()]
    return FilmTags(tags, tuple(chapter for chapter in chapters if chapter is not None))


def without_time_code(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags but for the time code of the first frame."""
    return {key: value for key, value in tags.items() if key.lower() != "timecode"}


def has_time_code(tags: Mapping[str, str]) -> bool:
    """Whether one of the tags is the time code of the first frame."""
    return len(without_time_code(tags)) < len(tags)


def _shifted(chapter: Any, start: Fraction, limit: Fraction | None) -> dict[str, Any] | None:
    """A chapter in the time of the output; None if it lies outside, or is damaged."""
    tick = fraction(chapter["time_base"])
    if tick is None or chapter["end"] < chapter["start"]:
        return None
    first, end = (round(chapter[name] - start / tick) for name in ("start", "end"))
    last = end if limit is None else min(end, round(limit / tick))
    if last < max(first, 0) or (last == max(first, 0) and first < end):  # nothing of it is left
        return None
    tags = film_tags(chapter["metadata"])
    return {**chapter, "metadata": tags, "start": max(first, 0), "end": last, "time_base": tick}


def is_in_tags(stream: "av.stream.Stream", film: FilmTags) -> bool:
    """Whether a stream only repeats the film's tags: chapters and time codes of QuickTime."""
    if stream.type == "data":
        return "timecode" in stream.metadata or bool(film.chapters and stream.name == "bin_data")
    context, tick = stream.codec_context, fraction(stream.time_base)
    if stream.type != "subtitle" or not film.chapters or context is None or tick is None:
        return False
    # FFmpeg 8.0 gives the titles of chapters as subtitles.
    end = film.chapters[-1]["end"] * film.chapters[-1]["time_base"]
    lasts = (stream.duration or 0) * tick
    alike = stream.frames == len(film.chapters) and abs(lasts - end) < Fraction(1, 100)
    return context.name == "mov_text" and alike


def fit_tags(
    film: FilmTags, muxer: str, options: Mapping[str, str], rate: Fraction
) -> tuple[FilmTags, list[str]]:
    """The part of a film's tags that a container takes, and what not in words, as a short video shows."""
    bare = without_time_code(film.tags)
    tries = (film, FilmTags(bare, film.chapters), FilmTags(film.tags), FilmTags(bare), FilmTags())
    results = ((tried, _read_back(tried, muxer, options, rate)) for tried in tries)
    fallback = (FilmTags(), (set[str](), 0))
    tried, (keys, chapters) = next(((t, found) for t, found in results if found), fallback)
    lost = [f"tag {key!r}" for key in film.tags if key.lower() not in keys]
    if chapters < len(film.chapters):
        lost.append("chapters")
    return tried, lost


def _read_back(
    film: FilmTags, muxer: str, options: Mapping[str, str], rate: Fraction
) -> tuple[set[str], int] | None:
    """The keys of the tags, and the number of chapters, in a file with these; None if there is none."""
    content = io.BytesIO()
    try:
        with open_av(content, "w", format=muxer, options=dict(options)) as output:
            # A codec whose packets need no header of their own; they are never decoded.
            codec = "vp8" if muxer == "webm" else "mpeg4"
            stream = output.add_mux_stream(codec, rate=rate, width=16, height=16)
            output.metadata.update(film.tags)
            output.set_chapters(list(film.chapters))
            packet: av.Packet = av.Packet(bytes(16))
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, 1 / rate, 0, 0
            packet.is_keyframe = True
            output.mux_one(packet)
        content.seek(0)
        with open_av(content, "r") as written:
            named = (written.metadata, *(stream.metadata for stream in written.streams))
            return {key.lower() for tags in named for key in tags}, len(written.chapters())
    except (av.error.FFmpegError, ValueError, OverflowError):
        return None
