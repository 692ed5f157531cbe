"""What every data set of images with phrases and boxes is to training, evaluation and pictures, whatever its files."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import Dataset
from torch.utils.data._utils.collate import default_collate_fn_map

from grounding.clip.text import tokenize
from grounding.data.images import COCO_IMAGES, read_image, refuse_missing_images
from grounding.runtime.errors import InputError
from grounding.runtime.files import sha256_of
from grounding.types import Example, Expression, Region, SetExpression

NOWHERE = (float("nan"),) * 4  # the box of a phrase where nobody says where it is
Grouping = Literal["sentence", "image"]


class GroundingDataset(Dataset[Example]):
    """One split of any data set; its readers are subclasses, and `open_dataset` chooses among them.

    Attributes:
        root: folder of the data set, or the file that it is.
        split, split_by: which part, of whose division ("" where the data set has one only).
        expressions: all expressions in the order of the files, the same for both groupings.
        regions: image id -> every annotated object of the image, whether an expression refers to it or not.
        image_sizes: image id -> its (width, height) in pixels, or None where the annotations give none.
        images_dir: folder of the images.
        files: what the annotations were read from.
        left_out: reason -> how many phrases of the split are no expressions, because nobody says where they are.

    torch's own `DataLoader` takes it, by `collate_examples`.
    """

    images_remedy = COCO_IMAGES  # what to do where they are missing

    def __init__(
        self,
        root: Path,
        split: str,
        expressions: Sequence[Expression],
        regions: Iterable[Region],
        sizes: Mapping[int, tuple[int, int] | None],
        *,
        images_dir: Path,
        files: Sequence[Path],
        split_by: str = "",
        left_out: Mapping[str, int] | None = None,
        group_by: Grouping = "sentence",
        subset: int | float | None = None,
        seed: int = 0,
    ) -> None:
        """What a reader has found; arguments without a word here are attributes.

        Args:
            regions: of its images; of others, they are left out.
            group_by: "sentence" gives one expression an example; "image" one image with all its expressions of
                the split, images in the order of their first expression.
            subset: how many images to keep, with all their expressions: a count (1 or more), a fraction (between
                0 and 1, both excluded; never fewer than one image) or None for all. The same seed gives the same
                images, order is kept, and a larger subset contains every smaller one.
            seed: of the subset.
        """
        if group_by not in ("sentence", "image"):
            raise InputError(f"group_by is {group_by!r}: use 'sentence' or 'image'")
        self.root, self.split, self.split_by, self.group_by = root, split, split_by, group_by
        self.images_dir, self.files, self.left_out = images_dir, tuple(files), Counter(left_out or {})
        kept = subset_of_images({expression.image_id for expression in expressions}, subset, seed)
        self.expressions = tuple(expression for expression in expressions if expression.image_id in kept)
        self.regions: dict[int, tuple[Region, ...]] = dict.fromkeys(kept, ())
        for region in regions:
            if region.image_id in kept:
                self.regions[region.image_id] += (region,)
        self.image_sizes = {image_id: sizes[image_id] for image_id in kept}
        groups: dict[int, list[Expression]] = {}
        for position, expression in enumerate(self.expressions):
            groups.setdefault(expression.image_id if group_by == "image" else position, []).append(expression)
        self._examples = list(map(tuple, groups.values()))

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        """The example with its image decoded.

        Raises:
            InputError: the image file is missing, cannot be read, or has not the size that the annotations give, so
                that the boxes would not fit it.
        """
        expressions = self._examples[index]
        image_id = expressions[0].image_id
        image = read_image(expressions[0].image_path, self.image_sizes[image_id])
        return Example(image, expressions, self.regions[image_id])

    def expressions_of(self, index: int) -> tuple[Expression, ...]:
        """The expressions of example `index`, without reading its image."""
        return self._examples[index]

    def check_images(self) -> None:
        """Look for every image's file, so that a long run does not end on a missing one.

        Raises:
            InputError: files are missing; it says how many and names the first.
        """
        refuse_missing_images(
            (each.image_path for each in self.expressions), self.images_dir, self.split, self.images_remedy
        )

    def sha256(self) -> str:
        """Of the annotations by content: answers of an older data set are not taken for this one's."""
        return hashlib.sha256("".join(map(sha256_of, self.files)).encode()).hexdigest()


def subset_of_images(image_ids: set[int], subset: int | float | None, seed: int) -> set[int]:
    """The first so many images of one shuffled order: what makes subsets of one seed nest."""
    if subset is None:
        return image_ids
    if isinstance(subset, Integral) and not isinstance(subset, bool) and 1 <= subset <= len(image_ids):
        count = int(subset)
    elif isinstance(subset, Real) and 0 < subset < 1:
        count = max(1, round(subset * len(image_ids)))
    else:
        raise InputError(
            f"subset is {subset!r}: use a count of images from 1 to {len(image_ids)}, a fraction between 0 and 1, "
            "or None for all"
        )
    shuffled = np.random.default_rng(seed).permutation(sorted(image_ids))
    return {int(image_id) for image_id in shuffled[:count]}


def collate_examples(examples: Sequence[Example], *, collate_fn_map: Any = None) -> dict[str, Any]:
    """A batch as a dictionary; images differ in size and in their number of phrases, so most of it is lists.

    Returns:
        "images": B tensors (3, H, W) uint8 RGB; "phrases": B lists of N phrases; "boxes_xyxy": B tensors (N, 4)
        float32, the annotated box of each phrase in pixels of the image; "sent_ids": B tensors (N,) int64;
        "image_ids": (B,) int64.
    """
    return {
        "images": [torch.from_numpy(each.image.transpose(2, 0, 1).copy()) for each in examples],
        "phrases": [each.phrases for each in examples],
        "boxes_xyxy": [torch.from_numpy(each.boxes_xyxy) for each in examples],
        "sent_ids": [torch.tensor([expression.sent_id for expression in each.expressions]) for each in examples],
        "image_ids": torch.tensor([each.expressions[0].image_id for each in examples]),
    }


# As torch's documentation of `default_collate` has it, for types that it does not know.
default_collate_fn_map[Example] = collate_examples


def fault_of(phrase: str) -> str:
    """Why CLIP cannot read a phrase, a sentence; "" where it can."""
    try:
        tokenize([phrase])
    except InputError as error:
        return str(error)
    return ""


@contextmanager
def naming_sentences(expressions: Iterable[Expression | SetExpression]) -> Iterator[None]:
    """What the block raises of one of these phrases names its image_id and sent_id."""
    try:
        yield
    except InputError as error:
        for each in expressions:
            if fault := fault_of(each.phrase):
                raise InputError(f"image_id {each.image_id}, sent_id {each.sent_id}: {fault}") from error
        raise
