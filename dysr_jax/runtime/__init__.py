"""From a bundle to frames: executables compiled ahead of time, switching, images in and out."""
