"""Every format and mode of pixels gives the same: three channels of eight bits."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from grounding.data.images import read_image
from grounding.errors import InputError
from tests.data.images.image_files import noise
from tests.shared_data import SHARED_DATA, needs_shared_data


def png16(path, values):
    """A 16-bit grayscale PNG, written chunk by chunk so that PIL has no part in it."""
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def test_rgb_is_returned_unchanged_as_a_writable_uint8_array(tmp_path):
    pixels = noise()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = read_image(str(tmp_path / "a.png"))
    assert image.dtype == np.uint8 and image.flags.writeable and image.flags.c_contiguous
    np.testing.assert_array_equal(image, pixels)


@pytest.mark.parametrize("suffix", ["webp", "bmp", "tiff", "ppm"])
def test_other_lossless_formats_give_the_same_pixels(tmp_path, suffix):
    Image.fromarray(noise()).save(tmp_path / f"a.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), noise())


@pytest.mark.parametrize("pixels", [noise()[..., 0], noise()[..., 0] > 127], ids=["gray", "one bit"])
def test_grayscale_is_repeated_in_three_channels(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = pixels * (255 if pixels.dtype == bool else 1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.stack([expected] * 3, axis=-1))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_composited_over_white(tmp_path, mode):
    pixels = noise(channels=len(mode))
    pixels[0, 0, -1], pixels[0, 1, -1] = 0, 255
    Image.fromarray(pixels, mode).save(tmp_path / "a.png")
    alpha = pixels[..., -1:] / 255
    image = read_image(tmp_path / "a.png")
    assert np.abs(image - (pixels[..., :-1] * alpha + 255 * (1 - alpha))).max() <= 1
    assert (image[0, 0] == 255).all() and (image[0, 1] == pixels[0, 1, :-1]).all()


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


def test_rgb_png_with_a_transparent_colour_shows_white_there(tmp_path):
    pixels = noise()
    pixels[2, 3] = (1, 2, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png", transparency=(1, 2, 3))
    expected = pixels.copy()
    expected[2, 3] = 255
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)


def test_sixteen_bit_gray_is_scaled_not_cut_off(tmp_path):
    values = np.array([[0, 255, 257, 1000], [32768, 40000, 65000, 65535]], dtype=np.uint16)
    png16(tmp_path / "a.png", values)
    expected = np.rint(values / 65535 * 255)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.stack([expected] * 3, axis=-1))


@pytest.mark.parametrize(
    ("pixel", "said"), [(np.float32(0.5), "floating-point"), (np.int32(70000), "from 70000 to 70000")]
)
def test_pixels_of_unknown_range_are_refused(tmp_path, pixel, said):
    Image.fromarray(np.full((4, 5), pixel)).save(tmp_path / "depth.tiff")
    with pytest.raises(InputError, match=rf"depth\.tiff.*{said}"):
        read_image(tmp_path / "depth.tiff")


def test_cmyk_jpeg_as_adobe_writes_it(tmp_path):
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


def test_cmyk_tiff_is_not_inverted(tmp_path):
    Image.new("CMYK", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.tiff")
    assert read_image(tmp_path / "a.tiff")[0, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize("suffix", ["gif", "tiff"])
def test_the_first_of_several_frames_or_pages(tmp_path, suffix):
    pages = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue", "green")]
    pages[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), np.full((4, 5, 3), (255, 0, 0)))


@needs_shared_data("coco-photos")
def test_real_photographs_equal_pil_alone():
    folder = SHARED_DATA / "coco-photos" / "images"
    names = ["000000000086", "000000000009", "000000000025"]  # the first is grayscale
    for name in names:
        path = folder / f"COCO_train2014_{name}.jpg"
        with Image.open(path) as reference:
            assert reference.mode == ("L" if name == names[0] else "RGB")
            pixels = np.asarray(reference)
        expected = np.stack([pixels] * 3, axis=-1) if pixels.ndim == 2 else pixels
        np.testing.assert_array_equal(read_image(path), expected)
