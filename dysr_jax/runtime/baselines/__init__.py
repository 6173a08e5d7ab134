"""Ways to serve the members of a bundle, ours and its rivals, behind one interface, to be compared."""
