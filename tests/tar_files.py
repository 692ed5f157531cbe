"""Tar files of images with phrases, as WebDataset has them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def jpeg(number: int) -> bytes:
    """A photograph of 48 x 40 pixels, another one for every number."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(file, "JPEG")
    return file.getvalue()


def write_tar(path: Path, samples: dict[str, tuple[bytes, str | bytes]]) -> None:
    """Key -> image and text."""
    with tarfile.open(path, "w") as tar:
        for key, (image, text) in samples.items():
            for ending, content in (("jpg", image), ("txt", text if isinstance(text, bytes) else text.encode())):
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
