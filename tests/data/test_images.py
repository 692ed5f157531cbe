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
from grounding.data.images import read_image
from grounding.errors import InputError
from tests.shared_data import SHARED_DATA, needs_shared_data

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


def noise(height=6, width=9, channels=3):
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def png16(path, values):
    """A 16-bit grayscale PNG, written chunk by chunk so that PIL has no part in it."""
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def smooth_jpeg(path, **options):
    """A gradient that JPEG keeps nearly exactly, and its bytes."""
    rows, columns = np.mgrid[0:64, 0:96]
    pixels = np.stack([rows * 3, columns * 2, 255 - rows - columns], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=95, **options)
    return pixels, path.read_bytes()


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


def test_grayscale_is_repeated_in_three_channels(tmp_path):
    gray = noise()[..., 0]
    Image.fromarray(gray).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.stack([gray] * 3, axis=-1))


def test_one_bit_image_is_black_and_white(tmp_path):
    bits = noise()[..., 0] > 127
    Image.fromarray(bits).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.stack([bits * 255] * 3, axis=-1))


def test_gray_with_alpha_is_composited_over_white(tmp_path):
    pixels = noise(channels=2)
    Image.fromarray(pixels, "LA").save(tmp_path / "a.png")
    alpha = pixels[..., 1] / 255
    expected = pixels[..., 0] * alpha + 255 * (1 - alpha)
    assert np.abs(read_image(tmp_path / "a.png") - expected[..., None]).max() <= 1


def test_rgba_is_composited_over_white(tmp_path):
    pixels = noise(channels=4)
    pixels[0, 0] = (10, 20, 30, 0)
    pixels[0, 1] = (10, 20, 30, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    alpha = pixels[..., 3:] / 255
    image = read_image(tmp_path / "a.png")
    assert np.abs(image - (pixels[..., :3] * alpha + 255 * (1 - alpha))).max() <= 1
    assert image[0, 0].tolist() == [255, 255, 255] and image[0, 1].tolist() == [10, 20, 30]


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


def test_floating_point_pixels_are_refused(tmp_path):
    Image.fromarray(np.full((4, 5), 0.5, dtype=np.float32)).save(tmp_path / "depth.tiff")
    with pytest.raises(InputError, match=r"depth\.tiff.*floating-point"):
        read_image(tmp_path / "depth.tiff")


def test_more_than_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.full((4, 5), 70000, dtype=np.int32)).save(tmp_path / "deep.tiff")
    with pytest.raises(InputError, match=r"deep\.tiff.*16 bits"):
        read_image(tmp_path / "deep.tiff")


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


def test_truncated_png_is_refused(tmp_path):
    Image.fromarray(noise(60, 90)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:4000])
    with pytest.raises(InputError, match=r"a\.png.*undamaged"):
        read_image(tmp_path / "a.png")


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("content", "remedy"),
    [(None, "check the path"), (b"", "is empty"), (b"not an image at all", "unknown format"), (b"\xff\xd8", "give an")],
    ids=["missing", "empty", "text", "only a JPEG's first bytes"],
)
def test_unusable_files_are_input_errors_of_one_line_naming_the_file(tmp_path, content, remedy):
    path = tmp_path / "photo.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_image(path)
    message = str(caught.value)
    assert str(path) in message and remedy in message and "\n" not in message and "BytesIO" not in message


def test_a_folder_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)


def test_postscript_is_never_interpreted(tmp_path):
    Image.fromarray(noise()).save(tmp_path / "a.eps")
    with pytest.raises(InputError, match="unknown format"):
        read_image(tmp_path / "a.eps")


def test_decompression_bomb_is_an_input_error(tmp_path, monkeypatch):
    Image.fromarray(noise(60, 90)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match=r"a\.png has too many pixels"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["zero\x00byte.png", "x" * 5000, "a.png/b.png"])
def test_what_is_no_path_is_an_input_error(tmp_path, name):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        read_image(tmp_path / name)
    assert str(caught.value).isprintable()


def test_what_never_ends_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(InputError, match="is no plain file"):
            read_image(path)


def test_a_page_of_many_is_the_first(tmp_path):
    pages = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue", "green")]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tiff"), np.full((4, 5, 3), (255, 0, 0)))


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
        importlib.reload(images)  # in a process of its own the filter is there since the module was imported
        np.testing.assert_array_equal(read_image(tmp_path / "exif.png"), noise())
        np.testing.assert_array_equal(read_image(tmp_path / "large.png"), noise(60, 90))
    assert not slipped


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


@pytest.mark.parametrize("name", ["a\0.jpg", "\ud800.jpg", "x" * 300 + ".jpg"])
def test_a_name_that_no_file_can_have_is_an_input_error(tmp_path, name):
    with pytest.raises(InputError, match=r"check the path|is no path"):
        read_image(tmp_path / name)
