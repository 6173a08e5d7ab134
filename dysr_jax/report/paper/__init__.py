"""Figures of a run for papers: PNG and SVG, at a column's or a page's width."""
