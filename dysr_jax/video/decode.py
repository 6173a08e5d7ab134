"""From an open container to decoded frames, past what is damaged."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dysr_jax.video.packets import Packets
from dysr_jax.video.pyav import fraction
from dysr_jax.video.stamps import Stamps, settled

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

HELD = 64
"""More frames than a decoder holds back."""


class Decoder:
    """The frames of a stream. Packets that cannot be decoded are left out and counted."""

    def __init__(self, container: "InputContainer", stream: "VideoStream") -> None:
        self.stream = stream
        self.packets = Packets(container)
        self._first_dts: int | None = None
        self._stamps = Stamps()
        self.skipped = 0
        """Packets that could not be decoded."""
        self.concealed = 0
        """Frames with damage that the decoder filled in."""
        self.cut = False
        """Whether the last packet was incomplete."""
        self.failure: str | None = None
        """Why reading ended before the end of the file."""
        self.ended = False
        """Whether all that can be decoded was given."""

    def __iter__(self) -> Iterator["av.VideoFrame"]:
        return settled(self._frames(), round(1 / (fraction(self.stream.time_base) or 1)))

    def _frames(self) -> Iterator["av.VideoFrame"]:
        for packet in self._packets():
            for frame in self._decoded(packet):
                self.concealed += frame.is_corrupt
                frame.pts = self._stamps(frame.pts, frame.dts, self._first_dts)
                yield frame
        self.ended = True

    def _packets(self) -> Iterator["Packet"]:
        import av

        self.stream.thread_type = "AUTO"  # frames in parallel, where the codec can
        try:
            for packet in self.packets:
                if packet.stream.index == self.stream.index:
                    self.cut = packet.is_corrupt
                    self._first_dts = packet.dts if self._first_dts is None else self._first_dts
                    yield packet
        except av.error.FFmpegError as error:
            self.failure = error.strerror or str(error)
        yield from self._last()

    def _last(self) -> Iterator["Packet"]:
        """Empty packets, for what the decoder still holds; each damaged frame in it takes one more."""
        from av.packet import Packet

        for _ in range(HELD):
            before = self.skipped
            yield Packet()
            if self.skipped == before:
                return

    def _decoded(self, packet: "Packet") -> list["av.VideoFrame"]:
        import av

        try:
            return self.stream.decode(packet if packet.size else None)
        except av.error.EOFError:
            return []
        except (
            av.error.FFmpegError,
            ValueError,
        ):  # PyAV's own: the codec changed to an unknown one
            self.skipped += 1
            return []
