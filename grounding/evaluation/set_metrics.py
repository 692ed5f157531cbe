"""Measures of answers that are sets of boxes: several, one, or none where nothing in the image fits the phrase.

The measures of gRefCOCO (Liu et al. 2023, "GRES", and He et al. 2023, "GREC: Generalized Referring Expression
Comprehension", section 4), with IoU in the place of its authors' generalised IoU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import mannwhitneyu

from grounding.evaluation.significance import intervals_by_image
from grounding.geometry import box_iou


@dataclass(frozen=True, eq=False)
class SetAnswer:
    """One answer beside its annotation.

    Attributes:
        boxes_xyxy: (N, 4) all candidate boxes in pixels of the image, best first.
        scores: (N,) theirs, in [0, 1].
        annotated_xyxy: (M, 4) the annotated boxes; M = 0 where nothing in the image fits the phrase.
        presence: how sure the method is that anything does, in [0, 1].
        image_id: of the image.
        found: which of the boxes are the answer.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    annotated_xyxy: np.ndarray
    presence: float
    image_id: int
    found: tuple[int, ...]


def matched(boxes_xyxy: np.ndarray, annotated_xyxy: np.ndarray, *, min_iou: float = 0.5) -> int:
    """How many boxes of two sets, (N, 4) and (M, 4), are each other's: greedily, the pair of largest IoU first."""
    iou = box_iou(boxes_xyxy, annotated_xyxy).copy()
    count = 0
    while iou.size and iou.max() >= min_iou:
        row, column = np.unravel_index(iou.argmax(), iou.shape)
        iou = np.delete(np.delete(iou, row, axis=0), column, axis=1)
        count += 1
    return count


def is_right(answer: SetAnswer) -> bool:
    """Whether the boxes found are just the annotated ones: an F1 of 1 at IoU 0.5."""
    chosen = answer.boxes_xyxy[list(answer.found)]
    return len(chosen) == len(answer.annotated_xyxy) == matched(chosen, answer.annotated_xyxy)


def set_metrics(answers: Sequence[SetAnswer]) -> dict[str, float]:
    """The measures of some answers.

    Returns:
        "set_accuracy": share of phrases whose set of boxes is right (Pr@(F1=1, IoU>=0.5)); "n_acc": share of the
        phrases that fit nothing which get no box; "t_acc": share of the others which get one or more;
        "presence_auroc": the probability that `presence` is higher where something fits than where nothing does, a
        tie counting half. A measure of which there is no phrase to tell is left out.
    """
    measured = {name: float(values.mean()) for name, (values, _) in _shares(answers).items()}
    presence = {
        kind: [each.presence for each in answers if bool(len(each.annotated_xyxy)) is kind] for kind in (True, False)
    }
    if all(presence.values()):
        pairs = len(presence[True]) * len(presence[False])
        measured["presence_auroc"] = float(mannwhitneyu(presence[True], presence[False]).statistic) / pairs
    return measured


def intervals_of(answers: Sequence[SetAnswer]) -> dict[str, tuple[float, float]]:
    """95 % intervals over images of the shares in `set_metrics`, where two images at least have a say in one."""
    return {
        name: tuple(intervals_by_image(values[None], image_ids)[0].tolist())
        for name, (values, image_ids) in _shares(answers).items()
        if len(np.unique(image_ids)) > 1
    }


def _shares(answers: Sequence[SetAnswer]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name of a share -> for each phrase that it is about, whether it counts, and the image's id."""
    absent = np.array([len(answer.annotated_xyxy) == 0 for answer in answers])
    silent = np.array([not answer.found for answer in answers])
    right = np.array([is_right(answer) for answer in answers])
    image_ids = np.array([answer.image_id for answer in answers])
    shares = {
        "set_accuracy": (right, image_ids),
        "n_acc": (silent[absent], image_ids[absent]),
        "t_acc": (~silent[~absent], image_ids[~absent]),
    }
    return {name: share for name, share in shares.items() if len(share[0])}
