"""What is found in a video while it is read, in sentences."""

from fractions import Fraction

from dysr_jax.video import colour
from dysr_jax.video.decode import Clock, Decoder
from dysr_jax.video.pyav import av, fraction

MATRIX_NAMES = {colour.BT709: "BT.709", colour.BT601: "BT.601"}

MAX_MISSING = Fraction(1, 2)
"""Seconds by which a whole video may end before the time that it declares."""


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


class Findings:
    """What a reader says beside its frames; `declared` is when the last frame should end, in seconds."""

    def __init__(
        self, first: "av.VideoFrame", decoder: Decoder, clock: Clock, declared: Fraction | None
    ) -> None:
        self._decoder, self._clock, self._declared = decoder, clock, declared
        self._size = first.width, first.height
        self._first_notes = tuple(_notes_on(first))
        self._interlaced = 0
        self._resized: list[str] = []

    def see(self, frame: "av.VideoFrame", time: Fraction) -> None:
        """Look at the next frame."""
        self._interlaced += frame.interlaced_frame
        if (frame.width, frame.height) != self._size:
            self._size = frame.width, frame.height
            self._resized.append(f"from {float(time):.2f} s on it is {frame.width}x{frame.height}")

    def damaged(self) -> str | None:
        """How the video ended too early."""
        if not self._decoder.ended:
            return None
        end = self._clock.end
        if self._decoder.failure:
            return f"it cannot be read after {float(end):.2f} s: {self._decoder.failure}"
        declared = self._declared if self._decoder.packets.timeline.trusted else None
        if declared is not None and declared - end > max(MAX_MISSING, 2 / self._clock.rate):
            return f"it ends at {float(end):.2f} s of the {float(declared):.2f} s it declares"
        return f"its last packet, at {float(end):.2f} s, is cut off" if self._decoder.cut else None

    def notes(self) -> tuple[str, ...]:
        """All sentences so far."""
        counted = (
            (self._decoder.skipped, "packets that cannot be decoded, left out"),
            (self._decoder.concealed, "damaged frames, filled in by the decoder"),
            (self._clock.repaired, "times that do not increase, moved"),
            (self._interlaced, "interlaced frames, used as they are woven"),
        )
        variable = ("its frame rate is variable",) if self._clock.variable else ()
        counts = tuple(f"{what}: {count}" for count, what in counted if count)
        return (*self._first_notes, *variable, *counts, *self._resized)


def _notes_on(frame: "av.VideoFrame") -> list[str]:
    """What the first frame shows of all."""
    notes = []
    if colour.is_yuv(frame) and int(frame.colorspace) in colour.UNKNOWN:
        name = MATRIX_NAMES[colour.matrix_of(frame)]
        notes.append(f"it does not say its colour matrix: {name} is assumed")
    depth = max(component.bits for component in frame.format.components)
    if depth > 8:
        notes.append(f"its {depth} bits per channel are rounded to 8")
    if any(component.is_alpha for component in frame.format.components):
        notes.append("its transparency is left out")
    return notes
