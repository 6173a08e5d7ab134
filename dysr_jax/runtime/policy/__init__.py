"""Which member makes the next frame."""
