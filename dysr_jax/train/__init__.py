"""One-shot training of the supernet: state, losses, the pure step, the loop."""
