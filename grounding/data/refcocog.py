"""RefCOCOg, and every data set in its layout, as a torch dataset of images with phrases and boxes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from torch.utils.data import Dataset

from grounding.data.annotations import find_layout, read_instances, read_references
from grounding.data.images import read_annotated_image, refuse_missing_images
from grounding.data.records import box_in_image
from grounding.errors import InputError
from grounding.geometry import box_xyxy_to_xywh
from grounding.types import Example, Expression, Region

Boxed = TypeVar("Boxed", Expression, Region)


class RefCOCOg(Dataset[Example]):
    """One split, in the order of the refs file.

    ::

        dataset = RefCOCOg("data/refcocog", "val", group_by="image")
        example = dataset[0]
        example.image.shape, example.phrases, example.boxes_xyxy

    Batches of images that differ in size need ``DataLoader(dataset, collate_fn=list)`` or a collate of one's own.

    Attributes:
        root, split, split_by, group_by: as given.
        images_dir: folder of the images.
        expressions: all expressions in the order of the refs file, the same for both values of `group_by`.
        regions: image id -> every annotated object of the image, whether an expression refers to it or not.

    Boxes are clipped to their image: here where instances.json gives its size, and otherwise in the examples, for which
    it is decoded.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        *,
        split_by: str = "umd",
        group_by: Literal["sentence", "image"] = "sentence",
        subset: int | float | None = None,
        seed: int = 0,
    ) -> None:
        """Reads the annotations; images are read one by one, in `__getitem__`.

        Args:
            root: folder with `annotations/refs(<split_by>).p`, `annotations/instances.json` and `images/`, or with
                the refer project's own layout (`find_layout`).
            split: "train", "val" or "test"; "train", "val", "testA" or "testB" with "unc".
            split_by: "umd" or "google" for RefCOCOg, "unc" for RefCOCO and RefCOCO+.
            group_by: "sentence" gives one expression an example; "image" one image with all its expressions of
                the split, images in the order of their first expression.
            subset: how many images to keep, with all their expressions: a count (1 or more), a fraction (between
                0 and 1, both excluded; never fewer than one image) or None for all. The same seed gives the same
                images, order is kept, and a larger subset contains every smaller one.
            seed: of the subset.

        Raises:
            InputError: a file is missing, cannot be read or lacks what another refers to; an argument has a value
                that is not listed above; a count exceeds the split's images.
        """
        if group_by not in ("sentence", "image"):
            raise InputError(f"group_by is {group_by!r}: use 'sentence' or 'image'")
        self.root = Path(root)
        self.split = split
        self.split_by = split_by
        self.group_by = group_by
        layout = find_layout(self.root, split_by)
        self.images_dir = layout.images_dir
        self._instances_file = layout.instances_file
        references = read_references(layout.refs_file, split)
        regions, images = read_instances(layout.instances_file, references)
        expressions = [
            Expression(
                phrase=sentence.phrase,
                box_xyxy=regions[reference.ann_id].box_xyxy,
                image_id=reference.image_id,
                ref_id=reference.ref_id,
                ann_id=reference.ann_id,
                sent_id=sentence.sent_id,
                # Found by image_id: the file name in a reference carries the annotation's id and exists nowhere.
                image_path=layout.images_dir / images[reference.image_id].file_name,
                category=regions[reference.ann_id].category,
                tags=sentence.tags,
            )
            for reference in references
            for sentence in reference.sentences
        ]
        if not expressions:
            raise InputError(f"{layout.refs_file} has no sentence in split {split!r}: use another split")
        kept = _subset_of_images({expression.image_id for expression in expressions}, subset, seed)
        self.expressions = tuple(expression for expression in expressions if expression.image_id in kept)
        self.regions: dict[int, tuple[Region, ...]] = dict.fromkeys(kept, ())
        for region in regions.values():
            if region.image_id in kept:
                self.regions[region.image_id] += (region,)
        self._image_sizes = {image_id: images[image_id].size for image_id in kept}
        self._examples = _by_image(self.expressions) if group_by == "image" else [(e,) for e in self.expressions]

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        """The example with its image decoded.

        Raises:
            InputError: the image file is missing, cannot be read, or has not the size that instances.json gives,
                so that the boxes would not fit it; or it gives none, and nothing of an expression's box lies in the
                image.
        """
        expressions = self._examples[index]
        path = expressions[0].image_path
        size = self._image_sizes[expressions[0].image_id]
        image = read_annotated_image(path, size)
        height, width = image.shape[:2]
        regions = self.regions[expressions[0].image_id]
        if size is not None:
            return Example(image, expressions, regions)
        expressions = tuple(self._clipped(each, (width, height)) for each in expressions)
        return Example(image, expressions, tuple(self._inside(regions, (width, height))))

    def _clipped(self, boxed: Boxed, size: tuple[int, int]) -> Boxed:
        """An expression or a region with its box clipped to an image of this (width, height) in pixels.

        Raises:
            InputError: nothing of the box lies in it.
        """
        box = np.array(boxed.box_xyxy)
        where = f"{self._instances_file}, annotation {boxed.ann_id}"
        return replace(boxed, box_xyxy=box_in_image(box, size, box_xyxy_to_xywh(box).tolist(), where))

    def _inside(self, regions: Iterable[Region], size: tuple[int, int]) -> Iterator[Region]:
        """The regions clipped likewise; as in `read_instances`, without those of which nothing lies in the image."""
        for region in regions:
            with suppress(InputError):
                yield self._clipped(region, size)

    def expressions_of(self, index: int) -> tuple[Expression, ...]:
        """The expressions of example `index`, without reading its image."""
        return self._examples[index]

    def check_images(self) -> None:
        """Look for every image's file, so that a long run does not end on a missing one.

        Raises:
            InputError: files are missing; it says how many and names the first.
        """
        refuse_missing_images((each.image_path for each in self.expressions), self.images_dir, self.split)


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
