"""What is taken for an image besides a path: PIL's images of every mode, a file's content, an open file."""

from __future__ import annotations

from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from grounding.data.images import EndsEarlyWarning, as_image, read_image
from grounding.errors import InputError
from tests.data.images.image_files import noise, smooth_jpeg
from tests.shared_data import SHARED_DATA, needs_shared_data

NOISE = noise(8, 9)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "YCbCr", "HSV", "CMYK"])
def test_an_image_of_pils_is_what_it_shows(mode: str) -> None:
    image = Image.fromarray(NOISE).convert(mode)
    np.testing.assert_array_equal(as_image(image), np.asarray(image.convert("RGB")))
    assert image.mode == mode


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA", "La", "RGBa"])
def test_what_is_transparent_lies_over_white(mode: str) -> None:
    image = Image.fromarray(noise(8, 9, 4), "RGBA")
    if mode in ("LA", "PA", "La"):
        image = image.convert("LA")
    image = image.convert(mode)
    alpha = np.asarray(image.getchannel(image.getbands()[-1]))[..., None] / 255
    straight = {"La": "LA", "RGBa": "RGBA"}.get(mode, mode)
    colours = np.asarray(image.convert(straight).convert("RGBA"))[..., :3]
    assert np.abs(as_image(image) - (colours * alpha + 255 * (1 - alpha))).max() <= 1


def test_sixteen_bits_are_scaled() -> None:
    values = np.array([[0, 257, 1000], [32768, 65000, 65535]], dtype=np.uint16)
    found = as_image(Image.fromarray(values))
    np.testing.assert_array_equal(found[..., 0], np.rint(values / 65535 * 255))


def test_pixels_of_unknown_range_are_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match=r"the image cannot be read as an image \(its pixels are floating-point"):
        as_image(Image.new("F", (3, 2)))


def test_a_photograph_is_turned_upright_as_its_file_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth_jpeg(tmp_path / "turned.jpg", exif=exif)
    opened = Image.open(tmp_path / "turned.jpg")
    upright = read_image(tmp_path / "turned.jpg")
    assert upright.shape[:2] == opened.size
    np.testing.assert_array_equal(as_image(opened), upright)
    np.testing.assert_array_equal(as_image(ImageOps.exif_transpose(opened)), upright)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, BytesIO])
def test_a_files_content_is_its_image(tmp_path: Path, kind: Any) -> None:
    _, content = smooth_jpeg(tmp_path / "a.jpg")
    np.testing.assert_array_equal(as_image(kind(content)), read_image(tmp_path / "a.jpg"))


def test_an_open_file_is_read(tmp_path: Path) -> None:
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    with (tmp_path / "a.png").open("rb") as file:
        np.testing.assert_array_equal(as_image(file), NOISE)


def test_content_that_ends_early_is_told() -> None:
    file = BytesIO()
    Image.fromarray(noise(200, 200)).save(file, "JPEG")
    with pytest.warns(EndsEarlyWarning, match="the image ends early"):
        as_image(file.getvalue()[:-2000])


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (None, "the image is of the type NoneType"),
        (3, "the image is of the type int"),
        ([NOISE], "the image is of the type list"),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), "the image is of the type Tensor"),
        (b"", "the image is empty"),
        (b"GIF89a?", "the image cannot be read as an image"),
        (BytesIO(b"%!PS"), "unknown format"),
        (BytesIO(), "the image is empty"),
        (StringIO("a"), "the image is of the type StringIO"),
        (Image.new("RGB", (0, 0)), "it has no pixels"),
        (np.zeros((4, 4), np.uint8), r"\(H, W, 3\) uint8 RGB, got \(4, 4\) uint8"),
        (np.zeros((4, 4, 3)), r"got \(4, 4, 3\) float64"),
        ("", "is a folder"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(image: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        as_image(image)


def test_what_was_closed_or_ends_early_is_refused_in_a_sentence(tmp_path: Path) -> None:
    Image.fromarray(noise(200, 200)).save(tmp_path / "a.png")
    (tmp_path / "short.png").write_bytes((tmp_path / "a.png").read_bytes()[:-5000])
    closed = Image.open(tmp_path / "a.png")
    closed.close()
    with (tmp_path / "a.png").open("rb") as file:
        pass
    for image in (closed, file, Image.open(tmp_path / "short.png")):
        with pytest.raises(InputError, match=r"^the image.* cannot be read"):
            as_image(image)


@needs_shared_data("odd-files")
@pytest.mark.parametrize("name", ["scene.jpg", "cutout.png"])
def test_odd_files_are_the_same_however_they_are_given(name: str) -> None:
    path = SHARED_DATA / "odd-files" / name
    wanted = read_image(path)
    for given in (str(path), path.read_bytes(), Image.open(path)):
        np.testing.assert_array_equal(as_image(given), wanted)
