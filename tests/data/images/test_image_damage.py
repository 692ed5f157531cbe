"""Damaged and hostile files: what is refused, and what is still shown."""

import importlib
import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from grounding.data import images
from grounding.data.images import EndsEarlyWarning, read_image
from grounding.errors import InputError
from tests.data.images.image_files import noise, smooth_jpeg


def test_truncated_jpeg_keeps_what_was_decoded_and_warns_once(tmp_path):
    _, data = smooth_jpeg(tmp_path / "whole.jpg")
    whole = np.asarray(Image.open(tmp_path / "whole.jpg")).astype(int)
    short = tmp_path / "short.jpg"
    short.write_bytes(data[: len(data) * 2 // 3])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            image = read_image(short)
    assert [str(short) in str(warning.message) for warning in caught] == [True]
    assert image.shape == whole.shape
    np.testing.assert_array_equal(image[:8], whole[:8])
    assert np.abs(image[-8:] - whole[-8:]).mean() > 20
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_whole_jpeg_does_not_warn(tmp_path):
    smooth_jpeg(tmp_path / "a.jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_image(tmp_path / "a.jpg")


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


def test_decompression_bomb_is_an_input_error(tmp_path, monkeypatch):
    Image.fromarray(noise(60, 90)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match=r"a\.png has too many pixels"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["zero\0byte.png", "\ud800.jpg", "x" * 300 + ".jpg", "x" * 5000, "a.png/b.png"])
def test_a_name_that_no_file_can_have_is_an_input_error(tmp_path, name):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"check the path|is no path") as caught:
        read_image(tmp_path / name)
    assert str(caught.value).isprintable()


def test_what_is_no_file_or_never_ends_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path, said in ((tmp_path, "is a folder"), (tmp_path / "pipe.png", "no plain file"), ("/dev/zero", "no plain")):
        with pytest.raises(InputError, match=said):
            read_image(path)


def png_with(path, kind, data):
    """A PNG with one more chunk behind its header."""
    Image.fromarray(noise()).save(path)
    content = path.read_bytes()
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(content[:33] + chunk + content[33:])


def test_text_that_swells_in_a_png_is_refused_and_not_kept(tmp_path):
    compressor = zlib.compressobj()
    swelling = b"".join([*(compressor.compress(bytes(2**20)) for _ in range(80)), compressor.flush()])
    png_with(tmp_path / "a.png", b"zTXt", b"Comment\0\0" + swelling)
    assert (tmp_path / "a.png").stat().st_size < 200_000
    with pytest.raises(InputError, match=r"a\.png cannot be read as an image"):
        read_image(tmp_path / "a.png")


def test_a_damaged_colour_profile_does_not_cost_the_image(tmp_path):
    png_with(tmp_path / "a.png", b"iCCP", b"profile\0\0" + zlib.compress(b"no profile"))
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
