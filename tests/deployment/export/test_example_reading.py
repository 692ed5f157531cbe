"""The example that asks an export reads a file's pixels as the library does: upright, over white, of every depth."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding.data.images import read_image
from tests.data.image_files import noise, smooth_jpeg
from tests.scripts import ROOT

read = runpy.run_path(str(ROOT / "examples" / "onnx_grounding.py"))["read"]


def test_files_of_many_kinds(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth_jpeg(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(noise(channels=4), "RGBA").save(tmp_path / "transparent.png")
    Image.fromarray(noise(channels=2), "LA").save(tmp_path / "transparent_gray.png")
    image = Image.fromarray(noise(), "RGB")
    image.save(tmp_path / "transparent_colour.png", transparency=image.getpixel((0, 0)))
    image.quantize(8).save(tmp_path / "palette.png", transparency=1)
    image.quantize(8).save(tmp_path / "a.gif")
    Image.fromarray(noise().astype(np.uint16)[..., 0] * 257 + 5).save(tmp_path / "deep.png")
    Image.fromarray(noise()[..., 0]).save(tmp_path / "gray.tif")
    image.convert("CMYK").save(tmp_path / "cmyk.jpg")
    files = sorted(tmp_path.iterdir())
    assert len(files) == 9
    for path in files:
        np.testing.assert_array_equal(np.array(read(path)), read_image(path), err_msg=path.name)

    deep = tmp_path / "integers.tif"
    Image.fromarray(noise().astype(np.int32)[..., 0]).save(deep)
    with pytest.raises(AssertionError, match="more than 16 bits"):
        read(deep)
