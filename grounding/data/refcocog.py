"""RefCOCOg, gRefCOCO, and every data set in their layouts, as torch datasets of images with phrases and boxes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from torch.utils.data import Dataset

from grounding.data.annotations import find_layout, read_instances, read_references
from grounding.data.dataset import GroundingDataset, Grouping
from grounding.data.images import COCO_IMAGES, read_image, refuse_missing_images
from grounding.data.records import Reference
from grounding.runtime.errors import InputError
from grounding.types import Expression, SetExample, SetExpression


class RefCOCOg(GroundingDataset):
    """One split, in the order of the refs file.

    ``DataLoader(dataset, batch_size=8)`` makes dictionaries of tensors and lists of them (`dataset.collate_examples`),
    and ``DataLoader(dataset, batch_size=8, collate_fn=list)`` leaves them as they are.

    Example:
        >>> dataset = grounding.RefCOCOg("data/refshapes", "val", group_by="image")
        >>> example = dataset[0]
        >>> len(dataset), example.image.shape[2], example.boxes_xyxy.shape == (len(example.phrases), 4)
        (2, 3, True)
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        *,
        split_by: str = "umd",
        group_by: Grouping = "sentence",
        subset: int | float | None = None,
        seed: int = 0,
    ) -> None:
        """Reads the annotations; images are read one by one, in `__getitem__`.

        Args:
            root: folder with `annotations/refs(<split_by>).p`, `annotations/instances.json` and `images/`, or with
                the refer project's own layout (`find_layout`).
            split: "train", "val" or "test"; "testA", "testB" or both as "test" with "unc" (`read_references`).
            split_by: "umd" or "google" for RefCOCOg, "unc" or "google" for RefCOCO, "unc" for RefCOCO+, "unc" or
                "berkeley" for RefCLEF.
            group_by, subset, seed: as in `GroundingDataset`.

        Raises:
            InputError: a file is missing, cannot be read or lacks what another refers to; an argument has a value
                that is not listed above; a count exceeds the split's images.
        """
        layout = find_layout(Path(root), split_by)
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
        if twice := repeated_ids(references):
            raise InputError(f"{layout.refs_file} gives {twice[0]} in one split: give each its own")
        super().__init__(
            Path(root), split, expressions, regions.values(), {key: image.size for key, image in images.items()},
            images_dir=layout.images_dir, files=(layout.refs_file, layout.instances_file), split_by=split_by,
            group_by=group_by, subset=subset, seed=seed,
        )  # fmt: skip


def repeated_ids(references: Sequence[Reference]) -> list[str]:
    """Each ref_id and sent_id that stands more than once: answers are found by sent_id, and would be mixed up."""
    ids = Counter(("ref_id", each.ref_id) for each in references)
    ids.update(("sent_id", sentence.sent_id) for each in references for sentence in each.sentences)
    return [f"{name} {value} {times} times" for (name, value), times in ids.items() if times > 1]


class GRefCOCO(Dataset[SetExample]):
    """Images with phrases for several objects, for one, or for none: an example an image, images by their id.

    Liu et al. 2023, "GRES: Generalized Referring Expression Segmentation", section 3. `expressions` has all expressions
    in the order of the examples.
    """

    def __init__(self, root: str | os.PathLike[str], split: str = "val", *, split_by: str = "unc") -> None:
        """Reads `annotations/grefs(SPLIT_BY).json`, or .p, and instances.json; images are read in `__getitem__`."""
        self.split = split
        layout = find_layout(Path(root), split_by, sets=True)
        self.images_dir = layout.images_dir
        references = read_references(layout.refs_file, split)
        regions, images = read_instances(layout.instances_file, references)
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
        self.expressions = tuple(sorted(expressions, key=lambda each: each.image_id))
        self._examples = [tuple(group) for _, group in groupby(self.expressions, key=lambda each: each.image_id)]

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> SetExample:
        """The example with its image decoded, as `RefCOCOg` does."""
        expressions = self._examples[index]
        size = self._sizes[expressions[0].image_id]
        return SetExample(read_image(expressions[0].image_path, size), expressions)

    def expressions_of(self, index: int) -> tuple[SetExpression, ...]:
        """The expressions of an image, without reading it."""
        return self._examples[index]

    def check_images(self) -> None:
        """As `RefCOCOg.check_images`."""
        refuse_missing_images((each.image_path for each in self.expressions), self.images_dir, self.split, COCO_IMAGES)


def is_annotated(folder: Path) -> bool:
    """Whether annotations in RefCOCOg's layout lie in a folder."""
    return (folder / "annotations").is_dir() or any(folder.glob("refs(*).p"))
