"""Whether boxes of another system are corners in pixels, or rather in another of the forms that systems write."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from grounding.errors import InputError
from grounding.evaluation.predictions import Prediction
from grounding.geometry import box_iou, box_xywh_to_xyxy, box_xyxy_to_xywh

CORNERS, COCO = "x1, y1, x2, y2", "x, y, width, height"
FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # (N, 4) as written -> (N, 4) corners
    CORNERS: lambda boxes: boxes,
    COCO: box_xywh_to_xyxy,
    "centre x, centre y, width, height": lambda boxes: np.concatenate(  # YOLO, DETR
        [boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1
    ),
    "y1, x1, y2, x2": lambda boxes: boxes[:, [1, 0, 3, 2]],  # TensorFlow, Gemini
}
THOUSANDTHS = 1000  # of the image's sides, in which language models write
LARGEST_SHARE = 1.5  # of an image's side: what a detector says of an object that reaches beyond it
LEAST_GAIN = 0.2  # of the mean IoU: another form that fits by chance gains less


def refuse_or_warn_of_another_form(
    path: Path, predictions: Sequence[Prediction], *, written: str, sizes: Mapping[int, tuple[int, int] | None]
) -> None:
    """Does nothing where boxes fit the annotated ones best as what they were read as.

    Args:
        path: the file, which is named.
        predictions: its content; those without a proposal do not count.
        written: of `FORMS`, the one that the file was taken to be in.
        sizes: image id -> (width, height) in pixels; may lack images.

    Raises:
        InputError: all boxes lie within 0 and 1, and annotated ones do not.
    """
    answered = [each for each in predictions if not each.no_proposal]
    boxes = np.array([each.boxes_xyxy[0] for each in answered]).reshape(-1, 4)
    annotated = np.array([each.annotated_xyxy for each in answered]).reshape(-1, 4)
    if not len(boxes):
        return
    raw = box_xyxy_to_xywh(boxes) if written == COCO else boxes
    if np.abs(raw).max() <= LARGEST_SHARE and annotated.max() > 10 * LARGEST_SHARE:
        raise InputError(
            f"{path} has boxes within 0 and 1, where annotated ones reach to {annotated.max():g}: multiply them by the "
            "width and height of their image"
        )
    fit = {form: _mean_iou(corners, annotated) for form, corners in _readings(raw, _sides(answered, sizes))}
    best = max(fit, key=lambda form: fit[form])
    if fit[best] > fit[written] + LEAST_GAIN:
        warnings.warn(
            f"{path} was read as {written} in pixels, with a mean IoU of {fit[written]:.2f}, and would fit better as "
            f"{best} ({fit[best]:.2f}): check the form of its boxes", stacklevel=2
        )  # fmt: skip


def _readings(raw: np.ndarray, sides: np.ndarray | None) -> Iterator[tuple[str, np.ndarray]]:
    for form, to_corners in FORMS.items():
        yield form, to_corners(raw)
        if sides is not None:
            yield f"{form} in thousandths of the image", to_corners(raw) * sides / THOUSANDTHS


def _sides(answered: Sequence[Prediction], sizes: Mapping[int, tuple[int, int] | None]) -> np.ndarray | None:
    """(N, 4) width, height, width, height of each image; None where one is not known."""
    known = [sizes.get(each.image_id) for each in answered]
    return None if None in known else np.tile(np.array(known, dtype=float), 2)


def _mean_iou(boxes: np.ndarray, annotated: np.ndarray) -> float:
    return float(np.mean([box_iou(box, other)[0, 0] for box, other in zip(boxes, annotated, strict=True)]))
