"""One-shot training of the supernet.

`loop` runs it by its `config`: `step` draws patches and archs and updates the `state` by the gradient of
`losses`; `passages` runs an arch of its own for each patch; checkpoints (in `state`) and `log` are what it
leaves on disk.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.train.config import TrainConfig
    from dysr_jax.train.log import Curve, read_curves
    from dysr_jax.train.loop import train
    from dysr_jax.train.losses import l1_loss, passage_counts
    from dysr_jax.train.state import TrainState, apply_gradients, init_state, to_vectors
    from dysr_jax.train.step import Costs, draw_archs, make_train_chunk, sample_training_archs
