"""Any method over a whole split: each expression asked once, and what is measured of the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from grounding.data.refcocog import RefCOCOg
from grounding.grounder import Grounder
from grounding.metrics import hottest_point, mass_inside
from grounding.predictions import BOXES_KEPT, Prediction
from grounding.semantics import Judge
from grounding.summary import summarise
from grounding.types import Example, Grounding

# Images whose crops the judge sees together, however many a method does: its numbers then do not depend on that.
JUDGED_TOGETHER = 16


@dataclass(frozen=True)
class Method:
    """Something that answers the phrases of examples: a Grounder, or a bound that looks at the annotation.

    Attributes:
        name: in reports and file names.
        weights: which pretrained weights it works with, a sentence for reports.
        answer: examples -> per example, one answer per phrase.
        at_random: whether its answer is any one of its boxes, each as likely.
        made_from: all that its answers depend on besides the data; where two runs agree in it, so do the answers.
    """

    name: str
    weights: str
    answer: Callable[[Sequence[Example]], list[list[Grounding]]]
    at_random: bool = False
    made_from: dict[str, Any] = field(default_factory=dict)


def method_of(grounder: Grounder, **made_from: Any) -> Method:
    """A Grounder as a method: it sees images and phrases, and nothing else of an example."""

    def answer(examples: Sequence[Example]) -> list[list[Grounding]]:
        return grounder.ground_batch([each.image for each in examples], [each.phrases for each in examples])

    return Method(grounder.name, grounder.weights, answer, made_from=made_from)


def predict(
    method: Method,
    dataset: RefCOCOg,
    *,
    judge: Judge | None = None,
    start: int = 0,
    images_per_batch: int = 16,
    workers: int = 0,
    description: str = "",
) -> Iterator[list[Prediction]]:
    """The method's answers, one list per image, in the order of the data set.

    Args:
        method: what answers.
        dataset: the split, grouped by image.
        judge: measures crops' meaning; outside of the time that a prediction reports.
        start: images to leave out, answered before.
        images_per_batch: images that go through the method together.
        workers: processes that read images; 0 reads in this one.
        description: of the progress bar.

    Raises:
        InputError: an image cannot be read.
    """
    rest = Subset(dataset, range(start, len(dataset)))
    loader = DataLoader(rest, batch_size=images_per_batch, num_workers=workers, collate_fn=list)
    waiting: list[tuple[Example, list[Prediction]]] = []
    done = start
    with tqdm(total=len(dataset), initial=start, desc=description or method.name, unit="image", leave=False) as bar:
        for batch in loader:
            if done == start:  # a first call also pays for what libraries put off until they are used
                method.answer(batch[:1])
            began = time.perf_counter()
            answers = method.answer(batch)
            seconds = (time.perf_counter() - began) / sum(map(len, answers))
            for example, groundings in zip(batch, answers, strict=True):
                waiting.append((example, _predictions(method, example, groundings, seconds)))
                done += 1
                if judge is None or done % JUDGED_TOGETHER == 0 or done == len(dataset):
                    yield from _judged(waiting, judge)
                    bar.update(len(waiting))
                    waiting = []


def evaluate(grounder: Grounder, dataset: RefCOCOg, *, workers: int = 0, description: str = "") -> dict[str, float]:
    """A Grounder's measures on every expression of a split, without intervals and semantics.

    Raises:
        InputError: an image cannot be read.
    """
    answers = predict(method_of(grounder), dataset, workers=workers, description=description)
    predictions = [prediction for of_image in answers for prediction in of_image]
    return summarise(predictions, {}, dataset.regions).means()


def _predictions(method: Method, example: Example, groundings: Sequence[Grounding], seconds: float) -> list[Prediction]:
    predictions = []
    for expression, grounding in zip(example.expressions, groundings, strict=True):
        boxes_xyxy = _rounded(grounding.boxes_xyxy[: None if method.at_random else BOXES_KEPT])
        inside = None if method.at_random else mass_inside(grounding.heatmap, np.array(expression.box_xyxy))
        height, width = grounding.image.shape[:2]
        predictions.append(
            Prediction(
                image_id=expression.image_id,
                ref_id=expression.ref_id,
                ann_id=expression.ann_id,
                sent_id=expression.sent_id,
                phrase=expression.phrase,
                annotated_xyxy=expression.box_xyxy,
                boxes_xyxy=tuple(map(tuple, boxes_xyxy.tolist())),
                scores=tuple(round(float(score), 5) for score in grounding.scores[: len(boxes_xyxy)]),
                image_area=float(height * width),
                point_xy=hottest_point(grounding.heatmap),
                mass_inside=None if inside is None else round(inside, 5),
                seconds=round(seconds, 6),
                no_proposal=grounding.no_proposal,
                at_random=method.at_random,
            )
        )
    return predictions


def _judged(waiting: Sequence[tuple[Example, list[Prediction]]], judge: Judge | None) -> list[list[Prediction]]:
    """The predictions with their semantics, where there is a judge."""
    if judge is None:
        return [predictions for _, predictions in waiting]
    # Of an answer at random every box may be it, else the best one is.
    answers = [
        [np.array(each.boxes_xyxy if each.at_random else each.boxes_xyxy[:1]) for each in predictions]
        for _, predictions in waiting
    ]
    meanings = judge.measure([example for example, _ in waiting], answers)
    return [
        [
            replace(each, semantics={name: round(value, 5) for name, value in meaning.items()})
            for each, meaning in zip(predictions, of_image, strict=True)
        ]
        for (_, predictions), of_image in zip(waiting, meanings, strict=True)
    ]


def _rounded(boxes_xyxy: np.ndarray) -> np.ndarray:
    """To thousandths of a pixel, before anything is measured: a file of predictions then says all there is to say."""
    return np.round(boxes_xyxy.astype(np.float64), 3)
