"""Every format, mode of pixels and way of giving an image is the same: upright, three channels of eight bits."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from grounding.data.images import as_image, read_image
from grounding.errors import InputError
from tests.data.images.image_files import noise, smooth_jpeg
from tests.shared_data import SHARED_DATA, needs_shared_data

ORIENTATION = 0x0112


def as_rgb(gray):
    return np.stack([gray] * 3, axis=-1)


def png16(path, values):
    """A 16-bit grayscale PNG, written chunk by chunk so that PIL has no part in it."""
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "tiff", "ppm"])
def test_lossless_formats_give_their_pixels_as_a_writable_array(tmp_path, suffix):
    Image.fromarray(noise()).save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    image = read_image(str(tmp_path / f"a.{suffix}"))
    np.testing.assert_array_equal(image, noise())
    assert image.dtype == np.uint8 and image.flags.writeable and image.flags.c_contiguous


@pytest.mark.parametrize("pixels", [noise()[..., 0], noise()[..., 0] > 127], ids=["gray", "one bit"])
def test_grayscale_is_repeated_in_three_channels(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), as_rgb(pixels * (255 if pixels.dtype == bool else 1)))


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


@pytest.mark.parametrize("transparent", [False, True])
def test_palette_png_shows_its_colours_and_white_where_transparent(tmp_path, transparent):
    colours = np.array([[200, 10, 20], [0, 90, 250], [7, 8, 9]], dtype=np.uint8)
    indices = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette(colours.tobytes())
    image.save(tmp_path / "a.png", **({"transparency": 1} if transparent else {}))
    expected = colours[indices]
    if transparent:
        expected[indices == 1] = 255
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path):
    values = np.array([[0, 255, 257, 1000], [32768, 40000, 65000, 65535]], dtype=np.uint16)
    expected = as_rgb(np.rint(values / 65535 * 255))
    png16(tmp_path / "a.png", values)
    Image.fromarray(values).save(tmp_path / "a.tiff")
    (tmp_path / "a.pgm").write_bytes(b"P5 4 2 65535\n" + values.astype(">u2").tobytes())
    for given in (tmp_path / "a.png", tmp_path / "a.tiff", tmp_path / "a.pgm", Image.fromarray(values)):
        np.testing.assert_array_equal(as_image(given), expected)
    white_is_zero = {262: 0}  # the photometric interpretation
    Image.fromarray(values).save(tmp_path / "a.tiff", tiffinfo=white_is_zero)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tiff"), 255 - expected)
    np.testing.assert_allclose(cv2.imread(str(tmp_path / "a.tiff")), 255 - expected, atol=1)  # which rounds down
    cv2.imwrite(str(tmp_path / "a.png"), noise()[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), noise())


@pytest.mark.parametrize("pixel", [np.float32(0.5), np.int32(200)])
def test_pixels_of_unknown_range_are_refused(tmp_path, pixel):
    image = Image.fromarray(np.full((4, 5), pixel))
    image.save(tmp_path / "depth.tiff")
    for given in (image, tmp_path / "depth.tiff"):
        with pytest.raises(InputError, match="more than 16 bits, of which nobody knows what is white"):
            as_image(given)


def test_cmyk_as_adobe_writes_it_in_a_jpeg_and_as_it_is_in_a_tiff(tmp_path):
    """Adobe stores 255 for no ink: the stored bytes, decoded without PIL's inversion, show which way round."""
    inks = {"cyan": (255, 0, 0, 0), "paper": (0, 0, 0, 0), "black": (0, 0, 0, 255)}
    expected = {"cyan": (0, 255, 255), "paper": (255, 255, 255), "black": (0, 0, 0)}
    for name, ink in inks.items():
        Image.new("CMYK", (16, 16), ink).save(tmp_path / "a.jpg", quality=100)
        stored = tmp_path.joinpath("a.jpg").read_bytes()
        assert b"Adobe" in stored
        raw = Image.open(io.BytesIO(stored))
        raw.tile = [tile._replace(args=("CMYK", "")) for tile in raw.tile]
        assert np.abs(np.asarray(raw)[0, 0].astype(int) - (255 - np.array(ink))).max() <= 2
        assert np.abs(read_image(tmp_path / "a.jpg") - np.array(expected[name])).max() <= 2
        Image.new("CMYK", (4, 4), ink).save(tmp_path / "a.tiff")
        assert tuple(read_image(tmp_path / "a.tiff")[0, 0].tolist()) == expected[name]


@pytest.mark.parametrize("suffix", ["gif", "tiff"])
def test_the_first_of_several_frames_or_pages(tmp_path, suffix):
    pages = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue", "green")]
    pages[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), np.full((4, 5, 3), (255, 0, 0)))


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
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    for suffix in ("png", "tiff"):
        Image.fromarray(noise()).save(tmp_path / f"a.{suffix}", exif=exif)
        np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), UPRIGHT[orientation](noise()))
    pixels, _ = smooth_jpeg(tmp_path / "a.jpg", exif=exif)
    opened = as_image(Image.open(tmp_path / "a.jpg"))
    assert np.abs(opened.astype(int) - UPRIGHT[orientation](pixels)).max() < 12


@pytest.mark.parametrize(
    ("shape", "size", "rotated"),
    [((6, 9), None, True), ((6, 9), (6, 9), True), ((6, 9), (9, 6), False), ((6, 6), (6, 6), True)],
    ids=["no size", "rotated size", "stored size", "square"],
)
def test_annotated_size_decides_whether_the_exif_rotation_applies(tmp_path, shape, size, rotated):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(noise(*shape)).save(tmp_path / "a.png", exif=exif)
    expected = UPRIGHT[6](noise(*shape)) if rotated else noise(*shape)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", size), expected)
    with pytest.raises(InputError, match=r"a\.png has .* pixels where the annotations say 100x6"):
        read_image(tmp_path / "a.png", (100, 6))


@needs_shared_data("coco-photos")
def test_real_photographs_equal_pil_alone():
    folder = SHARED_DATA / "coco-photos" / "images"
    for name, mode in (("000000000086", "L"), ("000000000009", "RGB"), ("000000000025", "RGB")):
        path = folder / f"COCO_train2014_{name}.jpg"
        with Image.open(path) as reference:
            assert reference.mode == mode
            np.testing.assert_array_equal(read_image(path), np.asarray(reference.convert("RGB")))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "YCbCr", "HSV", "CMYK"])
def test_an_image_of_pils_is_what_it_shows(mode):
    image = Image.fromarray(noise()).convert(mode)
    np.testing.assert_array_equal(as_image(image), np.asarray(image.convert("RGB")))
    assert image.mode == mode


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO])
def test_a_files_content_is_its_image(tmp_path, kind):
    _, content = smooth_jpeg(tmp_path / "a.jpg")
    np.testing.assert_array_equal(as_image(kind(content)), read_image(tmp_path / "a.jpg"))
