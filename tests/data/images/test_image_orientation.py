"""Photographs stand upright, as their EXIF orientation and the annotated size say."""

import struct

import numpy as np
import pytest
from PIL import Image

from grounding.data.images import read_image
from tests.data.images.image_files import noise, smooth_jpeg

# Stored pixels -> upright pixels for each EXIF orientation, from the EXIF standard's "row 0 is, column 0 is" table.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_undone(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(noise()).save(tmp_path / f"a.{suffix}", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), UPRIGHT[orientation](noise()))


def test_exif_orientation_of_a_jpeg_is_undone(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels, _ = smooth_jpeg(tmp_path / "a.jpg", exif=exif)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - UPRIGHT[6](pixels)).max() < 12


@pytest.mark.parametrize(
    ("size", "rotated"),
    [(None, True), ((6, 9), True), ((9, 6), False), ((100, 100), True)],
    ids=["no size", "rotated size", "stored size", "another size"],
)
def test_annotated_size_decides_whether_the_exif_rotation_applies(tmp_path, size, rotated):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(height=6, width=9)).save(tmp_path / "a.png", exif=exif)
    expected = UPRIGHT[6](noise()) if rotated else noise()
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", size), expected)


@pytest.mark.parametrize("shape", [(6, 6), (6, 9)])
def test_where_both_sizes_are_equal_the_rotation_applies(tmp_path, shape):
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(noise(*shape)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", shape[::-1]), UPRIGHT[3](noise(*shape)))


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\x00\x00no tiff header at all",
        b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00" + struct.pack("<HHI4sI", 0x0112, 2, 3, b"up\x00\x00", 0),
        b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00" + struct.pack("<HHIHHI", 0x0112, 3, 1, 99, 0, 0),
    ],
    ids=["no TIFF header", "orientation is text", "orientation 99"],
)
def test_damaged_exif_does_not_cost_the_image(tmp_path, exif):
    Image.fromarray(noise()).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), noise())
