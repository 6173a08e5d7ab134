"""The same layers in PyTorch, for benchmarks side by side."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.bench.torch.frames import FrameModule, Served, serve
    from dysr_jax.bench.torch.layers import Place, head, layer
    from dysr_jax.bench.torch.presence import torch_device, without_torch
