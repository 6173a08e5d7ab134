"""Data sets as their publishers ship them, to TFDS's array_record files: layouts, checks, the building."""
