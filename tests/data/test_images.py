"""Every format, mode of pixels and way of giving an image is the same: upright, three channels of eight bits.

Of damaged and hostile files, and what is no image: what is refused, and what is still shown.
"""

import io
import os
import warnings

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from grounding.data.images import EndsEarlyWarning, as_image, read_image
from grounding.runtime.errors import InputError
from tests.data.image_files import noise, smooth_jpeg


def turned(orientation):
    """EXIF data with it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def as_rgb(gray):
    return np.stack([gray] * 3, axis=-1)


@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "tiff", "ppm"])
def test_lossless_formats_give_their_pixels_as_a_writable_array(tmp_path, suffix):
    Image.fromarray(noise()).save(tmp_path / f"a.{suffix}", lossless=True)
    image = read_image(str(tmp_path / f"a.{suffix}"))
    np.testing.assert_array_equal(image, noise())
    assert image.dtype == np.uint8 and image.flags.writeable and image.flags.c_contiguous


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_composited_over_white(tmp_path, mode):
    pixels = noise(channels=len(mode))
    pixels[0, 0, -1], pixels[0, 1, -1] = 0, 255
    Image.fromarray(pixels, mode).save(tmp_path / "a.png")
    alpha = pixels[..., -1:] / 255
    image = read_image(tmp_path / "a.png")
    assert np.abs(image - (pixels[..., :-1] * alpha + 255 * (1 - alpha))).max() <= 1
    assert (image[0, 0] == 255).all() and (image[0, 1] == pixels[0, 1, :-1]).all()
    pixels[..., -1] = 0  # as alpha that nobody has filled
    Image.fromarray(pixels, mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.broadcast_to(pixels[..., :-1], (6, 9, 3)))


def test_the_transparent_colour_of_a_palette_is_white(tmp_path):
    image = Image.fromarray(noise()).quantize(4)
    image.save(tmp_path / "a.png", transparency=1)
    expected = np.array(image.convert("RGB"))
    expected[np.asarray(image) == 1] = 255
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path):
    values = np.array([[0, 255, 257, 1000], [32768, 40000, 65000, 65535]], dtype=np.uint16)
    expected = as_rgb(np.rint(values / 65535 * 255))
    cv2.imwrite(str(tmp_path / "a.png"), values)  # so that PIL has no part in it
    Image.fromarray(values).save(tmp_path / "a.tiff")
    (tmp_path / "a.pgm").write_bytes(b"P5 4 2 65535\n" + values.astype(">u2").tobytes())
    for given in (tmp_path / "a.png", tmp_path / "a.tiff", tmp_path / "a.pgm", Image.fromarray(values)):
        np.testing.assert_array_equal(as_image(given), expected)
    white_is_zero = {262: 0}  # the photometric interpretation
    Image.fromarray(values).save(tmp_path / "a.tiff", tiffinfo=white_is_zero)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tiff"), 255 - expected)


@pytest.mark.parametrize("pixel", [np.float32(0.5), np.int32(200)])
def test_pixels_of_unknown_range_are_refused(tmp_path, pixel):
    image = Image.fromarray(np.full((4, 5), pixel))
    image.save(tmp_path / "depth.tiff")
    for given in (image, tmp_path / "depth.tiff"):
        with pytest.raises(InputError, match="more than 16 bits, of which nobody knows what is white"):
            as_image(given)


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


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_undone(tmp_path, orientation):
    for suffix in ("png", "tiff"):
        Image.fromarray(noise()).save(tmp_path / f"a.{suffix}", exif=turned(orientation))
        np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), UPRIGHT[orientation](noise()))
    pixels, _ = smooth_jpeg(tmp_path / "a.jpg", exif=turned(orientation))
    opened = as_image(Image.open(tmp_path / "a.jpg"))
    assert np.abs(opened.astype(int) - UPRIGHT[orientation](pixels)).max() < 12


@pytest.mark.parametrize(
    ("shape", "size", "rotated"),
    [((6, 9), None, True), ((6, 9), (6, 9), True), ((6, 9), (9, 6), False), ((6, 6), (6, 6), True)],
    ids=["no size", "rotated size", "stored size", "square"],
)
def test_annotated_size_decides_whether_the_exif_rotation_applies(tmp_path, shape, size, rotated):
    Image.fromarray(noise(*shape)).save(tmp_path / "a.png", exif=turned(6))
    expected = UPRIGHT[6](noise(*shape)) if rotated else noise(*shape)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", size), expected)
    with pytest.raises(InputError, match=r"a\.png has .* pixels where the annotations say 100x6"):
        read_image(tmp_path / "a.png", (100, 6))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_an_image_of_pils_is_what_it_shows(mode):
    image = Image.fromarray(noise()).convert(mode)
    np.testing.assert_array_equal(as_image(image), np.asarray(image.convert("RGB")))
    assert image.mode == mode


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO])
def test_a_files_content_is_its_image(tmp_path, kind):
    _, content = smooth_jpeg(tmp_path / "a.jpg")
    np.testing.assert_array_equal(as_image(kind(content)), read_image(tmp_path / "a.jpg"))


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
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"not an image at all", "unknown format"),
        (image_bytes("PNG")[:4000], ""),
        (image_bytes("EPS"), "unknown format"),  # PostScript, which PIL would have Ghostscript interpret
    ],
    ids=["empty", "text", "truncated", "PostScript"],
)
def test_what_cannot_be_read_is_refused_in_one_line_that_names_it(tmp_path, content, said):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    for given, name in ((path, str(path)), (content, "the image"), (io.BytesIO(content), "the image")):
        with pytest.raises(InputError, match=rf"^{name} cannot be read as an image \({said}") as caught:
            as_image(given)
        assert "BytesIO" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["none.png", "zero\0byte.png", "\ud800.jpg", "x" * 300 + ".jpg", "a.png/b.png", "pipe", "."]
)
def test_what_is_no_file_is_an_input_error(tmp_path, name):
    (tmp_path / "a.png").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")  # of which nobody knows where it ends
    with pytest.raises(InputError, match=r"there is no image file .*: check the path") as caught:
        read_image(tmp_path / name)
    assert str(caught.value).isprintable()


def test_what_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    Image.fromarray(noise(60, 90)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match=r"large\.png has too many pixels"):
        read_image(tmp_path / "large.png")


@pytest.mark.parametrize("exif", [b"Exif\x00\x00no TIFF header at all", turned(99)], ids=["no header", "no turn"])
def test_damaged_exif_does_not_cost_the_image(tmp_path, exif):
    Image.fromarray(noise()).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), noise())


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (None, "the image is of the type NoneType"),
        (io.StringIO("a"), "the image is of the type StringIO"),
        (Image.new("RGB", (0, 0)), "it has no pixels"),
        (np.zeros((4, 4), np.uint8), r"\(H, W, 3\) uint8 RGB, got \(4, 4\) uint8"),
        (np.zeros((4, 4, 3)), r"got \(4, 4, 3\) float64"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(image, said):
    with pytest.raises(InputError, match=said):
        as_image(image)
