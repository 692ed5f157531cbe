"""RefCOCOg, and every data set in its layout, as a torch dataset of images with phrases and boxes."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from grounding.data.annotations import find_layout, read_instances, read_references
from grounding.data.dataset import GroundingDataset, Grouping
from grounding.errors import InputError
from grounding.types import Expression


class RefCOCOg(GroundingDataset):
    """One split, in the order of the refs file.

    ``DataLoader(dataset, batch_size=8)`` makes dictionaries of tensors and lists of them (`collate.collate_examples`),
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
        if not expressions:
            raise InputError(f"{layout.refs_file} has no sentence in split {split!r}: use another split")
        _refuse_repeated("ref_id", [each.ref_id for each in references], layout.refs_file)
        _refuse_repeated("sent_id", [each.sent_id for each in expressions], layout.refs_file)
        super().__init__(
            Path(root), split, expressions, regions.values(), {key: image.size for key, image in images.items()},
            images_dir=layout.images_dir, files=(layout.refs_file, layout.instances_file), split_by=split_by,
            group_by=group_by, subset=subset, seed=seed,
        )  # fmt: skip


def _refuse_repeated(name: str, ids: list[int], file: Path) -> None:
    """Answers are found by sent_id and pooled by ref_id: what stands twice would be taken for one thing.

    Raises:
        InputError: an id stands twice.
    """
    value, times = Counter(ids).most_common(1)[0]
    if times > 1:
        raise InputError(f"{file} gives {name} {value} {times} times in one split: give each its own")
