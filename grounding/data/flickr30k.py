"""Flickr30k Entities: captions whose phrases are tied to boxes, by chains of phrases that are about the same thing.

Plummer et al. 2015, "Flickr30k Entities: Collecting Region-to-Phrase Correspondences for Richer Image-to-Sentence
Models". What the files hold is as in the authors' `flickr30k_entities_utils.py` and its MATLAB counterpart.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from grounding.data.dataset import NOWHERE, GroundingDataset, Grouping
from grounding.data.records import GET_AGAIN, Box, box_in_image
from grounding.runtime.errors import InputError
from grounding.runtime.files import read_text
from grounding.types import Expression, Region

PUBLISHED_IMAGES = {"train": 29_783, "val": 1_000, "test": 1_000}
SENTENCES, ANNOTATIONS, IMAGES, UNRELATED = "Sentences", "Annotations", "flickr30k-images", "UNRELATED_CAPTIONS"
PHRASE = re.compile(r"\[/EN#(\d{1,9})((?:/[^\s/\]]+)+)\s+((?:(?!\[/EN#).)+?)\s*\]")  # [/EN#17/people/other two men]
IMAGES_FORM = "ask for flickr30k-images.tar.gz by the form at https://shannon.cs.illinois.edu/DenotationGraph/"
IDS_OF_AN_IMAGE = 10_000  # its phrases, and its chains, are numbered from the image's own number times this


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
    """

    size: tuple[int, int]
    boxes: dict[int, tuple[Box, ...]]
    scenes: frozenset[int]


class Flickr30kEntities(GroundingDataset):
    """One split, images in the order of its list, phrases in that of the captions.

    A phrase has all boxes of its chain: `parts_xyxy`, and `box_xyxy` around them. What has none is no expression and is
    counted in `left_out`: phrases of no chain ("not visual"), of a chain that is the scene or that nobody has drawn a
    box for, and all of a caption that UNRELATED_CAPTIONS names. The tags of an expression are its types, such as
    "people"; it has no category, for what the captions do not mention is not annotated.

    ``ref_id`` and ``ann_id`` are the chain's, and ``sent_id`` the phrase's, numbered by image.
    """

    images_remedy = IMAGES_FORM

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        *,
        boxed: bool = True,
        group_by: Grouping = "sentence",
        subset: int | float | None = None,
        seed: int = 0,
    ) -> None:
        """Reads the annotations; images are read one by one, in `__getitem__`.

        Warns where the split's list does not have the published number of images (`PUBLISHED_IMAGES`). Not `boxed`, all
        phrases are expressions that a chain ties to the image, with NaN for a box that there is not.
        """
        root = Path(root)
        ids = read_list(root, split)
        if split in PUBLISHED_IMAGES and len(ids) != PUBLISHED_IMAGES[split]:
            warnings.warn(
                f"{root / split}.txt names {len(ids):,} images, of {PUBLISHED_IMAGES[split]:,} that are published: "
                "what is measured on them does not compare with published numbers",
                stacklevel=2,
            )
        unrelated = read_unrelated(root)
        expressions: list[Expression] = []
        regions: list[Region] = []
        sizes: dict[int, tuple[int, int] | None] = {}
        left_out: Counter[str] = Counter()
        files = [root / f"{split}.txt", *root.glob(UNRELATED)]
        for image_id in ids:
            sentences, annotations = annotation_files(root, image_id)
            files += [sentences, annotations]
            chains = read_chains(annotations)
            sizes[image_id] = chains.size
            sent_id = first_id = image_id * IDS_OF_AN_IMAGE
            ids_of_chains: dict[int, int] = {}
            for caption, phrases in enumerate(read_captions(sentences), start=1):
                for phrase in phrases:
                    sent_id += 1
                    chain_id = ids_of_chains.setdefault(phrase.chain, first_id + len(ids_of_chains))
                    if reason := _no_expression(phrase, chains, boxed, (image_id, caption) in unrelated):
                        left_out[reason] += 1
                        continue
                    boxes = chains.boxes.get(phrase.chain, ())
                    drawn = np.array(boxes or [NOWHERE])
                    around = (*drawn[:, :2].min(axis=0).tolist(), *drawn[:, 2:].max(axis=0).tolist())
                    image_path = root / IMAGES / f"{image_id}.jpg"
                    expressions.append(Expression(phrase.text, around, image_id, chain_id, chain_id, sent_id,
                                                  image_path, tags=phrase.types, parts_xyxy=boxes))  # fmt: skip
            for chain, boxes in chains.boxes.items():
                chain_id = ids_of_chains.setdefault(chain, first_id + len(ids_of_chains))
                regions += [Region(chain_id, image_id, box, "") for box in boxes]
        if not expressions:
            raise InputError(f"{root / split}.txt names no image with a phrase that can be used: {GET_AGAIN}")
        super().__init__(root, split, expressions, regions, sizes, images_dir=root / IMAGES,
                         files=files, left_out=left_out, group_by=group_by, subset=subset, seed=seed)  # fmt: skip


def _no_expression(phrase: Phrase, chains: Chains, boxed: bool, unrelated: bool) -> str | None:
    """Why a phrase is no expression, if it is none."""
    if unrelated:
        return "of a caption about something else"
    if phrase.chain == 0 or "notvisual" in phrase.types:
        return "not visual"
    if not boxed or phrase.chain in chains.boxes:
        return None
    return "the whole scene" if phrase.chain in chains.scenes else "without a box"


def is_flickr30k(root: Path) -> bool:
    """Whether a folder has the layout of Flickr30k Entities, or a part of it."""
    return any((root / name).is_dir() for name in (SENTENCES, IMAGES))


def annotation_files(root: Path, image_id: int) -> tuple[Path, Path]:
    """The captions of an image, and its boxes."""
    return root / SENTENCES / f"{image_id}.txt", root / ANNOTATIONS / f"{image_id}.xml"


def read_list(root: Path, split: str) -> list[int]:
    """The images of a split."""
    path = root / f"{split}.txt"
    if not path.is_file():
        names = ", ".join(sorted(each.stem for each in root.glob("*.txt"))) or "none"
        raise InputError(f"{path} is missing, the lists of images that are there: {names}: use one of these, or run "
                         f"python -m grounding.data.download flickr30k --root {root}")  # fmt: skip
    words = _text(path).split()
    if not words or not all(re.fullmatch(r"[0-9]{1,14}", word) for word in words) or len(set(words)) < len(words):
        raise InputError(f"{path} does not list the numbers of images, each once: {GET_AGAIN}")
    return [int(word) for word in words]


def read_unrelated(root: Path) -> set[tuple[int, int]]:
    """Captions that are about something else: (image, caption, counted from 1); none where there is no such file."""
    path = root / UNRELATED
    lines = _text(path).split("\n") if path.is_file() else []
    pairs = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    if not all(len(pair) == 2 and all(word.isdecimal() for word in pair) for pair in pairs):
        raise InputError(f"{path} has a line that is no number of an image and of a caption: {GET_AGAIN}")
    return {(int(image_id), int(caption)) for image_id, caption in pairs}


def read_captions(path: Path) -> list[list[Phrase]]:
    """The phrases of each caption, in their order."""
    captions = []
    for number, line in enumerate(filter(None, map(str.strip, _text(path).split("\n"))), start=1):
        captions.append([Phrase(int(chain), tuple(types.strip("/").split("/")), " ".join(text.split()))
                         for chain, types, text in PHRASE.findall(line)])  # fmt: skip
        if "[/EN#" in PHRASE.sub("", line):
            raise InputError(f"{path}, caption {number} has a phrase that is not [/EN#NUMBER/TYPE WORDS]: {GET_AGAIN}")
    return captions


def read_chains(path: Path) -> Chains:
    """The boxes of an image's chains. A box of several names is of each of these chains."""
    try:
        annotation = ElementTree.fromstring(path.read_bytes())
    except (OSError, ElementTree.ParseError, LookupError, ValueError) as problem:
        raise InputError(f"{path} is not readable XML ({problem}): {GET_AGAIN}") from problem
    width, height = (_whole(annotation.findtext(name), name, path) for name in ("size/width", "size/height"))
    boxes: dict[int, tuple[Box, ...]] = {}
    scenes: set[int] = set()
    for position, entry in enumerate(annotation.findall("object"), start=1):
        where = f"{path}, object {position}"
        names = [_whole(name.text, "name", where) for name in entry.findall("name")]
        if not names:
            raise InputError(f"{where} has no 'name': {GET_AGAIN}")
        for bndbox in entry.findall("bndbox"):
            sides = [_whole(bndbox.findtext(side), side, where) for side in ("xmin", "ymin", "xmax", "ymax")]
            if sides[0] > sides[2] or sides[1] > sides[3]:
                raise InputError(f"{where} has a 'bndbox' {sides} whose minimum is above its maximum: {GET_AGAIN}")
            # The files count pixels from 1 and name the last one inside, as PASCAL VOC's do.
            box = box_in_image(np.array(sides) - [1, 1, 0, 0], (width, height))
            boxes.update({name: (*boxes.get(name, ()), box) for name in names if box is not None})
        if entry.findtext("scene", "0").strip() == "1":
            scenes.update(names)
    return Chains((width, height), boxes, frozenset(scenes))


def _whole(text: str | None, name: str, where: Path | str) -> int:
    if text is None or not re.fullmatch(r"\s*-?[0-9]{1,9}\s*", text):
        raise InputError(f"{where} has no whole number {name!r}: {GET_AGAIN}")
    return int(text)


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, ValueError) as problem:
        raise InputError(f"{path} cannot be read as UTF-8 text ({problem}): {GET_AGAIN}") from problem
