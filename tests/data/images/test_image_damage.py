"""Damaged and hostile files, and what is no image: what is refused, and what is still shown."""

import importlib
import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from grounding.data import images
from grounding.data.images import EndsEarlyWarning, as_image, read_image
from grounding.errors import InputError
from tests.data.images.image_files import noise, smooth_jpeg


def test_truncated_jpeg_keeps_what_was_decoded_and_warns_once(tmp_path):
    _, data = smooth_jpeg(tmp_path / "whole.jpg")
    whole = np.asarray(Image.open(tmp_path / "whole.jpg")).astype(int)
    short = tmp_path / "short.jpg"
    short.write_bytes(data[: len(data) * 2 // 3])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        read_image(tmp_path / "whole.jpg")
        for _ in range(3):
            image = read_image(short)
    assert [str(short) in str(warning.message) for warning in caught] == [True]
    assert image.shape == whole.shape
    np.testing.assert_array_equal(image[:8], whole[:8])
    assert np.abs(image[-8:] - whole[-8:]).mean() > 20
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    with pytest.warns(EndsEarlyWarning, match="the image ends early"):
        as_image(short.read_bytes())


def image_bytes(form):
    file = io.BytesIO()
    Image.fromarray(noise(60, 90)).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (None, "check the path"),
        (b"", "is empty"),
        (b"not an image at all", "unknown format"),
        (b"\xff\xd8", "give an undamaged"),
        (image_bytes("PNG")[:4000], "give an undamaged"),
        (image_bytes("EPS"), "unknown format"),  # PostScript, which PIL would have Ghostscript interpret
    ],
    ids=["missing", "empty", "text", "only a JPEG's first bytes", "truncated", "PostScript"],
)
def test_unusable_files_are_input_errors_of_one_line_naming_the_file(tmp_path, content, remedy):
    path = tmp_path / "photo.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_image(path)
    message = str(caught.value)
    assert str(path) in message and remedy in message and "\n" not in message and "BytesIO" not in message


@pytest.mark.parametrize("name", ["zero\0byte.png", "\ud800.jpg", "x" * 300 + ".jpg", "a.png/b.png", "pipe", ""])
def test_what_is_no_file_is_an_input_error(tmp_path, name):
    (tmp_path / "a.png").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")  # of which nobody knows where it ends
    with pytest.raises(InputError, match=r"there is no image file .*: check the path") as caught:
        read_image(tmp_path / name)
    assert str(caught.value).isprintable()


def png_with(path, kind, data):
    """A PNG with one more chunk behind its header."""
    Image.fromarray(noise()).save(path)
    content = path.read_bytes()
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(content[:33] + chunk + content[33:])


def test_what_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    compressor = zlib.compressobj()
    swelling = b"".join([*(compressor.compress(bytes(2**20)) for _ in range(80)), compressor.flush()])
    png_with(tmp_path / "a.png", b"zTXt", b"Comment\0\0" + swelling)
    assert (tmp_path / "a.png").stat().st_size < 200_000
    with pytest.raises(InputError, match=r"a\.png cannot be read as an image"):
        read_image(tmp_path / "a.png")
    Image.fromarray(noise(60, 90)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match=r"large\.png has too many pixels"):
        read_image(tmp_path / "large.png")


def test_a_damaged_colour_profile_does_not_cost_the_image(tmp_path):
    png_with(tmp_path / "a.png", b"iCCP", b"profile\0\0" + zlib.compress(b"no profile"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), noise())


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


def test_what_pil_warns_of_slips_out_nowhere(tmp_path, monkeypatch):
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x05\x00\x12\x01"  # five entries are said, none is whole
    Image.fromarray(noise()).save(tmp_path / "exif.png", exif=exif)
    Image.fromarray(noise(60, 90)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 90 - 1)  # PIL refuses twice as many, and warns of these
    with pytest.warns(UserWarning, match="EXIF"):
        Image.open(tmp_path / "exif.png").getexif().get(0x0112)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(tmp_path / "large.png")
    with warnings.catch_warnings(record=True) as slipped:
        warnings.simplefilter("always")
        monkeypatch.setattr(images, "EndsEarlyWarning", EndsEarlyWarning)  # which others have imported, put back after
        importlib.reload(images)  # in a process of its own the filter is there since the module was imported
        np.testing.assert_array_equal(read_image(tmp_path / "exif.png"), noise())
        np.testing.assert_array_equal(read_image(tmp_path / "large.png"), noise(60, 90))
    assert not slipped


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (None, "the image is of the type NoneType"),
        ([noise()], "the image is of the type list"),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), "the image is of the type Tensor"),
        (b"", "it is empty"),
        (io.BytesIO(b"%!PS"), "unknown format"),
        (io.StringIO("a"), "the image is of the type StringIO"),
        (Image.new("RGB", (0, 0)), "it has no pixels"),
        (np.zeros((4, 4), np.uint8), r"\(H, W, 3\) uint8 RGB, got \(4, 4\) uint8"),
        (np.zeros((4, 4, 3)), r"got \(4, 4, 3\) float64"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(image, said):
    with pytest.raises(InputError, match=said):
        as_image(image)


def test_what_was_closed_or_ends_early_is_refused_in_a_sentence(tmp_path):
    Image.fromarray(noise(200, 200)).save(tmp_path / "a.png")
    (tmp_path / "short.png").write_bytes((tmp_path / "a.png").read_bytes()[:-5000])
    closed = Image.open(tmp_path / "a.png")
    closed.close()
    with (tmp_path / "a.png").open("rb") as file:
        np.testing.assert_array_equal(as_image(file), noise(200, 200))
    for image in (closed, file, Image.open(tmp_path / "short.png")):
        with pytest.raises(InputError, match=r"^the image.* cannot be read"):
            as_image(image)
