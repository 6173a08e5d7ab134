"""Image files to pixels and back: formats, bit depths, colour profiles, metadata."""
