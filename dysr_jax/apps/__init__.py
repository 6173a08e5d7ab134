"""Programs for a user: images, files, folders of a benchmark, and videos."""
