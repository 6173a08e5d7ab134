"""Images to training batches and benchmark sets.

- Pixels: `images/` reads and writes files; `degradation` is MATLAB's bicubic.
- A source gives `examples` by index. `sources` opens one by name: `folders` (as `listing` finds their files)
  or `records` of prepared data sets, which `builders/` makes; a new one is added in `builders/datasets.py`.
- Training: `training` knows the images before they are decoded, `pipeline` chooses between the `pool` on the
  device and the `grain_stream`; `augment` varies batches; `config` holds the options.
- `benchmarks`: sets to measure on.
"""

from etils import epy

with epy.lazy_api_imports(globals()):  # each is imported when it is first used
    from dysr_jax.data.augment import prepare, vary_batch
    from dysr_jax.data.benchmarks import BenchmarkImage, BenchmarkSet, find_benchmark_set, find_benchmark_sets
    from dysr_jax.data.builders.datasets import Dataset, Group, Place, register_dataset
    from dysr_jax.data.builders.prepare import prepare_dataset
    from dysr_jax.data.config import DataConfig
    from dysr_jax.data.degradation import bicubic_downscale, bicubic_upscale, crop_to_scale
    from dysr_jax.data.examples import Example, Pair, make_pair, make_pairs, unusable_images_error
    from dysr_jax.data.grain_stream import GrainStream
    from dysr_jax.data.listing import Duplicates, FailedImage, is_folder, list_images, path_exists
    from dysr_jax.data.pipeline import (
        PoolNeed,
        RunImages,
        choose_pipeline,
        describe_pipeline,
        load_run_images,
        pool_need,
    )
    from dysr_jax.data.pool import CropPool, build_pool, draw_batch
    from dysr_jax.data.records import Clips
    from dysr_jax.data.sources import EmbeddedImages, load_source, open_source, split_source
    from dysr_jax.data.training import TrainingImages, load_pairs, open_training_images
