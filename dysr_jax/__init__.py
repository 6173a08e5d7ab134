"""DySR in JAX: search a weight-shared super-resolution supernet, switch its compiled sub-graphs.

import dysr_jax

bundle = dysr_jax.load_pretrained("x4")               # trained weights, members fastest first
big = dysr_jax.Upscaler(bundle)(image)                # uint8, any size; the best member

config = dysr_jax.load_config("quickstart")
bundle = dysr_jax.run_search(config, "runs/mine")     # train, search, select, bundle
bank = dysr_jax.Bank(bundle)
bank.prepare((180, 320))                              # compile every member ahead of time
frame = bank(lr_frame, bundle.members[0].name)        # uint8 in, uint8 out; switch by name

dysr_jax.stream_video(bundle, "film.mp4", "big.mp4")  # at the film's frame rate, by whichever member holds it

Most programs need no more than these names. The rest is one level down, where each package names what others
may use; in the order of the flow: `model`, `data`, `video`, `train`, `search`, `bundle`, `aot`, `runtime`,
`apps`; `bench` and `report` beside it.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.apps import Upscaler, evaluate_folder, stream_video, upscale_files
    from dysr_jax.apps.exporting import export
    from dysr_jax.bundle import Bundle, Member, load_bundle, load_pretrained
    from dysr_jax.config import RunConfig, load_config
    from dysr_jax.data import register_dataset
    from dysr_jax.errors import InputError
    from dysr_jax.model import SearchSpace, arch_name, parse_arch, register_branch
    from dysr_jax.report.html import write_report
    from dysr_jax.run import run_search
    from dysr_jax.runtime import Bank, Chain, Server, Serving
    from dysr_jax.runtime.policy import AdaptivePolicy, Observation, Policy

__all__ = ["AdaptivePolicy", "Bank", "Bundle", "Chain", "InputError", "Member", "Observation", "Policy"]
__all__ += ["RunConfig", "SearchSpace", "Server", "Serving", "Upscaler", "arch_name", "evaluate_folder"]
__all__ += ["export", "load_bundle", "load_config", "load_pretrained", "parse_arch", "register_branch"]
__all__ += ["register_dataset", "run_search", "stream_video", "upscale_files", "write_report"]
