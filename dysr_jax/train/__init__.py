"""One-shot training of the supernet: state, losses, the pure step, the loop."""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.train.config import TrainConfig, check_config
    from dysr_jax.train.log import Curve, read_curves
    from dysr_jax.train.loop import train
    from dysr_jax.train.losses import l1
    from dysr_jax.train.sampling import draw
    from dysr_jax.train.state import TrainState, apply_gradients, init_state, to_vectors
    from dysr_jax.train.step import draw_archs, make_train_chunk
