"""Flickr30k Entities: captions whose phrases are tied to boxes, by chains of phrases that are about the same thing.

Plummer et al. 2015, "Flickr30k Entities: Collecting Region-to-Phrase Correspondences for Richer Image-to-Sentence
Models".
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from pathlib import Path

from grounding.data.dataset import NOWHERE, GroundingDataset, Grouping
from grounding.data.flickr30k_files import (
    IMAGES,
    IMAGES_FORM,
    UNRELATED,
    Box,
    Chains,
    Phrase,
    annotation_files,
    read_captions,
    read_chains,
    read_list,
    read_unrelated,
)
from grounding.data.records import GET_AGAIN
from grounding.errors import InputError
from grounding.types import Expression, Region

PUBLISHED_IMAGES = {"train": 29_783, "val": 1_000, "test": 1_000}
IDS_OF_AN_IMAGE = 10_000  # its phrases, and its chains, are numbered from the image's own number times this


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

        Warns where the split's list does not have the published number of images (`PUBLISHED_IMAGES`).

        Args:
            root: folder with `Sentences/`, `Annotations/`, `flickr30k-images/` and the lists `train.txt` and so on.
            split: "train", "val" or "test".
            boxed: only phrases of chains with boxes are expressions; else all are that a chain ties to the image, with
                NaN for a box that there is not.
            group_by, subset, seed: as in `GroundingDataset`.

        Raises:
            InputError: a folder or a file is missing, or cannot be read.
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
                    image_path = root / IMAGES / f"{image_id}.jpg"
                    expressions.append(Expression(phrase.text, _around(boxes), image_id, chain_id, chain_id, sent_id,
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


def _around(boxes: tuple[Box, ...]) -> Box:
    """The smallest box around some; NaN around none."""
    if not boxes:
        return NOWHERE
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    return min(x1), min(y1), max(x2), max(y2)
