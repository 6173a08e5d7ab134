"""A container that a thread of its own writes: the encoder's packets, and what is copied from the source."""

import functools
from fractions import Fraction
from time import perf_counter

from dysr_jax.threads import Worker
from dysr_jax.video import headers
from dysr_jax.video.copied import Copied
from dysr_jax.video.encoders import ordinary_priority
from dysr_jax.video.reader import Reader
from dysr_jax.video.sink import Format, Sink, muxer_options
from dysr_jax.video.source import av, open_av
from dysr_jax.video.tags import fit_tags

MAX_PACKETS = 8  # that wait for the thread; of raw video each is a whole frame


class Muxing:
    """A container in a sink. Until `start`, streams are added to `container`; then only the thread uses it.

    Of the source `like` it has tags, chapters, audio and subtitles.
    """

    def __init__(self, sink: Sink, form: Format, like: Reader | None) -> None:
        self.notes: list[str] = []
        self.ms: list[float] = []  # milliseconds of writing, by the number of the frame
        self._sink, self._form, self._like = sink, form, like
        # MP4 and MOV hold the tags that phones write under their full names.
        full_names = like is not None and any(key.startswith("com.") for key in like.film.tags)
        self._options = muxer_options(form, full_names=full_names)
        self.container: av.container.OutputContainer = open_av(
            sink, "w", format=form.muxer, options=self._options
        )
        self._copied: Copied | None = None
        self._until: Fraction | None = Fraction(0)
        self._worker: Worker[tuple[av.Packet | Fraction, int]]

    @property
    def error(self) -> BaseException | None:
        """The first error in the thread."""
        return self._worker.error

    def start(self, stream: "av.VideoStream", rate: Fraction) -> None:
        """Write the header, for the frames of `stream`, and begin the thread."""
        if self._like is not None:
            self._copy_others(self._like, stream, rate)
        self._write_pixel_aspect(stream)
        with ordinary_priority():
            self.container.start_encoding()
        if self._copied is not None:
            self._copied.begin()
        self._worker = Worker(self._write, self._end, MAX_PACKETS, "mux")

    def put(self, item: "av.Packet | Fraction", number: int) -> None:
        """Write a packet, or copy what is decoded before a time, for the frame of that number."""
        self._worker.put((item, number))

    def finish(self, until: Fraction | None) -> None:
        """Copy the rest, all of it or until a time, write the end of the file, and wait for that."""
        self._until = until
        self._worker.finish()

    def _write(self, entry: "tuple[av.Packet | Fraction, int]") -> None:
        began, (item, number) = perf_counter(), entry
        if isinstance(item, av.Packet):
            self.container.mux_one(item)
        elif self._copied is not None:
            self._copied.until(item)
        self.ms[number] += 1e3 * (perf_counter() - began)

    def _end(self) -> None:
        if self._copied is not None:
            self._copied.until(self._until)
            self._copied.close()
            self.notes += self._copied.notes
        self.container.close()

    def _copy_others(self, like: Reader, stream: "av.VideoStream", rate: Fraction) -> None:
        """Copy what is in the source beside its frames, as far as the container takes it."""
        film, lost = fit_tags(like.film, self._form.muxer, self._options, rate)
        self.container.metadata.update(film.tags)
        self.container.set_chapters(list(film.chapters))
        stream.metadata.update(like.tags)
        stream.disposition = like.disposition
        copied = self._copied = Copied(like, self.container, self._form.muxer)
        if left := [*copied.left, *lost]:
            verb, them = ("is", "it") if len(left) == 1 else ("are", "them")
            self.notes.append(f"{', '.join(left)} {verb} left out: {self._form.muxer} does not take {them}")
        created = None
        if "use_metadata_tags" in self._options.get("movflags", ""):
            created = headers.mp4_seconds(self.container.metadata.pop("creation_time", ""))
        if copied.covers or created is not None:
            self._sink.after = functools.partial(headers.patch_mp4, covers=copied.covers, created=created)

    def _write_pixel_aspect(self, stream: "av.VideoStream") -> None:
        """Put the pixel aspect ratio into the header if the muxer does not."""
        aspect = self._like.pixel_aspect if self._like else Fraction(1)
        if self._form.muxer in ("matroska", "webm") and aspect != 1:
            shown = headers.display_size((stream.width, stream.height), aspect)
            self._sink.edit = functools.partial(headers.matroska_header, shown=shown)
            stream.metadata["title"] = stream.metadata.get("title", "") + headers.PLACEHOLDER
