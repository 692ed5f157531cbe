"""What every data set of images with phrases and boxes is to training, evaluation and pictures, whatever its files."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from torch.utils.data import Dataset

import grounding.data.collate  # noqa: F401 - torch's DataLoader then takes examples
from grounding.data.images import COCO_IMAGES, read_annotated_image, refuse_missing_images
from grounding.data.records import box_in_image
from grounding.errors import InputError
from grounding.geometry import box_xyxy_to_xywh
from grounding.runtime.files import sha256_of
from grounding.types import Example, Expression, Region

NOWHERE = (float("nan"),) * 4  # the box of a phrase where nobody says where it is
Grouping = Literal["sentence", "image"]
Boxed = TypeVar("Boxed", Expression, Region)


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

    Boxes are clipped to their image: here where the annotations give its size, and otherwise in the examples, for which
    it is decoded.
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
        """What a reader has found.

        Args:
            root, split, split_by, images_dir, left_out: see the attributes.
            expressions: of the split, at least one.
            regions: of its images; of others, they are left out.
            sizes: image id -> (width, height) in pixels, or None where the annotations do not say.
            files: whose content the annotations are.
            group_by: "sentence" gives one expression an example; "image" one image with all its expressions of
                the split, images in the order of their first expression.
            subset: how many images to keep, with all their expressions: a count (1 or more), a fraction (between
                0 and 1, both excluded; never fewer than one image) or None for all. The same seed gives the same
                images, order is kept, and a larger subset contains every smaller one.
            seed: of the subset.

        Raises:
            InputError: `group_by` or `subset` has a value that is not listed above.
        """
        if group_by not in ("sentence", "image"):
            raise InputError(f"group_by is {group_by!r}: use 'sentence' or 'image'")
        self.root, self.split, self.split_by, self.group_by = root, split, split_by, group_by
        self.images_dir, self.files, self.left_out = images_dir, tuple(files), Counter(left_out or {})
        kept = _subset_of_images({expression.image_id for expression in expressions}, subset, seed)
        self.expressions = tuple(expression for expression in expressions if expression.image_id in kept)
        self.regions: dict[int, tuple[Region, ...]] = dict.fromkeys(kept, ())
        for region in regions:
            if region.image_id in kept:
                self.regions[region.image_id] += (region,)
        self.image_sizes = {image_id: sizes[image_id] for image_id in kept}
        self._examples = _by_image(self.expressions) if group_by == "image" else [(e,) for e in self.expressions]

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        """The example with its image decoded.

        Raises:
            InputError: the image file is missing, cannot be read, or has not the size that the annotations give,
                so that the boxes would not fit it; or they give none, and nothing of an expression's box lies in the
                image.
        """
        expressions = self._examples[index]
        path = expressions[0].image_path
        size = self.image_sizes[expressions[0].image_id]
        image = read_annotated_image(path, size)
        height, width = image.shape[:2]
        regions = self.regions[expressions[0].image_id]
        if size is not None:
            return Example(image, expressions, regions)
        expressions = tuple(self._clipped(each, (width, height), path) for each in expressions)
        return Example(image, expressions, tuple(self._inside(regions, (width, height), path)))

    def _clipped(self, boxed: Boxed, size: tuple[int, int], image_path: Path) -> Boxed:
        """An expression or a region with its box clipped to its image, which has this (width, height) in pixels.

        Raises:
            InputError: nothing of the box lies in it.
        """
        box = np.array(boxed.box_xyxy)
        where = f"{self.files[-1]}, annotation {boxed.ann_id}"
        return replace(boxed, box_xyxy=box_in_image(box, size, box_xyxy_to_xywh(box).tolist(), where))

    def _inside(self, regions: Iterable[Region], size: tuple[int, int], image_path: Path) -> Iterator[Region]:
        """The regions clipped likewise; as in `read_instances`, without those of which nothing lies in the image."""
        for region in regions:
            with suppress(InputError):
                yield self._clipped(region, size, image_path)

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


def _by_image(expressions: Iterable[Expression]) -> list[tuple[Expression, ...]]:
    groups: dict[int, list[Expression]] = {}
    for expression in expressions:
        groups.setdefault(expression.image_id, []).append(expression)
    return [tuple(group) for group in groups.values()]


def _subset_of_images(image_ids: set[int], subset: int | float | None, seed: int) -> set[int]:
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
