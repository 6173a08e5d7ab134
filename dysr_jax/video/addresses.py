"""What a source may be beside a file: an address in a network, or a capture device."""

import os
import pathlib
import re
import socket
import urllib.parse
from typing import Any

ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
SCHEMES = ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt")
LASTING = ("http", "https")  # what lies there can be read again, and from the middle
LIVE = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt")
# What an address may lead FFmpeg to, as a playlist does: no file of this machine.
PROTOCOLS = (*SCHEMES, "httpproxy", "tls", "crypto", "data", "hls", "srtp", "rtmpt", "rtmpts", "rtmpe")
ENDLESS = ("hls", "mpjpeg")  # formats on servers that may have no end
DEVICES = ("avfoundation", "dshow")  # of macOS and Windows: a name such as `avfoundation:0`
TIMEOUT_S = 10
"""How long a source may send nothing."""


def scheme_of(name: str) -> str | None:
    """`http` and the like if a name is an address; None for a file, also one of such a name."""
    found = ADDRESS.match(name)
    return found[1].lower() if found and not os.path.lexists(name) else None


def device_of(name: str) -> tuple[str, str] | None:
    """FFmpeg's format of a capture device and the device's name there; None if it is none."""
    kind, _, device = name.partition(":")
    if kind in DEVICES and not os.path.lexists(name):
        return kind, device
    linked = name.startswith("/dev/") and pathlib.Path(name).exists()  # names in /dev/v4l are links
    return ("v4l2", name) if linked and os.path.realpath(name).startswith("/dev/video") else None


def lasts(name: str) -> bool:
    """Whether a source can be read again and from the middle: no pipe, no device, no stream."""
    scheme = scheme_of(name)
    return pathlib.Path(name).is_file() if scheme is None else scheme in LASTING


def is_live(name: str, container: Any) -> bool:
    """Whether frames of an open source come at their own pace."""
    endless = container.format.name in ENDLESS and scheme_of(name) is not None and not container.duration
    return endless or scheme_of(name) in LIVE or device_of(name) is not None


def unknown_host(name: str) -> str | None:
    """The host of an address if it has no number here, for which FFmpeg has no words; else None."""
    try:
        host = urllib.parse.urlsplit(name).hostname
        socket.getaddrinfo(host, None)
    except socket.gaierror:
        return host
    except (OSError, ValueError):
        pass
    return None
