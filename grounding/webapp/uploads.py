"""What a session works on: a photo within the limits or one of the examples, and phrases, one a line."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image

from grounding.data.images import FORMATS, read_image
from grounding.data.open_dataset import open_dataset
from grounding.data.refshapes.writer import write_refshapes
from grounding.geometry import Letterbox
from grounding.runtime.errors import InputError, visible

MOST_PHRASES = 7  # at once: as many colours as colour-blind readers can tell apart
LARGEST_SIDE = 1200  # pixels of a photo as it is asked: the heatmap of a phrase takes the longer the more there are
EXAMPLES = 8
PHRASES_OF_AN_EXAMPLE = 2
SEED = 20_261_125  # of the generated scenes: none of the benchmark's


@dataclass(frozen=True)
class Photo:
    """A photo that was given."""

    name: str  # of the file, as the user knows it
    key: str  # of its content: the same file given by anybody has the same
    size: tuple[int, int]  # (width, height) of the original in pixels, upright
    pixels: np.ndarray = field(compare=False)  # (H, W, 3) uint8 RGB, upright, of at most `LARGEST_SIDE`


@dataclass(frozen=True)
class ExampleImage:
    """A photo with phrases, at least one, that refer to different objects of it, and where the photo comes from."""

    path: Path
    phrases: tuple[str, ...]
    source: str


def receive(path: Path, *, max_pixels: int) -> Photo:
    """Check and decode a photo; one with too many pixels is refused by its header, before it is decoded. A refusal
    names the file without its folder, which is the server's own."""
    _check_header(path, max_pixels)
    try:
        pixels = read_image(path)
    except InputError as error:
        raise InputError(str(error).replace(visible(str(path)), path.name)) from error
    height, width = pixels.shape[:2]
    if max(width, height) > LARGEST_SIDE:
        size = Letterbox.fit((width, height), LARGEST_SIDE).content_size
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    key = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    return Photo(path.name, key, (width, height), pixels)


def phrases_of(text: str) -> tuple[str, ...]:
    """The distinct phrases of a text, one a line, at least one and at most `MOST_PHRASES`; empty lines do not count."""
    phrases = tuple(dict.fromkeys(" ".join(line.split()) for line in text.splitlines() if line.strip()))
    if not phrases:
        raise InputError("there is no phrase: type what to look for, one phrase a line")
    if len(phrases) > MOST_PHRASES:
        raise InputError(f"these are {len(phrases)} phrases: ask at most {MOST_PHRASES} at once")
    return phrases


def examples_from_data(root: Path, *, split_by: str, split: str) -> list[ExampleImage]:
    """The first images of a split, or where the data set has none of this name of "val" or "train": to be looked at."""
    try:
        dataset = open_dataset(root, split, split_by=split_by)
    except InputError:
        for other in ("val", "train"):
            with suppress(InputError):
                dataset = open_dataset(root, other, split_by=split_by)
                if len(dataset):
                    break
        else:
            raise
    by_image: dict[Path, dict[int, str]] = {}
    for expression in dataset.expressions:
        if expression.image_path not in by_image and len(by_image) == EXAMPLES:
            break
        of_image = by_image.setdefault(expression.image_path, {})
        of_image.setdefault(expression.ann_id, expression.phrase)
    return [ExampleImage(path, tuple(phrases.values())[:PHRASES_OF_AN_EXAMPLE], f"images of {root.absolute().name}")
            for path, phrases in by_image.items()]  # fmt: skip


def examples_for(folder: Path, *, photographs: bool, drawings: bool) -> list[ExampleImage]:
    """What the loaded weights know: a photograph of one's own installation, new scenes in a new folder, or both."""
    # It is in the public domain, and comes with matplotlib, but not with every system's package of it.
    found: list[ExampleImage] = []
    portrait = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    if photographs and portrait.is_file():
        source = "Grace Hopper, by J. S. Davis, US Navy, public domain"
        found.append(ExampleImage(portrait, ("a flag", "a white cap", "eyeglasses", "a bicycle"), source))
    if drawings:
        write_refshapes(folder, train=0, val=0, test=2 * EXAMPLES, seed=SEED)
        found += [replace(one, source="generated scenes")
                  for one in examples_from_data(folder, split_by="umd", split="test")]  # fmt: skip
    return found[:EXAMPLES]


def _check_header(path: Path, max_pixels: int) -> None:
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
    except Exception:  # PIL's parsers raise nearly anything on damaged files, which `read_image` explains
        return
    if width * height > max_pixels:
        raise InputError(
            f"{path.name} has {width} x {height} pixels, which is more than this page takes: give a version of at most "
            f"{max_pixels / 1e6:g} million pixels, or serve with a larger --max_pixels"
        )
