"""Images to training batches and benchmark sets, in this order.

- Files to pixels: `images`, `pictures`, `pixels`, `sixteen_bit`; `degradation`.
- Sources by name: `sources` opens `embedded`, `folders` (`files`, `pairing`) and `records` (what `builders`
  prepared; `clips` of them) as `examples`; `rescaled` copies, `sizes`; `pairs` of LR and HR.
- To the device: `training` images, the `choice` of the `pool` or Grain's `stream` (`crops`), the same on all
  `hosts`; `augment`.
- `benchmarks`: sets to measure on.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.data.augment import prepare, vary_batch
    from dysr_jax.data.benchmarks import BenchmarkSet, Images, find_set, find_sets
    from dysr_jax.data.choice import (
        Need,
        choose_pipeline,
        describe,
        load_everywhere,
        open_everywhere,
        pool_need,
        with_pipeline,
    )
    from dysr_jax.data.config import DataConfig, check_pipeline
    from dysr_jax.data.degradation import crop_to_scale, downscale, upscale
    from dysr_jax.data.examples import Pair, degrade, make_pairs, unusable
    from dysr_jax.data.files import Duplicates, Failed, is_folder, is_there, list_folder, no_images
    from dysr_jax.data.grain_stream import Stream
    from dysr_jax.data.pool import Pool, build_pool, draw
    from dysr_jax.data.sources import EmbeddedImages, load_pairs, load_source, make_pair, split_source
    from dysr_jax.data.training import TrainingImages, open_images
