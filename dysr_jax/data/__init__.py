"""Images to a device-resident pool of LR/HR pairs: reading, degradation, sources, the pool."""
