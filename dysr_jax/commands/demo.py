"""A page that upscales in the browser."""

import dataclasses
import pathlib
from typing import Annotated

import tyro

from dysr_jax.apps import write_demo
from dysr_jax.bundle import find_bundle
from dysr_jax.commands.common import BundleOptions


@dataclasses.dataclass(frozen=True)
class Demo(BundleOptions):
    """Write a page that upscales in the browser, with a bundle's members."""

    folder: Annotated[tyro.conf.Positional[str], tyro.conf.arg(name="out", metavar="OUT")]
    """The page's folder, which is made; its index.html opens from a file or from any server."""
    members: tuple[str, ...] = ()
    """Members' names, fastest or best; without any, at most eight, evenly along the front."""
    runtime: pathlib.Path | None = None
    """Folder of the npm package onnxruntime-web, which is copied; without it a CDN has the files."""
    overwrite: bool = False
    """Replace a demo that is there."""

    def __call__(self) -> None:
        page = write_demo(
            find_bundle(self.bundle, self.scale),
            self.folder,
            members=self.members or None,
            runtime=self.runtime,
            overwrite=self.overwrite,
        )
        print(page)
