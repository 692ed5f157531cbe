"""Images for the tests of reading: noise, and a gradient that JPEG keeps."""

import numpy as np
from PIL import Image


def noise(height=6, width=9, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth_jpeg(path, **options):
    """A gradient that JPEG keeps nearly exactly, and its bytes."""
    rows, columns = np.mgrid[0:64, 0:96]
    pixels = np.stack([rows * 3, columns * 2, 255 - rows - columns], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=95, **options)
    return pixels, path.read_bytes()
