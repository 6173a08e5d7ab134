"""Members of a bundle as files for other programs."""

import dataclasses
from typing import Annotated, Final

import tyro

from dysr_jax.apps.exporting import Exported, export
from dysr_jax.bundle import find_bundle
from dysr_jax.commands.common import BundleOptions
from dysr_jax.errors import InputError

LICENCE: Final = "Apache-2.0"  # of the weights that come with the package


@dataclasses.dataclass(frozen=True)
class Export(BundleOptions):
    """Write members as files that other programs load: ONNX, StableHLO or safetensors."""

    places: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(name="out", metavar="[BUNDLE] OUT")
    ]
    """Bundle directory (or --bundle), and a folder, or for one member a file with the format's suffix."""
    format: str = "onnx"
    """onnx, stablehlo (for jax.export.deserialize) or safetensors."""
    members: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--member"])] = ()
    """Members' names, fastest or best; without any, all."""
    precision: str = "float32"
    """float32, float16 (onnx, safetensors) or int8 (onnx; what it loses is measured)."""
    shape: tuple[int, int] | None = None
    """Fixed LR rows and columns; without them any."""
    clamp: bool = True
    """Keep the output of an ONNX model in [0, 1]."""
    calibration: str = "embedded"
    """Data source that int8 is calibrated and measured on, such as folder:PATH."""
    licence: str | None = None
    """Licence of the weights, written into the file; Apache-2.0 for those that come with the package."""
    overwrite: bool = False
    """Replace files that are there."""

    def __call__(self) -> None:
        *given, out = self.places or ("",)
        if not out or len(given) > 1 or (given and self.bundle is not None):
            told = " ".join(self.places) or "nothing"
            raise InputError(
                f"[BUNDLE] OUT: must be a place to write to, after at most one bundle, got {told}"
            )
        bundle = find_bundle(given[0] if given else self.bundle, self.scale)
        names = {field.name for field in dataclasses.fields(self)} - {"places", "bundle", "scale"}
        options = {name: getattr(self, name) for name in names}
        if not given and self.bundle is None and self.licence is None and self.format != "stablehlo":
            options["licence"] = LICENCE
        export(bundle, out, **options, on_written=_show)


def _show(file: Exported) -> None:
    print(f"{file.path}{f': {file.note}' if file.note else ''}", flush=True)
