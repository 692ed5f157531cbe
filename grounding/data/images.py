"""Any photograph file as an array: upright, three channels, eight bits."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION

from grounding.runtime.errors import InputError

# Named, because PIL would otherwise hand an uploaded PostScript file to Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
SUFFIXES = frozenset("." + name.lower() for name in (*FORMATS, "JPG", "TIF", "PGM"))  # of their files

# What PIL warns of names no file and changes nothing: the image is read, or refused in a sentence.
warnings.filterwarnings("ignore", module=r"PIL\.")

COCO_IMAGES = "put COCO's train2014 photographs there"  # what to do where images of these data sets are missing
JPEG_END = b"\xff\xd9"

# What undoes each EXIF orientation; 1 is upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

ImageLike = str | os.PathLike[str] | np.ndarray | Image.Image | bytes | bytearray | memoryview | BinaryIO


class EndsEarlyWarning(UserWarning):
    """An image file lacks its end: the rest of the picture is grey."""


def read_image(path: str | os.PathLike[str], size: tuple[int, int] | None = None) -> np.ndarray:
    """The photograph in a file, as the eye sees it.

    Grayscale and CMYK become RGB (a CMYK JPEG is taken as Adobe writes it, inverted); 16-bit gray is scaled to
    8 bits; transparency is composited over white, unless nothing would be left to see; an animation gives its first
    frame. A JPEG that ends early, as some of COCO's do, keeps what could be decoded above gray, with an
    `EndsEarlyWarning`.

    Args:
        path: JPEG, PNG, WebP, GIF, BMP, TIFF or PPM file.
        size: (width, height) in pixels that annotations give for the image, where they do. The EXIF rotation is applied
            unless this is the size of the pixels as stored and not of the rotated ones: the boxes then refer to the
            stored pixels, which are returned.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    if not os.path.isfile(path):  # a device or a pipe may never end
        raise InputError(f"there is no image file {path}: check the path")
    try:
        data = Path(path).read_bytes()
    except OSError as problem:
        raise InputError(f"{path} cannot be opened ({problem.strerror}): check its permissions") from None
    image = _pixels(data, str(path), size)
    height, width = image.shape[:2]
    if size is not None and size != (width, height):
        raise InputError(
            f"{path} has {width}x{height} pixels where the annotations say {size[0]}x{size[1]}, so the boxes do "
            "not fit it: put the original file back"
        )
    return image


def as_image(image: ImageLike) -> np.ndarray:
    """An image's pixels: (H, W, 3) uint8 RGB.

    Args:
        image: a path; a file's content, as bytes or as a file that is open to be read; an image of PIL's, which is
            read as its file would be (turned upright, over white); or an array that has these pixels already.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    try:
        content = image.read() if hasattr(image, "read") else image
    except InputError:
        raise
    except (OSError, ValueError) as problem:
        raise InputError(f"the image's file cannot be read ({problem}): open it anew, in binary mode") from problem
    if isinstance(content, Image.Image | bytes | bytearray | memoryview):
        return _pixels(content, "the image")
    if not isinstance(image, np.ndarray):
        raise InputError(
            f"the image is of the type {type(image).__name__}: give a path, a file's bytes, an image of PIL's, or an "
            "array (H, W, 3) uint8 RGB"
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(f"an image array is (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}: convert it first")
    return image


def _pixels(
    source: bytes | bytearray | memoryview | Image.Image, name: str, size: tuple[int, int] | None = None
) -> np.ndarray:
    """What `read_image` returns, of a file's content or an image of PIL's; `name` says which in messages."""
    try:
        if isinstance(source, Image.Image):
            image, complete = source, True
            image.load()  # which may have been put off
        else:
            image, complete = _decode(bytes(source))
        rgb = _to_rgb(image)
        upright = rgb.transpose(UPRIGHT[turned]) if (turned := _orientation(image)) in UPRIGHT else rgb
    except Image.DecompressionBombError:
        raise InputError(f"{name} has too many pixels to be read safely: give a smaller version of it") from None
    except Exception as problem:  # PIL's parsers raise nearly anything on damaged files
        # PIL names the BytesIO in its own message, which says nothing to a reader.
        reason = "unknown format" if isinstance(problem, UnidentifiedImageError) else problem
        raise InputError(
            f"{name} cannot be read as an image ({reason}): give an undamaged file of {', '.join(FORMATS)}"
        ) from problem
    if not complete:
        warnings.warn(f"{name} ends early: the part that could be decoded is used", EndsEarlyWarning, stacklevel=3)
    return np.array(rgb if size == rgb.size != upright.size else upright, dtype=np.uint8)


def _decode(data: bytes) -> tuple[Image.Image, bool]:
    """The decoded image, and whether the file held all of it."""
    if not data:
        raise ValueError("it is empty")
    image = Image.open(BytesIO(data), formats=FORMATS)
    try:
        image.load()
    except OSError:
        if image.format not in ("JPEG", "MPO"):
            raise
        # With an end marker libjpeg fills up the rest, as under PIL's LOAD_TRUNCATED_IMAGES, which is global.
        image = Image.open(BytesIO(data + JPEG_END), formats=FORMATS)
        image.load()
        return image, False
    return image, True


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF data spoil no pixel, and say nothing of the orientation
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if 0 in image.size:
        raise ValueError("it has no pixels")
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):  # whose "I" is of 16 bits
        raise ValueError("its pixels are numbers of more than 16 bits, of which nobody knows what is white")
    if image.mode.startswith("I"):  # PIL's own conversion would cut values off at 255 rather than scale them
        gray = (np.asarray(image).astype(np.int64) + 128) // 257  # 65535 = 255 * 257, rounded to nearest
        if image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0:  # type: ignore[attr-defined]
            gray = 255 - gray  # white is zero
        return Image.fromarray(gray.astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it
    rgba = image.convert("RGBA")
    if rgba.getchannel("A").getextrema() == (0, 0):  # of many a BMP, whose fourth byte is not filled
        return rgba.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), rgba).convert("RGB")


def images_in(path: Path) -> list[Path]:
    """The image files of a folder, by their names, one at least; of a file itself alone, whatever it is."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"there is no image file or folder {path}: check the path")
    # Hidden files are other programs' notes: macOS leaves "._photo.png" beside a photo.png.
    visible = (file for file in path.iterdir() if not file.name.startswith("."))
    paths = sorted(file for file in visible if file.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"{path} holds no image: its files end in none of {', '.join(sorted(SUFFIXES))}")
    return paths


def refuse_missing_images(paths: Iterable[Path], images_dir: Path, split: str, remedy: str) -> None:
    """Refuses image files of a split that are missing, on which a long run would end, with how many and the first."""
    asked = list(dict.fromkeys(paths))
    missing = [path for path in asked if not os.path.isfile(path)]  # Path.is_file does not take every name
    if missing:
        raise InputError(
            f"{len(missing)} of the {len(asked)} images of split {split!r} are missing from {images_dir}, "
            f"the first {missing[0].name}: {remedy}"
        )
