"""DySR in JAX: search a weight-shared super-resolution supernet, switch its compiled sub-graphs.

import dysr_jax

bundle = dysr_jax.load_pretrained("x4")               # trained weights, members fastest first
image = dysr_jax.Upscaler(bundle)(image)              # uint8, any size; the best member

config = dysr_jax.load_config("quickstart")
bundle = dysr_jax.run_search(config, "runs/mine")     # train, search, select, bundle
bank = dysr_jax.Bank(bundle)
bank.prepare((180, 320))                              # compile every member ahead of time
frame = bank(lr_frame, bundle.members[0].name)        # uint8 in, uint8 out; switch by name

dysr_jax.stream_video(bundle, "film.mp4", "big.mp4")  # at the film's frame rate, by whichever member holds it
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.aot.compilations import count_compilations
    from dysr_jax.apps.evaluation import evaluate_folder
    from dysr_jax.apps.files import upscale_files
    from dysr_jax.apps.upscaler import Upscaler
    from dysr_jax.apps.videos import VideoOptions, stream_video
    from dysr_jax.bench.data import bench_data
    from dysr_jax.bench.fps import bench_fps
    from dysr_jax.bench.front import bench_front
    from dysr_jax.bench.latency import profile
    from dysr_jax.bench.scaling import bench_scaling
    from dysr_jax.bench.search import bench_search
    from dysr_jax.bench.steady import SteadyOptions, bench_steady
    from dysr_jax.bench.step import bench_candidates, bench_step
    from dysr_jax.bench.switch.bench import bench_switch
    from dysr_jax.bundle.bundle import Bundle, Member, load_bundle
    from dysr_jax.bundle.members import Step
    from dysr_jax.bundle.pretrained import load_pretrained, pretrained_names
    from dysr_jax.config import RunConfig, load_config
    from dysr_jax.data.builders.datasets import Dataset, Group, Place, register_dataset
    from dysr_jax.data.builders.prepare import prepare_dataset
    from dysr_jax.data.records import Clips
    from dysr_jax.data.sources import open_source
    from dysr_jax.errors import InputError
    from dysr_jax.model.branches import BODY, Branch, KernelSpec, register_branch
    from dysr_jax.model.names import arch_name, parse_arch
    from dysr_jax.model.sharing import compact_params, kept_branches
    from dysr_jax.model.space import SearchSpace, uniform_space
    from dysr_jax.model.supernet import Supernet, init_params
    from dysr_jax.model.upsamplers import UPSAMPLERS
    from dysr_jax.report.html.write import write_report
    from dysr_jax.report.paper_figures import write_figures
    from dysr_jax.report.rundata import RunData, read_run
    from dysr_jax.run import run_search
    from dysr_jax.runtime.bank import Bank
    from dysr_jax.runtime.chain import Chain
    from dysr_jax.runtime.policy.adaptive import AdaptivePolicy
    from dysr_jax.runtime.policy.base import FixedPolicy, MemberTiming, Observation, Policy
    from dysr_jax.runtime.policy.load import load_policy
    from dysr_jax.runtime.policy.simulation import recorded_loads, score, simulate
    from dysr_jax.runtime.server import Server
    from dysr_jax.runtime.serving import Serving
    from dysr_jax.runtime.stream import Stream, StreamOptions
    from dysr_jax.runtime.trace import Trace
    from dysr_jax.search.select import sharing_curve
    from dysr_jax.video.reader import open_video
    from dysr_jax.video.writer import open_writer

__all__ = [
    "BODY",
    "UPSAMPLERS",
    "AdaptivePolicy",
    "Bank",
    "Branch",
    "Bundle",
    "Chain",
    "Clips",
    "Dataset",
    "FixedPolicy",
    "Group",
    "InputError",
    "KernelSpec",
    "Member",
    "MemberTiming",
    "Observation",
    "Place",
    "Policy",
    "RunConfig",
    "RunData",
    "SearchSpace",
    "Server",
    "Serving",
    "SteadyOptions",
    "Step",
    "Stream",
    "StreamOptions",
    "Supernet",
    "Trace",
    "Upscaler",
    "VideoOptions",
    "arch_name",
    "bench_candidates",
    "bench_data",
    "bench_fps",
    "bench_front",
    "bench_scaling",
    "bench_search",
    "bench_steady",
    "bench_step",
    "bench_switch",
    "compact_params",
    "count_compilations",
    "evaluate_folder",
    "init_params",
    "kept_branches",
    "load_bundle",
    "load_config",
    "load_policy",
    "load_pretrained",
    "open_source",
    "open_video",
    "open_writer",
    "parse_arch",
    "prepare_dataset",
    "pretrained_names",
    "profile",
    "read_run",
    "recorded_loads",
    "register_branch",
    "register_dataset",
    "run_search",
    "score",
    "sharing_curve",
    "simulate",
    "stream_video",
    "uniform_space",
    "upscale_files",
    "write_figures",
    "write_report",
]
