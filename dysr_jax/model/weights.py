"""Weights as safetensors: data only, so reading a file runs no code from it."""

from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from etils import epath
from flax.traverse_util import flatten_dict

from dysr_jax.errors import InputError
from dysr_jax.model.space import SearchSpace
from dysr_jax.model.supernet import Params, init_params

SUPERNET_FILE: Final = "supernet.safetensors"  # the file in which a run leaves the weights of all archs


def params_to_bytes(params: Params, dtype: str = "float32", metadata: dict[str, str] | None = None) -> bytes:
    """A safetensors file of `slot/kernel` arrays in this dtype."""
    kernels = flatten_dict(params, sep="/")
    return safetensors.numpy.save(
        {key: np.ascontiguousarray(k, dtype) for key, k in kernels.items()}, metadata
    )


def params_from_bytes(content: bytes) -> Params:
    """The inverse of `params_to_bytes`, in float32 whatever the file holds. Raises `InputError`: it is no
    safetensors file.
    """
    try:
        kernels = safetensors.numpy.load(content)
    except safetensors.SafetensorError:
        raise InputError("it is no safetensors file") from None
    params: Params = {}
    for key, kernel in kernels.items():
        slot, _, name = key.partition("/")
        params.setdefault(slot, {})[name] = jnp.asarray(kernel, jnp.float32)
    return params


def same_params(first: Params, second: Params) -> bool:
    """Whether two pytrees hold the same kernels, value by value; NaN equals NaN."""
    if first is second:
        return True
    names = [{slot: sorted(kernels) for slot, kernels in p.items()} for p in (first, second)]
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=False)
    return names[0] == names[1] and all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def load_supernet(path: epath.PathLike, space: SearchSpace) -> Params:
    """The weights of all archs of a space, as a run leaves them in `SUPERNET_FILE`. Raises `InputError`: no
    such file, none of safetensors, or weights of another space.
    """
    try:
        params = params_from_bytes(epath.Path(path).read_bytes())
    except OSError:
        raise InputError(f"weights {str(path)!r}: the file cannot be read") from None
    except InputError as error:
        raise InputError(f"weights {str(path)!r}: {error}") from None
    needed = jax.eval_shape(lambda: init_params(jax.random.key(0), space))
    if jax.tree.map(jnp.shape, params) != jax.tree.map(lambda leaf: leaf.shape, needed):
        raise InputError(f"weights {str(path)!r}: must be those of this space (see space.*)")
    return params
