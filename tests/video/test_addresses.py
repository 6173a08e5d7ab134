"""Addresses and cameras: from servers on this machine, and what cannot be reached."""

import contextlib
import functools
import http.server
import io
import pathlib
import socket
import threading
import time
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from dysr_jax.errors import InputError
from dysr_jax.video import addresses, source
from dysr_jax.video.reader import open_video

HOST = "127.0.0.1"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass


class Stopping(Quiet):
    """Declares the whole file, and ends the connection after 60 % of it."""

    def do_GET(self):
        content = pathlib.Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) * 6 // 10])
        self.close_connection = True


class Silent(Quiet):
    """As `Stopping`, but goes on saying nothing."""

    leave = threading.Event()

    def do_GET(self):
        content = pathlib.Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) * 6 // 10])
        self.wfile.flush()
        self.leave.wait(30)


@contextlib.contextmanager
def serving(folder, handler=Quiet):
    """The address of a folder."""
    server = http.server.ThreadingHTTPServer((HOST, 0), functools.partial(handler, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Camera(Quiet):
    """Pictures one behind the other, as web cameras send them."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(30):
            content = io.BytesIO()
            Image.new("RGB", (32, 24), (8 * number, 0, 0)).save(content, "JPEG")
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {content.tell()}\r\n\r\n"
            self.wfile.write(head.encode() + content.getvalue() + b"\r\n")
        self.close_connection = True


def free_port(kind=socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as taken:
        taken.bind((HOST, 0))
        return taken.getsockname()[1]


def read(name, **options):
    with open_video(name, **options) as reader:
        return reader, list(reader.frames())


def same(found, expected) -> bool:
    pairs = list(zip(found, expected, strict=True))
    return all(a.time == b.time and np.array_equal(a.image, b.image) for a, b in pairs)


def playlist(films, folder, *, ended: bool, more: str = "") -> None:
    """A list of MPEG-TS segments, 25 frames each."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
    for number in range(3):
        late = (("output_ts_offset", str(number)),)
        films.make(f"{number}.ts", frames=25, muxer=late, options=(("bf", "0"),))
        lines += ["#EXTINF:1.0,", f"{number}.ts"]
    lines += [more] * bool(more) + ["#EXT-X-ENDLIST"] * ended
    (folder / "list.m3u8").write_text("\n".join(lines) + "\n")


def test_a_file_from_a_server_is_the_file(films, tmp_path):
    path = films.make("a.mp4", audio="aac", frames=30)
    _, expected = read(path)
    with serving(tmp_path) as address:
        reader, frames = read(f"{address}/a.mp4")
        assert same(frames, expected) and len(frames) == 30
        assert not reader.live and reader.damaged is None
        notes = films.upscaled(f"{address}/a.mp4", tmp_path / "out.mp4").notes
    assert not any("copied" in note for note in notes)
    assert len(films.packets(tmp_path / "out.mp4", "audio")) == len(films.packets(path, "audio"))


def test_an_output_may_be_replaced_by_what_an_address_gives(films, tmp_path):
    films.make("a.mp4", frames=3)
    (tmp_path / "out.mkv").write_text("old")
    with serving(tmp_path) as address:
        films.upscaled(f"{address}/a.mp4", tmp_path / "out.mkv", overwrite=True)
    assert len(films.decoded(tmp_path / "out.mkv")) == 3


def test_a_playlist_is_one_film(films, tmp_path):
    playlist(films, tmp_path, ended=True)
    with serving(tmp_path) as address:
        reader, frames = read(f"{address}/list.m3u8")
    assert len(frames) == 75 and not reader.live
    assert frames[-1].time - frames[0].time == pytest.approx(74 / 25, abs=1e-3)


def test_a_playlist_without_an_end_is_live(films, tmp_path):
    playlist(films, tmp_path, ended=False)
    with serving(tmp_path) as address, open_video(f"{address}/list.m3u8") as reader:
        assert reader.live
        assert next(reader.frames()).image.shape == (24, 32, 3)


def test_a_web_camera_is_live(tmp_path):
    with serving(tmp_path, Camera) as address:
        reader, frames = read(f"{address}/camera")
    assert reader.live and len(frames) == 30
    assert reader.planes is not None and reader.planes.full_range and reader.planes.siting == (1, 1)


def test_a_playlist_of_a_server_reads_no_file_of_this_machine(films, tmp_path):
    secret = films.make("secret.ts", frames=25)
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(text)
    (tmp_path / "list.txt").write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    with serving(tmp_path) as address:
        for name in ("list.m3u8", "list.txt"):
            with pytest.raises(InputError, match="cannot be read"):
                open_video(f"{address}/{name}")
    with open_video(secret) as reader:  # the file itself is a video
        assert len(list(reader.frames())) == 25


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4"])
def test_a_server_that_stops_in_the_middle_ends_the_video_with_a_line(films, tmp_path, name):
    muxer = (("movflags", "faststart"),) if name == "a.mp4" else ()
    films.make(name, codec="mpeg2video" if name == "a.ts" else "mpeg4", frames=50, muxer=muxer)
    with serving(tmp_path, Stopping) as address:
        reader, frames = read(f"{address}/{name}")
    assert 20 < len(frames) < 45
    assert reader.ended and reader.damaged is not None and "\n" not in reader.damaged


def test_a_server_that_falls_silent_ends_the_video_with_a_line(films, tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "TIMEOUT_S", 3)
    films.make("a.mkv", codec="mpeg4", frames=50, size=(320, 240))
    Silent.leave.clear()
    with serving(tmp_path, Silent) as address:
        reader, frames = read(f"{address}/a.mkv")
        Silent.leave.set()
    assert 20 < len(frames) < 45
    assert "nothing came for 3 s" in reader.damaged


def send(path, port: int, stop: threading.Event) -> None:
    """A transport stream in datagrams, in real time, again and again."""
    content = path.read_bytes()
    with socket.socket(type=socket.SOCK_DGRAM) as to:
        for at in range(0, len(content), 1316):
            if stop.is_set():
                return
            to.sendto(content[at : at + 1316], (HOST, port))
            time.sleep(0.002)


def test_a_transport_stream_over_udp_is_live_and_ends_when_nothing_comes(films, monkeypatch):
    monkeypatch.setattr(addresses, "TIMEOUT_S", 4)
    path = films.make("a.ts", codec="mpeg2video", frames=100)  # fits into a socket's buffer
    port, stop = free_port(socket.SOCK_DGRAM), threading.Event()
    thread = threading.Thread(target=send, args=(path, port, stop))
    thread.start()
    try:
        reader, frames = read(f"udp://{HOST}:{port}")
    finally:
        stop.set()
        thread.join()
    assert reader.live and reader.ended
    assert 50 < len(frames) <= 100
    assert "nothing came for 4 s" in reader.damaged
    assert frames[0].image.shape == (24, 32, 3)


@pytest.mark.parametrize("scheme", ["http", "https", "rtsp", "rtmp", "tcp"])
def test_an_address_where_nobody_listens_is_refused_in_a_line(scheme):
    with pytest.raises(InputError, match=rf"{scheme}://.*: Connection refused") as caught:
        open_video(f"{scheme}://{HOST}:{free_port()}/a.mp4")
    assert "\n" not in str(caught.value)


def test_a_source_that_says_nothing_is_refused_after_a_while(monkeypatch):
    monkeypatch.setattr(addresses, "TIMEOUT_S", 0.5)
    with pytest.raises(InputError, match=r"nothing came for 0.5 s"):
        open_video(f"udp://{HOST}:{free_port(socket.SOCK_DGRAM)}")


def test_a_host_that_is_not_known_is_named():
    with pytest.raises(InputError, match=r"its host 'no-such-host.invalid' is not found"):
        open_video("http://no-such-host.invalid/a.mp4")


def test_a_file_that_is_not_on_the_server(tmp_path):
    with serving(tmp_path) as address, pytest.raises(InputError, match=r"404 Not Found"):
        open_video(f"{address}/a.mp4")


def test_an_unknown_scheme_is_refused():
    with pytest.raises(InputError, match=r"'gopher://a/b' cannot be read: its scheme must be one of http, "):
        open_video("gopher://a/b")


def test_a_protocol_that_this_ffmpeg_lacks_is_named(monkeypatch):
    monkeypatch.setattr(addresses, "SCHEMES", (*addresses.SCHEMES, "nosuch"))
    with pytest.raises(InputError, match="this FFmpeg has no protocol nosuch"):
        open_video("nosuch://a/b")


def test_a_file_whose_name_is_an_address_wins(films, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:" / HOST).mkdir(parents=True)
    path = films.make("a.mkv", frames=3)
    path.rename(tmp_path / "http:" / HOST / "a.mkv")
    reader, frames = read(f"http://{HOST}/a.mkv")
    assert len(frames) == 3 and not reader.live


# --- cameras --------------------------------------------------------------------------------------


def test_a_camera_that_is_not_there():
    with pytest.raises(InputError, match="'/dev/video9' does not exist"):
        open_video("/dev/video9")


def opened(monkeypatch, name, answer):
    """What `av.open` is called with; it gives, or raises, the answer."""
    calls = []

    def fake(place, mode, **options):
        calls.append(SimpleNamespace(place=place, mode=mode, **options))
        if isinstance(answer, Exception):
            raise answer
        return av.open(answer, mode)

    monkeypatch.setattr(source, "open_av", fake)
    return calls


def test_a_camera_is_opened_by_its_driver_and_is_live(films, monkeypatch):
    """No test machine has one: a file answers in its place."""
    path = str(films.make("a.mkv", codec="rawvideo", form="yuyv422", frames=3))
    monkeypatch.setattr(addresses.os.path, "realpath", lambda name: "/dev/video7")
    calls = opened(monkeypatch, "/dev/null", path)
    reader, frames = read("/dev/null")
    (call,) = calls
    assert (call.place, call.mode, call.format) == ("/dev/null", "r", "v4l2")
    assert call.timeout == addresses.TIMEOUT_S and "protocol_whitelist" not in call.options
    assert reader.live and len(frames) == 3


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (av.error.OSError(16, "Device or resource busy", "/dev/null"), "Device or resource busy"),
        (av.error.PermissionError(13, "Permission denied", "/dev/null"), "Permission denied"),
        (ValueError("no container format 'v4l2'"), "this FFmpeg has no devices of v4l2"),
    ],
)
def test_a_camera_that_cannot_be_opened_is_refused_in_a_line(monkeypatch, error, words):
    monkeypatch.setattr(addresses.os.path, "realpath", lambda name: "/dev/video7")
    opened(monkeypatch, "/dev/null", error)
    with pytest.raises(InputError, match=f"video '/dev/null' cannot be read: {words}"):
        open_video("/dev/null")


@pytest.mark.parametrize("kind", addresses.DEVICES)
def test_cameras_of_other_systems(films, monkeypatch, kind):
    path = str(films.make("a.mkv", frames=3))
    calls = opened(monkeypatch, kind, path)
    reader, _ = read(f"{kind}:video=Front camera")
    assert (calls[0].place, calls[0].format) == ("video=Front camera", kind)
    assert reader.live


def test_addresses_are_opened_without_local_protocols(films, monkeypatch):
    path = str(films.make("a.mkv", frames=3))
    calls = opened(monkeypatch, "rtsp", path)
    reader, frames = read("rtsp://camera.local/1")
    allowed = calls[0].options["protocol_whitelist"].split(",")
    assert not {"file", "pipe", "concat", "subfile", "fd"} & set(allowed)
    assert calls[0].place == "rtsp://camera.local/1" and calls[0].timeout == addresses.TIMEOUT_S
    assert reader.live and frames[1].time == Fraction(1, 25)
