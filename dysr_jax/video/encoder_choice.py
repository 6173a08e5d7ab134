"""An encoder, chosen by name or for a format, with all that it is opened with; and what can be chosen."""

import dataclasses
from fractions import Fraction
from typing import Any

from dysr_jax.errors import InputError
from dysr_jax.fields import as_integer, require
from dysr_jax.model.planes import PlaneFormat
from dysr_jax.video.encoders import (
    ALL,
    ENCODERS,
    PIXEL_FORMATS,
    Encoder,
    Options,
    Size,
    Trial,
    takes,
    try_encoders,
)
from dysr_jax.video.samples import is_subsampled, plane_format
from dysr_jax.video.sink import FORMATS, Format


@dataclasses.dataclass(frozen=True)
class EncoderInfo:
    """An encoder, what it takes in this build of FFmpeg, and whether it works here."""

    name: str
    """As `open_writer` takes it."""
    codec: str
    suffixes: tuple[str, ...]
    """Of the files that take it."""
    pixel_formats: tuple[str, ...]
    crf: tuple[int, int] | None
    """Range of `crf`; None: it has none."""
    presets: tuple[str, ...]
    hardware: bool
    works: bool
    """Whether it was opened and encoded a frame."""
    reason: str | None
    """Why it does not work."""


def list_encoders() -> tuple[EncoderInfo, ...]:
    """All encoders that can be asked for; each is tried with one frame."""
    here = [encoder for encoder in ALL if encoder.available]
    forms = [next(iter(encoder.pixel_formats.values()), "yuv420p") for encoder in here]
    trials = [
        Trial(encoder.name, encoder.device, form, _options(encoder, None, None))
        for encoder, form in zip(here, forms, strict=True)
    ]
    reasons = dict(zip(here, try_encoders(trials), strict=True))
    return tuple(_info(encoder, reasons.get(encoder, "this FFmpeg does not have it")) for encoder in ALL)


def _info(encoder: Encoder, reason: str | None) -> EncoderInfo:
    suffixes = tuple(suffix for suffix, form in FORMATS.items() if takes(form, encoder))
    quality, presets = encoder.quality, encoder.presets
    return EncoderInfo(
        encoder.name,
        encoder.codec,
        suffixes,
        tuple(encoder.pixel_formats),
        (quality.low, quality.high) if quality else None,
        presets.names if presets else (),
        encoder.hardware,
        reason is None,
        reason,
    )


@dataclasses.dataclass(frozen=True)
class Choice:
    """An encoder with all that it is opened with, for a format and a size."""

    encoder: Encoder
    options: Options = dataclasses.field(hash=False)
    pixel_format: str
    """That it takes."""
    planes: str
    """The pixel format of the frames that it is given; FFmpeg repacks them where it takes another."""
    multiple: int
    """The sides of the frames are multiples of it."""
    note: str | None

    def plane_format(self, matrix: int) -> PlaneFormat:
        """Of the frames."""
        return plane_format(self.planes, matrix)


def choose(
    form: Format,
    size: Size,
    rate: Fraction,
    *,
    name: str = "auto",
    crf: int | None = None,
    preset: str | None = None,
    pixel_format: str | None = None,
) -> Choice:
    """The encoder of that name, or the first of the format's that this FFmpeg has, and its options.

    What cannot be is an InputError that names the argument, its value, and what it must be.
    """
    if pixel_format is not None:
        require(pixel_format in PIXEL_FORMATS, "pixel_format", pixel_format, _one_of(PIXEL_FORMATS))
    planes = pixel_format or "yuv420p"
    encoder, note = _first(form, planes) if name == "auto" else (_named(form, name), None)
    formats = encoder.pixel_formats
    require(planes in formats, "pixel_format", planes, f"{_one_of(formats)}, for {encoder.name} here")
    least, shown = encoder.smallest, f"{size[0]}x{size[1]}"
    require(min(size) >= least, "size", shown, f"at least {least}x{least} for {encoder.name}")
    options = _options(encoder, crf, preset)
    if is_subsampled(planes):
        options["chroma_sample_location"] = "left"
    multiple = 2 if encoder.even and is_subsampled(planes) else 1
    if encoder.hardware:
        columns, rows = (-(-side // multiple) * multiple for side in size)
        trial = Trial(encoder.name, encoder.device, formats[planes], options, (columns, rows), str(rate))
        (reason,) = try_encoders([trial])
        what = f"one that works here for {columns}x{rows} at {rate} frames per second"
        require(reason is None, "encoder", encoder.name, f"{what} ({reason})")
    return Choice(encoder, options, formats[planes], planes, multiple, note)


def _one_of(names: Any) -> str:
    return f"one of {', '.join(names)}" if names else "another"


def _first(form: Format, planes: str) -> tuple[Encoder, str | None]:
    """The first encoder of a format that this build of FFmpeg has, and that takes such frames."""
    names, found = form.encoders, [ENCODERS[each] for each in form.encoders if ENCODERS[each].available]
    if not found:
        missing = ", ".join(names)
        raise InputError(f"format {form.muxer!r} cannot be written: this FFmpeg has no {missing}")
    fitting = [encoder for encoder in found if planes in encoder.pixel_formats]
    must = ", ".join(dict.fromkeys(each for encoder in found for each in encoder.pixel_formats))
    require(bool(fitting), "pixel_format", planes, f"one of {must}, in {form.muxer} here")
    first = fitting[0]
    if first.name == names[0]:
        return first, None
    why = "this FFmpeg has no better one" if first is found[0] else f"it takes {planes}"
    return first, f"encoded with {first.name}: {why}"


def _named(form: Format, name: str) -> Encoder:
    require(name in ENCODERS, "encoder", name, _one_of(("auto", *ENCODERS)))
    fitting = [encoder for encoder in ALL if takes(form, encoder)]
    here = [encoder.name for encoder in fitting if encoder.available]
    require(ENCODERS[name] in fitting, "encoder", name, f"{_one_of(here)}, for {form.muxer}")
    require(name in here, "encoder", name, f"{_one_of(here)}: this FFmpeg does not have it")
    return ENCODERS[name]


def _options(encoder: Encoder, crf: int | None, preset: str | None) -> Options:
    options, quality, presets = dict(encoder.options), encoder.quality, encoder.presets
    if quality is None:
        require(crf is None, "crf", crf, f"left out: {encoder.name} loses nothing")
    else:
        level = quality.default if crf is None else as_integer(crf)
        if level is None or not quality.low <= level <= quality.high:
            limits = f"[{quality.low}, {quality.high}]"
            raise InputError(f"crf must be in {limits} for {encoder.name}, got {crf}")
        options |= dict.fromkeys(quality.options, str(level * quality.factor))
    if presets is None:
        require(preset is None, "preset", preset, f"left out: {encoder.name} has none")
    else:
        chosen = presets.default if preset is None else str(preset)
        require(chosen in presets.names, "preset", preset, f"{_one_of(presets.names)}, for {encoder.name}")
        options[presets.option] = chosen
    return options
