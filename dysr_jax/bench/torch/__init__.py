"""The same layers in PyTorch, for benchmarks side by side."""
