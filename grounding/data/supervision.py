"""What training may see of a data set: its boxes, as masks, none of them, a run's answers in their place, and phrases
that fit nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from grounding.data.dataset import GroundingDataset, subset_of_images
from grounding.geometry import box_xyxy_to_xywh
from grounding.runtime.errors import InputError
from grounding.types import Example, Expression, Region, SetExample, SetExpression

TRIES = 20  # draws for each absent phrase: where an image holds nearly every category, few phrases are of another


def refuse_test_split(name: str, split: str) -> None:
    """Refuses a test split as the setting `name`: what is learned or chosen on it could not be measured on it."""
    if split.startswith("test"):
        raise InputError(f"{name} is {split!r}: learn and choose on other splits, a test split is for measuring")


def without_boxes(example: Example) -> Example:
    """The example with the whole image in place of every box: whatever is done to it, no box can show in it."""
    height, width = example.image.shape[:2]
    whole = (0.0, 0.0, float(width), float(height))
    expressions = tuple(replace(each, box_xyxy=whole, parts_xyxy=()) for each in example.expressions)
    return replace(example, expressions=expressions, regions=())


def images_with_boxes(dataset: GroundingDataset, fraction: float, *, seed: int) -> set[int]:
    """The ids of images that keep their annotated boxes: a share in [0, 1] of all, above 0 never fewer than one.

    It contains every smaller share of the same seed.
    """
    image_ids = {expression.image_id for expression in dataset.expressions}
    return subset_of_images(image_ids, fraction if fraction < 1 else None, seed) if fraction else set()


def box_masks(boxes_xyxy: Tensor, size: int, stride: int) -> Tensor:
    """What a heatmap is supervised with, 1 inside the annotated box and 0 outside: of every cell, the share it covers.

    Of boxes (N, 4) in model pixels, with so many pixels a cell: (N, size, size) float32 in [0, 1].
    """
    edges = torch.arange(size + 1, device=boxes_xyxy.device, dtype=torch.float32) * stride
    low, high = edges[:-1], edges[1:]
    x1, y1, x2, y2 = boxes_xyxy.float()[:, :, None].unbind(dim=1)  # (N, 1) each
    across = (torch.minimum(x2, high) - torch.maximum(x1, low)).clamp(min=0) / stride
    down = (torch.minimum(y2, high) - torch.maximum(y1, low)).clamp(min=0) / stride
    return down[:, :, None] * across[:, None, :]


def phrase_masks(masks: Tensor, counts: Tensor) -> Tensor:
    """The masks (N, h, w) of each phrase's boxes, `counts` (P,) of them, as one: (P, h, w).

    It is the larger share where two cover a cell, and 0 where there is no box.
    """
    phrase_of = torch.repeat_interleave(torch.arange(len(counts), device=masks.device), counts)
    merged = masks.new_zeros(len(counts), *masks.shape[1:])
    return merged.scatter_reduce(0, phrase_of[:, None, None].expand_as(masks), masks, "amax")


def as_set(expression: Expression) -> SetExpression:
    """An expression for one object as one of those for any number."""
    return SetExpression(expression.phrase, (expression.box_xyxy,), (expression.ann_id,), expression.image_id,
                         expression.ref_id, expression.sent_id, expression.image_path, expression.tags)  # fmt: skip


def absent_expressions(
    expressions: Sequence[Expression], regions: Mapping[int, Sequence[Region]], *, seed: int, per_image: int = 1
) -> dict[int, list[SetExpression]]:
    """For each image phrases of other images that fit nothing in it.

    A phrase says that nothing fits only if it names what it is about: "the left one" fits something nearly everywhere.
    So those are taken that contain the name of their object's category, and no object of the image is of it.
    """
    naming = [
        each
        for each in expressions
        if each.category and re.search(rf"\b{re.escape(each.category.lower())}\b", each.phrase.lower())
    ]
    found: dict[int, list[SetExpression]] = {}
    if not naming:
        return found
    for image_id, path in {each.image_id: each.image_path for each in expressions}.items():
        here = {region.category for region in regions[image_id]}
        rng = np.random.default_rng([seed, image_id])
        drawn = (naming[index] for index in rng.integers(len(naming), size=TRIES * per_image))
        others = [each for each in drawn if each.category not in here][:per_image]
        if others:
            found[image_id] = [
                SetExpression(each.phrase, (), (), image_id, each.ref_id, each.sent_id, path) for each in others
            ]
    return found


class WithAbsent(Dataset[SetExample]):
    """A data set's images, by which it is grouped, with their expressions and, where one is found, an absent one."""

    def __init__(self, dataset: GroundingDataset, *, seed: int) -> None:
        self._dataset = dataset
        self.absent = absent_expressions(dataset.expressions, dataset.regions, seed=seed)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> SetExample:
        example = self._dataset[index]
        absent = self.absent.get(example.expressions[0].image_id, ())
        return SetExample(example.image, (*map(as_set, example.expressions), *absent))


def refuse_shared_images(refs: Sequence[dict[str, Any]], *, split: str, images: set[int]) -> None:
    """Refuses to annotate images of a split anew that are in other splits too, as the google split has them."""
    shared = images & {ref["image_id"] for ref in refs if ref["split"] != split}
    if shared:
        raise InputError(
            f"{len(shared)} images of {split} are in other splits too, whose boxes would show in training: "
            "give a split_by whose splits share no image, such as umd"
        )


def reannotated(
    refs: Sequence[dict[str, Any]],
    instances: dict[str, Any],
    boxes: Mapping[int, Sequence[float]],
    *,
    split: str,
    boxed: set[int],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A data set's refs and instances with made boxes in the place of a split's annotations, in the same form.

    Every phrase has a box of its own: `boxes` has (x1, y1, x2, y2) in pixels by sent_id, and phrases that it lacks are
    left out. The `boxed` images keep their annotations.
    """
    kept = [ref for ref in refs if ref["split"] != split or ref["image_id"] in boxed]
    seen = {ref["image_id"] for ref in kept}
    old = [each for each in instances["annotations"] if each["image_id"] in seen]
    next_ann = max((each["id"] for each in instances["annotations"]), default=0) + 1
    next_ref = max(ref["ref_id"] for ref in refs) + 1
    made_refs: list[dict[str, Any]] = []
    made: list[dict[str, Any]] = []
    asked = ((ref, sentence) for ref in refs if ref["split"] == split for sentence in ref["sentences"])
    for ref, sentence in asked:
        if sentence["sent_id"] not in boxes:
            continue
        box_xyxy = np.array(boxes[sentence["sent_id"]])
        x, y, width, height = (round(float(side), 2) for side in box_xyxy_to_xywh(box_xyxy))
        ann_id, ref_id = next_ann + len(made), next_ref + len(made)
        made.append({"id": ann_id, "image_id": ref["image_id"], "category_id": 0, "bbox": [x, y, width, height],
                     "area": width * height, "iscrowd": 0})  # fmt: skip
        made_refs.append({"ref_id": ref_id, "ann_id": ann_id, "image_id": ref["image_id"], "category_id": 0,
                          "split": split, "file_name": ref["file_name"], "sentences": [sentence],
                          "sent_ids": [sentence["sent_id"]]})  # fmt: skip
    return [*kept, *made_refs], {**instances, "annotations": [*old, *made]}
