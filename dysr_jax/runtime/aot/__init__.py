"""Executables made ahead of time: compiled, kept on disk, counted, weighed."""
