"""What a session works on: a photo within the limits or one of the examples, and phrases, one a line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from grounding.data.images import FORMATS, read_image
from grounding.data.open_dataset import open_dataset
from grounding.data.refshapes.writer import write_refshapes
from grounding.errors import InputError, visible

MOST_PHRASES = 7  # at once: as many colours as colour-blind readers can tell apart
EXAMPLES = 8
PHRASES_OF_AN_EXAMPLE = 2
SEED = 20_261_125  # of the generated scenes: none of the benchmark's


@dataclass(frozen=True)
class Photo:
    """A photo that was given, without its pixels.

    Attributes:
        path: the file as the server keeps it.
        name: of the file, as the user knows it.
        key: of its content; the same file given by anybody has the same.
        size: (width, height) in pixels, upright.
        frames: how many pictures the file holds; the first is used.
    """

    path: Path
    name: str
    key: str
    size: tuple[int, int]
    frames: int = 1


@dataclass(frozen=True)
class ExampleImage:
    """A photo with phrases, at least one, that refer to different objects of it."""

    path: Path
    phrases: tuple[str, ...]


def receive(path: Path, *, max_pixels: int) -> tuple[Photo, np.ndarray]:
    """Check and decode a photo; one with too many pixels is refused by its header, before it is decoded.

    Returns:
        What is known of it, and its pixels (H, W, 3) uint8 RGB, upright.

    Raises:
        InputError: it has more than `max_pixels`, or cannot be read; the sentence names the file without its folder.
    """
    frames = _check_header(path, max_pixels)
    pixels = pixels_of(path)
    digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    return Photo(path, path.name, digest, (pixels.shape[1], pixels.shape[0]), frames), pixels


def pixels_of(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, upright.

    Raises:
        InputError: the file cannot be read; the sentence names it without its folder, which is the server's own.
    """
    try:
        return read_image(path)
    except InputError as error:
        raise InputError(str(error).replace(visible(str(path)), path.name)) from error


def phrases_of(text: str) -> tuple[str, ...]:
    """The distinct phrases of a text, one a line; empty lines do not count.

    Raises:
        InputError: there is none, or there are more than `MOST_PHRASES`.
    """
    phrases = tuple(dict.fromkeys(" ".join(line.split()) for line in text.splitlines() if line.strip()))
    if not phrases:
        raise InputError("there is no phrase: type what to look for, one phrase a line")
    if len(phrases) > MOST_PHRASES:
        raise InputError(f"these are {len(phrases)} phrases: ask at most {MOST_PHRASES} at once")
    return phrases


def examples_from_data(root: Path, *, split_by: str, split: str) -> list[ExampleImage]:
    """The first images of a split.

    Raises:
        InputError: the data set is missing or cannot be read.
    """
    dataset = open_dataset(root, split, split_by=split_by)
    by_image: dict[Path, dict[int, str]] = {}
    for expression in dataset.expressions:
        if expression.image_path not in by_image and len(by_image) == EXAMPLES:
            break
        of_image = by_image.setdefault(expression.image_path, {})
        of_image.setdefault(expression.ann_id, expression.phrase)
    return [ExampleImage(path, tuple(phrases.values())[:PHRASES_OF_AN_EXAMPLE]) for path, phrases in by_image.items()]


def generated_examples(folder: Path) -> list[ExampleImage]:
    """New scenes, written into a folder that does not exist yet."""
    write_refshapes(folder, {"test": 2 * EXAMPLES}, seed=SEED)
    return examples_from_data(folder, split_by="umd", split="test")


def _check_header(path: Path, max_pixels: int) -> int:
    """The number of frames; 1 for what is no image at all, which `read_image` explains."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            frames = int(getattr(image, "n_frames", 1)) if width * height <= max_pixels else 1
    except Exception:  # PIL's parsers raise nearly anything on damaged files
        return 1
    if width * height > max_pixels:
        raise InputError(
            f"{path.name} has {width} x {height} pixels, which is more than this page takes: give a version of at most "
            f"{max_pixels / 1e6:g} million pixels, or serve with a larger --max_pixels"
        )
    return frames
