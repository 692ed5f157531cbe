"""Predictions in COCO's results form, and the annotations that go with them, for pycocotools and tools like it.

In COCO's terms every expression is an image of its own with one object of one category: `image_id` is the
expression's sent_id, as in the referring-expression sets that are published in this form.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grounding.evaluation.predictions import Prediction
from grounding.geometry import box_xyxy_to_xywh
from grounding.runtime.files import write_text_atomic

CATEGORY = {"id": 1, "name": "referred object"}
ANNOTATIONS_FILE = "annotations.json"


def write_coco_results(folder: Path, method: str, predictions: Sequence[Prediction]) -> None:
    """Write METHOD.json and the annotations.json that all methods of a split share."""
    write_text_atomic(folder / f"{method}.json", json.dumps(coco_results(predictions)))
    write_text_atomic(folder / ANNOTATIONS_FILE, json.dumps(coco_annotations(predictions)))


def coco_results(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """One {"image_id", "category_id", "bbox", "score"} per box, best-scored first within an expression."""
    return [
        {"image_id": each.sent_id, "category_id": CATEGORY["id"], "bbox": _bbox(box), "score": score}
        for each in predictions
        for box, score in zip(each.boxes_xyxy, each.scores, strict=True)
    ]


def coco_annotations(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """{"images", "annotations", "categories"} of what was asked; "original_id" is the photograph's image id."""
    annotations = []
    for each in predictions:
        bbox = _bbox(each.annotated_xyxy)
        annotations.append({"id": each.sent_id + 1, "image_id": each.sent_id, "category_id": CATEGORY["id"],
                            "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0})  # fmt: skip
    images = [{"id": each.sent_id, "original_id": each.image_id, "caption": each.phrase} for each in predictions]
    return {"images": images, "annotations": annotations, "categories": [CATEGORY]}


def _bbox(box_xyxy: Sequence[float]) -> list[float]:
    return [round(float(value), 3) for value in box_xyxy_to_xywh(np.array(box_xyxy))]
