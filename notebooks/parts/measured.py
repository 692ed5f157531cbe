from types import SimpleNamespace

import numpy as np


def measured(example, answers):
    """Answers beside their annotations: what tables and pictures ask; `ious` of an answer's boxes, best first."""
    regions, results = np.array([region.box_xyxy for region in example.regions]), []
    for phrase, answer in zip(example.phrases, answers, strict=True):
        box, target = answer.boxes_xyxy[0], phrase.boxes_xyxy[0]
        over = most_overlapped(box, regions)
        results.append(SimpleNamespace(
            phrase=phrase, ious=ious_with(answer.boxes_xyxy, target), box_xyxy=box, score=float(answer.scores[0]),
            presence=answer.presence, pointed=point_inside(hottest_point(answer.heatmap), target),
            found="nothing" if over is None else example.regions[over].category))  # fmt: skip
    return results


MEASURES = {
    "Acc@0.5": lambda each: float(each.ious[0] >= 0.5),
    "mIoU": lambda each: float(each.ious[0]),
    "Pointing": lambda each: float(each.pointed),
    "R@5": lambda each: float((each.ious[:5] >= 0.5).any()),
}


def values_of(answers, measure="Acc@0.5"):
    """(P,) a measure of each answer."""
    return np.array([MEASURES[measure](each) for each in answers])
