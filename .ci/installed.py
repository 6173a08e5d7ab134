"""What an installation has to be able to do, whatever folder it is used in."""

import importlib.metadata
import importlib.resources
import subprocess
import sys

import numpy as np

import dysr_jax
from dysr_jax.bundle import pretrained_names

place = importlib.resources.files("dysr_jax")
assert "site-packages" in str(place), f"{place} is not an installation"
image = np.full((24, 32, 3), 128, np.uint8)
for name in pretrained_names():
    bundle = dysr_jax.load_pretrained(name)
    scale = bundle.space.scale
    big = dysr_jax.Upscaler(bundle)(image, "fastest")
    assert big.shape == (24 * scale, 32 * scale, 3), big.shape
    assert abs(int(big[24, 32, 1]) - 128) < 8, "grey does not stay grey"
assert len(pretrained_names()) >= 2, "the weights are not in the package"
data = ("py.typed", "pretrained/README.md", "report/html/assets/page.html", "apps/demo/assets/page.html")
missing = [name for name in data if not place.joinpath(name).is_file()]
assert not missing, f"not installed: {missing}"
command = f"{sys.prefix}/bin/dysr"
told = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
assert told.split() == ["dysr_jax", importlib.metadata.version("dysr_jax")], told
print(f"{told.strip()} in {place}: upscales with {', '.join(pretrained_names())}")
