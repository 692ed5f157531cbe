"""The files of Flickr30k Entities: lists of images, captions with tagged phrases, and boxes of what these are about.

What they hold is as in the authors' `flickr30k_entities_utils.py` and its MATLAB counterpart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from grounding.data.records import GET_AGAIN, box_in_image
from grounding.errors import InputError

SENTENCES, ANNOTATIONS, IMAGES, UNRELATED = "Sentences", "Annotations", "flickr30k-images", "UNRELATED_CAPTIONS"
FOLDERS = (SENTENCES, ANNOTATIONS, IMAGES)
PHRASE = re.compile(r"\[/EN#(\d{1,9})((?:/[^\s/\]]+)+)\s+((?:(?!\[/EN#).)+?)\s*\]")  # [/EN#17/people/other two men]
IMAGES_FORM = "ask for flickr30k-images.tar.gz by the form at https://shannon.cs.illinois.edu/DenotationGraph/"
DOWNLOAD = "run python -m grounding.data.download flickr30k --root"

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Phrase:
    """A phrase of a caption: the chain that it belongs to, 0 for none; what kinds of thing it names; its words."""

    chain: int
    types: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Chains:
    """What is annotated of an image.

    Attributes:
        size: (width, height) in pixels.
        boxes: chain -> all its boxes, (x1, y1, x2, y2) in pixels of the image, clipped to it, x2 and y2 exclusive.
        scenes: chains that are the whole scene, and have no box.
        outside: of boxes of which nothing lies in the image.
    """

    size: tuple[int, int]
    boxes: dict[int, tuple[Box, ...]]
    scenes: frozenset[int]
    outside: int = 0


def is_flickr30k(root: Path) -> bool:
    """Whether a folder has the layout of Flickr30k Entities, or a part of it."""
    return any((root / name).is_dir() for name in (SENTENCES, IMAGES))


def annotation_files(root: Path, image_id: int) -> tuple[Path, Path]:
    """The captions of an image, and its boxes."""
    return root / SENTENCES / f"{image_id}.txt", root / ANNOTATIONS / f"{image_id}.xml"


def read_list(root: Path, split: str) -> list[int]:
    """The images of a split.

    Raises:
        InputError: a part of the data set or the split is missing, or as `image_ids`.
    """
    missing = next((name for name in FOLDERS if not (root / name).is_dir()), None)
    if missing is not None:
        remedy = IMAGES_FORM + " and unpack it there" if missing == IMAGES else f"{DOWNLOAD} {root}"
        raise InputError(f"there is no folder {root / missing}, a part of Flickr30k Entities: {remedy}")
    path = root / f"{split}.txt"
    if not path.is_file():
        names = ", ".join(sorted(each.stem for each in root.glob("*.txt"))) or "none"
        raise InputError(f"{path} is missing, the lists of images that are there: {names}: use one of these, or "
                         f"{DOWNLOAD} {root}")  # fmt: skip
    return image_ids(path)


def image_ids(path: Path) -> list[int]:
    """The numbers of images in a list.

    Raises:
        InputError: the list cannot be read, or holds something else, or an image twice.
    """
    words = _text(path).split()
    if not words or not all(re.fullmatch(r"[0-9]{1,14}", word) for word in words) or len(set(words)) < len(words):
        raise InputError(f"{path} does not list the numbers of images, each once: {GET_AGAIN}")
    return [int(word) for word in words]


def read_unrelated(root: Path) -> set[tuple[int, int]]:
    """Captions that are about something else: (image, caption, counted from 1); none where there is no such file.

    Raises:
        InputError: the file holds something else.
    """
    path = root / UNRELATED
    lines = _text(path).splitlines() if path.is_file() else []
    pairs = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    if not all(len(pair) == 2 and all(word.isdecimal() for word in pair) for pair in pairs):
        raise InputError(f"{path} has a line that is no number of an image and of a caption: {GET_AGAIN}")
    return {(int(image_id), int(caption)) for image_id, caption in pairs}


def read_captions(path: Path) -> list[list[Phrase]]:
    """The phrases of each caption, in their order.

    Raises:
        InputError: the file cannot be read, or a phrase in it is not whole.
    """
    captions = []
    for number, line in enumerate(filter(None, map(str.strip, _text(path).split("\n"))), start=1):
        captions.append([Phrase(int(chain), tuple(types.strip("/").split("/")), " ".join(text.split()))
                         for chain, types, text in PHRASE.findall(line)])  # fmt: skip
        if "[/EN#" in PHRASE.sub("", line):
            raise InputError(f"{path}, caption {number} has a phrase that is not [/EN#NUMBER/TYPE WORDS]: {GET_AGAIN}")
    return captions


def read_chains(path: Path) -> Chains:
    """The boxes of an image's chains. A box of several names is of each of these chains.

    The files count pixels from 1 and name the last one inside, as PASCAL VOC's do.

    Raises:
        InputError: the file cannot be read, has no size, or an object without a name, or a box without its four sides.
    """
    try:
        annotation = ElementTree.fromstring(_bytes(path))
    except (ElementTree.ParseError, LookupError, ValueError) as problem:
        raise InputError(f"{path} is not readable XML ({problem}): {GET_AGAIN}") from problem
    width, height = (_number(annotation, f"size/{side}", path) for side in ("width", "height"))
    boxes: dict[int, list[Box]] = {}
    scenes, outside = set(), 0
    for position, entry in enumerate(annotation.findall("object"), start=1):
        where = f"{path}, object {position}"
        names = [_whole(name.text, "name", where) for name in entry.findall("name")]
        if not names:
            raise InputError(f"{where} has no 'name': {GET_AGAIN}")
        for bndbox in entry.findall("bndbox"):
            sides = [_number(bndbox, side, where) for side in ("xmin", "ymin", "xmax", "ymax")]
            if sides[0] > sides[2] or sides[1] > sides[3]:
                raise InputError(f"{where} has a 'bndbox' {sides} whose minimum is above its maximum: {GET_AGAIN}")
            try:
                box = box_in_image(np.array(sides) - [1, 1, 0, 0], (width, height), sides, where)
            except InputError:
                outside += 1
                continue
            for name in names:
                boxes.setdefault(name, []).append(box)
        if entry.findtext("scene", "0").strip() == "1":
            scenes.update(names)
    return Chains((width, height), {name: tuple(each) for name, each in boxes.items()}, frozenset(scenes), outside)


def _number(element: Any, name: str, where: Path | str) -> int:
    return _whole(element.findtext(name), name, where)


def _whole(text: str | None, name: str, where: Path | str) -> int:
    if text is None or not re.fullmatch(r"\s*-?[0-9]{1,9}\s*", text):
        raise InputError(f"{where} has no whole number {name!r}: {GET_AGAIN}")
    return int(text)


def _text(path: Path) -> str:
    data = _bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:  # as the pickles of that time
        return data.decode("latin-1")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path} cannot be read ({problem.strerror}): {GET_AGAIN}") from problem
