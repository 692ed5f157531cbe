"""Archives: of any files, and of images with phrases, as WebDataset has them."""

from __future__ import annotations

import io
import tarfile
import zipfile
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
    files: dict[str, bytes] = {}
    for key, (image, text) in samples.items():
        files |= {f"{key}.jpg": image, f"{key}.txt": text if isinstance(text, bytes) else text.encode()}
    path.write_bytes(archived(files, "tar"))


def archived(files: dict[str, bytes], kind: str) -> bytes:
    """An archive of the kind "zip", "tar", "gz", "bz2" or "xz"; in tar, the files have all rights there are."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w" if kind == "tar" else f"w:{kind}") as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o6777
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
