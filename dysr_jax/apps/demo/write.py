"""The folder of the page: assets/ as they are, and what differs from page to page in scripts beside them.

A page that is opened from a file may load scripts and nothing else: models, film and runtime are text in
scripts, base64 of gzip.
"""

import base64
import gzip
import html
import importlib.resources
import json
import os
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from etils import epath

from dysr_jax.aot import picture_model
from dysr_jax.apps.demo.browser_runtime import CDN, from_cdn, from_folder
from dysr_jax.apps.demo.clip import clip_frames
from dysr_jax.apps.tiles import FADE_OVERLAP, receptive_radius
from dysr_jax.atomic import exclusive, is_remote, replacing_directory
from dysr_jax.bundle import Bundle, Member, check_bundle
from dysr_jax.errors import InputError
from dysr_jax.fields import as_path
from dysr_jax.version import package_version

PAGE: Final = "index.html"
ASSETS: Final = ("page.css", "policy.js", "worker.js", "view.js", "player.js", "page.js")
DATA: Final = ("models.js", "clip.js", "runtime.js")
MOST_MEMBERS: Final = 8
"""That a page has by itself, evenly along the front: their models are most of its bytes."""


def write_demo(
    bundle: Bundle,
    folder: epath.PathLike,
    *,
    members: Sequence[str] | None = None,
    runtime: epath.PathLike | None = None,
    overwrite: bool = False,
) -> epath.Path:
    """Write a page that upscales in the browser, whole or not at all, and return its `index.html`.

    It works from a file and from any static server; no picture leaves it. `members` are names of the
    bundle's, `fastest` or `best`; default: at most 8, evenly along the front. `runtime` is a folder of the
    npm package `onnxruntime-web`, which is copied: the page then asks no network for anything. Without it
    the page loads onnxruntime-web from a CDN. `overwrite` replaces a demo.

    Raises InputError: the folder exists or cannot be made, `runtime` lacks a file, there is no such member,
    a branch has no ONNX form, the package `onnx` is missing.
    """
    check_bundle(bundle)
    bundle.check_layers("a browser")
    target = _target(folder, overwrite=overwrite)
    found = from_cdn() if runtime is None else from_folder(as_path(runtime, "runtime"), _pack)
    with exclusive(target):
        _target(folder, overwrite=overwrite)  # another command may have ended meanwhile
        scripts = {
            "models.js": ("MODELS", _models(bundle, _chosen(bundle, members))),
            "clip.js": ("CLIP", _clip(bundle.space.scale)),
            "runtime.js": ("RUNTIME", found),
        }
        with replacing_directory(target) as partial:
            for name in ASSETS:
                (partial / name).write_text(_asset(name))
            for name, (constant, value) in scripts.items():
                (partial / name).write_text(f'"use strict";\nconst {constant} = {json.dumps(value)};\n')
            (partial / PAGE).write_text(_page(bundle.space.scale, CDN if runtime is None else None))
    return target / PAGE


def _target(folder: epath.PathLike, *, overwrite: bool) -> epath.Path:
    name = as_path(folder, "folder")
    target = epath.Path(name if is_remote(name) else os.path.realpath(name))
    if not is_remote(target) and not target.absolute().parent.is_dir():
        raise InputError(f"output {name!r}: must be in a folder that exists")
    if target.exists():
        if not overwrite:
            raise InputError(f"output {name!r} exists; overwrite replaces it")
        there = {file.name for file in target.iterdir()} if target.is_dir() else set()
        if not {PAGE, *DATA} <= there <= {PAGE, *ASSETS, *DATA}:
            raise InputError(f"output {name!r}: must be a demo and hold nothing else to be replaced")
    return target


def _chosen(bundle: Bundle, names: Sequence[str] | None) -> list[Member]:
    """Members from the lowest to the highest PSNR-Y, none twice."""
    members = list(bundle.members)
    if names is not None:
        members = list({(member := bundle.member(name)).name: member for name in names}.values())
        if not members:
            raise InputError("members (): must be at least one")
    elif len(members) > MOST_MEMBERS:
        indices = np.linspace(0, len(members) - 1, MOST_MEMBERS).round().astype(int)
        members = [members[index] for index in indices]
    return sorted(members, key=lambda member: member.psnr_y)


def _models(bundle: Bundle, members: Sequence[Member]) -> dict[str, Any]:
    listed = []
    for member in members:
        model = picture_model(bundle.space, bundle.params, member.arch, metadata={"member": member.name})
        radius = receptive_radius(bundle.space, member.arch)
        figures = {"name": member.name, "psnr_y": member.psnr_y, "parameters": member.parameters}
        overlap = FADE_OVERLAP if radius is None else radius
        listed.append({**figures, "overlap": overlap, "model": _pack(model.SerializeToString())})
    return {"scale": bundle.space.scale, "bicubic_psnr_y": bundle.bicubic_psnr_y, "members": listed}


def _clip(scale: int) -> list[str]:
    return [f"data:image/webp;base64,{base64.b64encode(file).decode()}" for file in clip_frames(scale)]


def _pack(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()


def _asset(name: str) -> str:
    return (importlib.resources.files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _page(scale: int, server: str | None) -> str:
    """The page; it may connect to one server, or to none."""
    values = {
        "scale": str(scale),
        "generator": html.escape(f"dysr_jax {package_version()}"),
        "server": server or "'none'",
        "network": "The runtime comes from a CDN; nothing else is asked for, and no picture is sent."
        if server
        else "It asks no network for anything.",
        "scripts": "\n".join(f'<script src="{name}"></script>' for name in (*DATA, *ASSETS[1:])),
    }
    page = _asset("page.html")
    for name, value in values.items():
        page = page.replace(f"@@{name}@@", value)
    return page
