"""Videos in and out: frames as RGB `[H, W, 3]` uint8 with their times, read and written through PyAV."""
