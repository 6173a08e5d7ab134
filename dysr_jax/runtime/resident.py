"""A bundle's weights on the device, and executables over them."""

import jax
import numpy as np

from dysr_jax.model.programs import Output, frame_spec
from dysr_jax.model.supernet import Params, arch_params
from dysr_jax.runtime.bundle import Bundle
from dysr_jax.runtime.executables import Executable, ExecutableCache
from dysr_jax.runtime.held import Entry
from dysr_jax.runtime.memory import tree_bytes, workspace_bytes
from dysr_jax.runtime.program import Program
from dysr_jax.runtime.static import Compile, compile_now, static_executable


class Resident:
    """The weights, once, and what of them each member reads.

    Args:
        bundle: the members and their weights.
        cache: where executables are looked for and kept; None: all are compiled.
        output: where results lie.
    """

    def __init__(self, bundle: Bundle, *, cache: ExecutableCache | None, output: Output) -> None:
        self._bundle = bundle
        self._cache = cache
        self._output = output
        self._params = jax.device_put(bundle.params)
        self.read: dict[str, Params] = {}
        """By arch's name, once it has an entry: the first argument of its executables."""

    @property
    def weights(self) -> int:
        """Bytes of all weights, what several members read counted once."""
        return tree_bytes(self._params)

    def entry(self, program: Program, compile_lowered: Compile = compile_now) -> Entry:
        """The executable of a program, from the cache or compiled by `compile_lowered`.

        Raises:
            InputError: weights that it reads were not kept.
        """
        arch = self._bundle.arch(program.member)
        read = arch_params(self._params, self._bundle.space, arch)
        executable = static_executable(
            self._bundle.net,
            arch,
            self._params,
            program.shape,
            batch=program.batch,
            output=self._output,
            cache=self._cache,
            compile_lowered=compile_lowered,
        )
        self.read.setdefault(program.member, read)
        return Entry(executable, workspace_bytes(executable.compiled, tree_bytes(read)))

    def warm_up(self, program: Program, executable: Executable) -> None:
        """Run it once, on a black frame: some backends finish their work at the first run."""
        spec = frame_spec(program.shape, program.batch)
        blank = np.zeros(spec.shape, spec.dtype)
        executable(self.read[program.member], blank).block_until_ready()
