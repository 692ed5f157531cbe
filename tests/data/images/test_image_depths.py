"""Gray of more than eight bits, white that is zero, and alpha that nobody filled: the values that other readers see."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from grounding.data.images import read_image
from grounding.errors import InputError
from tests.data.images.image_files import noise
from tests.data.images.test_image_formats import png16
from tests.shared_data import SHARED_DATA, needs_shared_data

GRAY = noise(5, 8)[..., 0]
UNSIGNED, SIGNED = 1, 2


def write_tiff(path: Path, values: np.ndarray, *, sample_format: int = UNSIGNED, white_is_zero: bool = False) -> Path:
    """One channel of any depth and byte order, written tag by tag so that no library has a part in it."""
    order = ">" if values.dtype.byteorder == ">" else "<"
    height, width = values.shape
    short, long = 3, 4
    tags = [(256, short, width), (257, short, height), (258, short, 8 * values.itemsize), (259, short, 1),
            (262, short, 0 if white_is_zero else 1), (273, long, 8 + 2 + 12 * 10 + 4), (277, short, 1),
            (278, short, height), (279, long, values.nbytes), (339, short, sample_format)]  # fmt: skip
    content = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}IH", 8, len(tags))
    for tag, kind, value in tags:
        content += struct.pack(f"{order}HHI", tag, kind, 1)
        content += struct.pack(f"{order}HH", value, 0) if kind == short else struct.pack(f"{order}I", value)
    path.write_bytes(content + bytes(4) + values.tobytes())
    return path


def as_rgb(gray: np.ndarray) -> np.ndarray:
    return np.stack([gray] * 3, axis=-1)


@needs_shared_data("odd-files")
def test_the_real_file_of_32_bit_integers_is_its_scene() -> None:
    folder = SHARED_DATA / "odd-files"
    red = cv2.imread(str(folder / "scene.jpg"))[..., 2]  # which the file holds
    np.testing.assert_array_equal(read_image(folder / "int32.tif"), as_rgb(red))
    assert red.mean() > 100


@pytest.mark.parametrize(
    ("kind", "sample_format"), [("<i4", SIGNED), ("<u4", UNSIGNED), (">i4", SIGNED), ("<i2", SIGNED)]
)
def test_integers_up_to_255_are_what_they_are(tmp_path: Path, kind: str, sample_format: int) -> None:
    path = write_tiff(tmp_path / "a.tif", GRAY.astype(kind), sample_format=sample_format)
    np.testing.assert_array_equal(read_image(path), as_rgb(GRAY))


@pytest.mark.parametrize(("low", "high"), [(0, 1000), (-1, 200), (0, 65535), (-1000, 3000)])
def test_integers_of_another_range_are_refused(tmp_path: Path, low: int, high: int) -> None:
    path = write_tiff(tmp_path / "depth.tif", np.array([[low, high]], "<i4"), sample_format=SIGNED)
    with pytest.raises(InputError, match=rf"depth\.tif.*integers from {low} to {high} in a range nobody knows"):
        read_image(path)


@pytest.mark.parametrize("kind", ["<u2", ">u2", "u1"])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_unsigned_tiffs_as_opencv_reads_them(tmp_path: Path, kind: str, white_is_zero: bool) -> None:
    values = GRAY.astype(kind) * (1 if kind == "u1" else 257)
    path = write_tiff(tmp_path / "a.tif", values, white_is_zero=white_is_zero)
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path), cv2.IMREAD_COLOR))
    np.testing.assert_array_equal(read_image(path), as_rgb(255 - GRAY if white_is_zero else GRAY))


@pytest.mark.parametrize(("suffix", "factor"), [("png", 257), ("tiff", 257)])
def test_colours_of_16_bits_as_opencv_writes_them(tmp_path: Path, suffix: str, factor: int) -> None:
    pixels = noise()
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), pixels[..., ::-1].astype(np.uint16) * factor)
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), pixels)


@pytest.mark.parametrize("most", [100, 255, 1000, 65535])
def test_a_pgm_is_scaled_by_its_own_white(tmp_path: Path, most: int) -> None:
    values = np.rint(GRAY / 255 * most)
    (tmp_path / "a.pgm").write_bytes(b"P5 8 5 %d\n" % most + values.astype("u1" if most < 256 else ">u2").tobytes())
    assert np.abs(read_image(tmp_path / "a.pgm") - as_rgb(values / most * 255)).max() <= 1


def test_a_transparent_value_of_16_bits_is_white(tmp_path: Path) -> None:
    values = np.array([[300, 40000], [300, 65535]], dtype=np.uint16)
    png16(tmp_path / "a.png", values)
    with Image.open(tmp_path / "a.png") as image:
        image.save(tmp_path / "b.png", transparency=300)
    assert read_image(tmp_path / "b.png")[..., 0].tolist() == [[255, 156], [255, 255]]


def test_a_bitmap_whose_alpha_nobody_filled_shows_its_colours(tmp_path: Path) -> None:
    pixels = noise(4, 6)
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, 6, -4, 1, 32, 3, 0, 0, 0, 0, 0) + masks + b"BGRs" + bytes(48)
    body = np.dstack([pixels[..., ::-1], np.zeros((4, 6), np.uint8)]).tobytes()
    (tmp_path / "a.bmp").write_bytes(b"BM" + struct.pack("<IHHI", 14 + 108 + len(body), 0, 0, 14 + 108) + header + body)
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp"), pixels)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.bmp"))[..., ::-1], pixels)
