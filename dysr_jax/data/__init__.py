"""Images to training batches and benchmark sets, in this order.

- Files to pixels: `images`, `pictures`, `pixels`, `sixteen_bit`; `degradation`.
- Sources by name: `sources` opens `embedded`, `folders` (`files`, `pairing`) and `records` (what `builders`
  prepared; `clips` of them) as `examples`; `rescaled` copies, `sizes`; `pairs` of LR and HR.
- To the device: `training` images, the `choice` of the `pool` or Grain's `stream` (`crops`), the same on all
  `hosts`; `augment`.
- `benchmarks`: sets to measure on.
"""
