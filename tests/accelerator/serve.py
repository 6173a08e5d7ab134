"""A process that serves a photograph by every shipped member, fused and chained, and keeps the pixels.

python serve.py FILE.npz: prints what came from the cache of executables, as JSON.
"""

import json
import sys

import numpy as np
from skimage.data import astronaut

import dysr_jax
import dysr_jax.bundle
from dysr_jax.aot.executables import DEFAULT_CACHE

SHAPE = (90, 160)
"""LR rows and columns."""


def photograph() -> np.ndarray:
    """`[90, 160, 3]` uint8."""
    return np.ascontiguousarray(astronaut()[40 : 40 + SHAPE[0], 150 : 150 + SHAPE[1]])


def main(out: str) -> None:
    """Serve and print."""
    frames = {}
    for name in dysr_jax.bundle.pretrained_names():
        bundle = dysr_jax.load_pretrained(name)
        bank = dysr_jax.Bank(bundle)
        bank.prepare(SHAPE)
        for member in bundle.members:
            frames[f"{name} {member.name}"] = bank(photograph(), member.name)
    chain = dysr_jax.Chain(bundle)
    chain.prepare(SHAPE)
    for member in bundle.members:
        frames[f"chain {member.name}"] = chain(photograph(), member.arch)
    np.savez(out, **frames)
    cache = DEFAULT_CACHE
    print(json.dumps({"loaded": cache.loaded, "compiled": cache.compiled, "failed": cache.failed}))


if __name__ == "__main__":
    main(sys.argv[1])
