"""gRefCOCO, and every data set in its layout: images with phrases for several objects, for one, or for none.

Liu et al. 2023, "GRES: Generalized Referring Expression Segmentation", section 3.
"""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path

from torch.utils.data import Dataset

import grounding.data.collate  # noqa: F401 - torch's DataLoader then takes examples
from grounding.data.annotations import find_layout, read_instances, read_references
from grounding.data.images import COCO_IMAGES, read_annotated_image, refuse_missing_images
from grounding.errors import InputError
from grounding.types import SetExample, SetExpression


class GRefCOCO(Dataset[SetExample]):
    """One split, an example an image, images by their id.

    ::

        dataset = GRefCOCO("data/grefcoco", "val")
        example = dataset[0]
        example.image.shape, [(each.phrase, each.boxes_xyxy) for each in example.expressions]

    Attributes:
        split: as given.
        images_dir: the folder of the images.
        expressions: all expressions, in the order of the examples.
    """

    def __init__(self, root: str | os.PathLike[str], split: str = "val", *, split_by: str = "unc") -> None:
        """Reads the annotations; images are read one by one, in `__getitem__`.

        Args:
            root: folder with `annotations/grefs(<split_by>).json` (or .p), `annotations/instances.json` and `images/`.
            split: "train", "val", "testA" or "testB"; "test" of RefShapes.
            split_by: the name in the file's brackets.

        Raises:
            InputError: a file is missing, cannot be read or lacks what another refers to, or the split is none of
                its own.
        """
        self.split = split
        layout = find_layout(Path(root), split_by, sets=True)
        self.images_dir = layout.images_dir
        references = read_references(layout.refs_file, split)
        regions, images = read_instances(layout.instances_file, references)
        unsized = next((image_id for image_id, record in images.items() if record.size is None), None)
        if unsized is not None:  # its boxes could reach beyond it
            raise InputError(f"{layout.instances_file}, image {unsized}, has no width and height: get COCO's own file")
        self._sizes = {image_id: record.size for image_id, record in images.items()}
        expressions = [
            SetExpression(
                phrase=sentence.phrase,
                boxes_xyxy=tuple(regions[ann_id].box_xyxy for ann_id in reference.ann_ids),
                ann_ids=reference.ann_ids,
                image_id=reference.image_id,
                ref_id=reference.ref_id,
                sent_id=sentence.sent_id,
                image_path=layout.images_dir / images[reference.image_id].file_name,
                tags=sentence.tags,
            )
            for reference in references
            for sentence in reference.sentences
        ]
        if not expressions:
            raise InputError(f"{layout.refs_file} has no sentence in split {split!r}: use another split")
        self.expressions = tuple(sorted(expressions, key=lambda each: each.image_id))
        self._examples = [tuple(group) for _, group in groupby(self.expressions, key=lambda each: each.image_id)]

    def __len__(self) -> int:
        return len(self._examples)

    def expressions_of(self, index: int) -> tuple[SetExpression, ...]:
        """The expressions of an image, without reading it."""
        return self._examples[index]

    def check_images(self) -> None:
        """As `RefCOCOg.check_images`."""
        refuse_missing_images((each.image_path for each in self.expressions), self.images_dir, self.split, COCO_IMAGES)

    def __getitem__(self, index: int) -> SetExample:
        """The example with its image decoded.

        Raises:
            InputError: the image is missing, cannot be read, or has not the size that instances.json gives.
        """
        expressions = self._examples[index]
        size = self._sizes[expressions[0].image_id]
        return SetExample(read_annotated_image(expressions[0].image_path, size), expressions)
