"""A data set's annotations with a method's answers in the place of one split's boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grounding.errors import InputError
from grounding.geometry import box_xyxy_to_xywh

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Answer:
    """A run's answer to one phrase: its best box in pixels of the image, and the score of that."""

    sent_id: int
    box_xyxy: Box
    score: float


def refuse_shared_images(refs: Sequence[dict[str, Any]], *, split: str, images: set[int]) -> None:
    """Does nothing, unless some of a split's images are in other splits too, as the google split has them.

    Args:
        refs: entries of refs(...).p.
        split: which is to be annotated anew.
        images: ids of its images that are to lose their boxes.

    Raises:
        InputError: they are: the boxes that the other splits need would show.
    """
    shared = images & {ref["image_id"] for ref in refs if ref["split"] != split}
    if shared:
        raise InputError(
            f"{len(shared)} images of {split} are in other splits too, whose boxes would show in training: "
            "give a split_by whose splits share no image, such as umd"
        )


def reannotated(
    refs: Sequence[dict[str, Any]],
    instances: dict[str, Any],
    answers: Sequence[Answer],
    *,
    split: str,
    images: set[int],
    boxed: set[int],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A data set's entries with answers in the place of a split's annotations; every phrase has a box of its own.

    Args:
        refs: entries of refs(...).p.
        instances: content of instances.json.
        answers: to phrases of the split.
        split: which is annotated anew.
        images: ids of its images that take part; the others are left out.
        boxed: ids of those that keep their annotations, and have no pseudo-boxes.

    Returns:
        Entries and content, in the same form.
    """
    replaced = images - boxed
    boxes = {answer.sent_id: answer.box_xyxy for answer in answers}
    kept = [ref for ref in refs if ref["split"] != split or ref["image_id"] in boxed]
    seen = {ref["image_id"] for ref in kept}
    old = [each for each in instances["annotations"] if each["image_id"] in seen]
    next_ann = max((each["id"] for each in instances["annotations"]), default=0) + 1
    next_ref = max(ref["ref_id"] for ref in refs) + 1
    made_refs: list[dict[str, Any]] = []
    made: list[dict[str, Any]] = []
    for ref in refs:
        if ref["split"] != split or ref["image_id"] not in replaced:
            continue
        for sentence in ref["sentences"]:
            box = boxes.get(sentence["sent_id"])
            if box is None:
                continue
            x, y, width, height = (round(float(side), 2) for side in box_xyxy_to_xywh(np.array(box)))
            ann_id, ref_id = next_ann + len(made), next_ref + len(made)
            made.append({"id": ann_id, "image_id": ref["image_id"], "category_id": 0, "bbox": [x, y, width, height],
                         "area": width * height, "iscrowd": 0})  # fmt: skip
            made_refs.append({"ref_id": ref_id, "ann_id": ann_id, "image_id": ref["image_id"], "category_id": 0,
                              "split": split, "file_name": ref["file_name"], "sentences": [sentence],
                              "sent_ids": [sentence["sent_id"]]})  # fmt: skip
    return [*kept, *made_refs], {**instances, "annotations": [*old, *made]}
