"""What a video stream and its first frame say about the whole."""

from fractions import Fraction

from dysr_jax.model import SITINGS, PlaneFormat
from dysr_jax.video import colour
from dysr_jax.video.source import av, fraction

MAX_GUESSED_RATE = 120  # frames per second; a guess above it is the unit of the time stamps
MATRIX_NAMES = {colour.BT709: "BT.709", 5: "BT.601", colour.BT601: "BT.601", 9: "BT.2020"}
SITING_NAMES = dict(
    zip(SITINGS.values(), ("left", "centre", "top left", "top", "bottom left", "bottom"), strict=True)
)


def rates_of(stream: "av.video.stream.VideoStream") -> tuple[Fraction, Fraction]:
    """Frames per second on average, and where they are densest.

    They differ if the rate varies, or the last frame is shown long.
    """
    rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    rate = next((rate for rate in map(fraction, rates) if rate and rate > 0), Fraction(25))
    guessed = fraction(stream.guessed_rate)
    return rate, max(rate, guessed) if guessed and guessed <= MAX_GUESSED_RATE else rate


def start_of(container: "av.container.InputContainer", stream: "av.video.stream.VideoStream") -> Fraction:
    """The least time stamp in seconds; what lies before 0 is an audio preroll, unless pictures lie there."""
    own = (stream.start_time or 0) * (fraction(stream.time_base) or Fraction(0))
    start = Fraction(container.start_time or 0, 1_000_000)
    start = start if own < 0 else max(start, Fraction(0))
    return own if abs(own - start) < Fraction(1, 500_000) else start  # without the rounding


def declared_end(stream: "av.video.stream.VideoStream", start: Fraction) -> Fraction | None:
    """When the last frame ends, as the stream or Matroska's tag declares it."""
    tick = fraction(stream.time_base)
    if stream.duration and tick:
        return ((stream.start_time or 0) + stream.duration) * tick - start
    try:
        hours, minutes, seconds = map(Fraction, stream.metadata.get("DURATION", "").split(":"))
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds - start or None


def described(frame: "av.VideoFrame", form: PlaneFormat | None) -> str:
    """Pixel format and colours, in words."""
    if form is None:
        return frame.format.name
    words = [frame.format.name, "full range" if form.full_range else "limited range"]
    if form.chroma is not None:
        words.append(MATRIX_NAMES.get(form.matrix, f"matrix {form.matrix}"))
    if form.chroma and any(form.chroma):
        words.append(f"chroma {SITING_NAMES[form.siting]}")
    return ", ".join(words)


def notes_on(frame: "av.VideoFrame") -> list[str]:
    """What is assumed of a frame, and what of it is left out, a sentence each."""
    notes = []
    if colour.is_yuv(frame) and int(frame.colorspace) in colour.UNKNOWN:
        name = MATRIX_NAMES[colour.matrix_of(frame)]
        notes.append(f"it does not say its colour matrix: {name} is assumed")
    if any(component.is_alpha for component in frame.format.components):
        notes.append("its transparency is left out")
    return notes
