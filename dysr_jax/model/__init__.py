"""The supernet: convolutions, branches, shared kernels, upsamplers, the Linen module, its programs."""
