"""Any method over a whole split: each expression asked once, and what is measured of the answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np
from torch.utils.data import Dataset
from tqdm import tqdm

from grounding.clip.text import TextEncoder
from grounding.data.dataloader import ImageLoader
from grounding.data.dataset import GroundingDataset
from grounding.evaluation.clip_similarity import CLIPSimilarity
from grounding.evaluation.metrics import mass_inside
from grounding.evaluation.predictions import BOXES_KEPT, Prediction
from grounding.evaluation.summary import summarise
from grounding.geometry import hottest_point
from grounding.methods.grounder import Grounder, ground_examples
from grounding.runtime.distributed import failing_together, gather, process_count, process_index
from grounding.types import Example, Expression, Grounding, SetExample

# Images whose crops CLIP sees together, however many a method does: its numbers then do not depend on that.
CROPPED_TOGETHER = 16
IMAGES_PER_BATCH = 16


@dataclass(frozen=True)
class EvaluatedMethod:
    """Something that answers the phrases of examples: a Grounder, or a bound that looks at the annotation."""

    name: str
    weights: str
    answer: Callable[[Sequence[Example]], list[list[Grounding]]] = lambda examples: []
    at_random: bool = False  # whether its answer is any one of its boxes, each as likely
    # All that its answers depend on besides the data: where two runs agree in it, so do the answers.
    made_from: dict[str, Any] = field(default_factory=dict)
    text: TextEncoder | None = None  # what it remembers of phrases
    precision: str = "none"  # what its network computes in, such as "float32"
    given: Mapping[int, Prediction] | None = None  # sent_id -> what has been answered elsewhere, and is not asked here


def method_of(grounder: Grounder) -> EvaluatedMethod:
    """A Grounder as a method: it sees images and phrases, and nothing else of an example."""
    answer = partial(ground_examples, grounder)
    return EvaluatedMethod(grounder.name, grounder.weights, answer, text=getattr(grounder, "text", None))


def answers_of(
    grounder: Grounder,
    dataset: Dataset[Example] | Dataset[SetExample],
    *,
    images_per_batch: int = IMAGES_PER_BATCH,
    workers: int = 0,
    description: str = "",
) -> Iterator[tuple[Any, list[Grounding]]]:
    """(example, one answer per expression) of every example, in the order of a data set of known length."""
    loader = ImageLoader(dataset, batch_size=images_per_batch, num_workers=workers, collate_fn=list)
    with tqdm(total=len(dataset), desc=description or grounder.name, unit="image", leave=False) as bar:  # type: ignore[arg-type]
        for batch in loader:
            yield from zip(batch, ground_examples(grounder, batch), strict=True)
            bar.update(len(batch))


def predict_blocks(
    method: EvaluatedMethod,
    dataset: GroundingDataset,
    blocks: Sequence[range],
    *,
    similarity: CLIPSimilarity | None = None,
    images_per_batch: int = IMAGES_PER_BATCH,
    workers: int = 0,
    description: str = "",
) -> Iterator[list[list[Prediction]]]:
    """The method's answers, one list per image of a block, block by block; blocks are indices into `dataset`.

    What is answered in a block depends on no other block, to the last bit: no batch reaches over its end, and what the
    method remembers of phrases is forgotten before it. Crops are measured outside of the time that a prediction says.
    """
    batches_of_blocks = [parts(block, images_per_batch) for block in blocks]
    batches = [list(batch) for of_block in batches_of_blocks for batch in of_block]
    # One loader for all blocks: its workers read on while a block ends.
    examples = iter(ImageLoader(dataset, batch_sampler=batches, num_workers=workers, collate_fn=list))
    first = next(examples, None)
    if first is None:
        return
    method.answer(first[:1])  # a first call also pays for what libraries put off until they are used
    examples = chain([first], examples)
    with tqdm(total=sum(map(len, blocks)), desc=description or method.name, unit="image", leave=False,
              disable=process_index() > 0) as bar:  # fmt: skip
        for of_block in batches_of_blocks:
            if method.text is not None:
                method.text.forget()
            answered: list[tuple[Example, list[Prediction]]] = []
            for batch in islice(examples, len(of_block)):
                answered += _answered(method, batch)
                bar.update(len(batch))
            yield [each for part in parts(answered, CROPPED_TOGETHER) for each in _with_semantics(part, similarity)]


def evaluate(
    grounder: Grounder, dataset: GroundingDataset, *, workers: int = 0, description: str = ""
) -> dict[str, float]:
    """A Grounder's measures on every expression of a split, without intervals and semantics.

    Processes that are connected share the images, and each has the same measures in the end: all of them call this.
    What the grounder remembers of phrases is kept: training has it read them once, in one order for all processes.
    """
    rank, size = process_index(), process_count()
    blocks = parts(range(len(dataset)), IMAGES_PER_BATCH)
    method = replace(method_of(grounder), text=None)
    answers = predict_blocks(method, dataset, blocks[rank::size], workers=workers, description=description)
    with failing_together():
        own = list(zip(range(rank, len(blocks), size), answers, strict=True))
    by_block = dict(gather(own))
    predictions = [each for block in range(len(blocks)) for of_image in by_block[block] for each in of_image]
    return summarise(predictions, {}, dataset.regions).means()


Sliced = TypeVar("Sliced", bound=Sequence[Any])


def parts(items: Sliced, size: int) -> list[Sliced]:
    """The items, so many at a time."""
    return [items[start : start + size] for start in range(0, len(items), size)]  # type: ignore[misc]


def _answered(method: EvaluatedMethod, batch: Sequence[Example]) -> list[tuple[Example, list[Prediction]]]:
    if method.given is not None:
        return [(example, _given(method.given, example)) for example in batch]
    began = time.perf_counter()
    answers = method.answer(batch)
    seconds = (time.perf_counter() - began) / sum(map(len, answers))
    return [
        (example, [_prediction(method, *pair, seconds) for pair in zip(example.expressions, groundings, strict=True)])
        for example, groundings in zip(batch, answers, strict=True)
    ]


def _prediction(method: EvaluatedMethod, expression: Expression, grounding: Grounding, seconds: float) -> Prediction:
    # To thousandths of a pixel, before anything is measured: a file of predictions then says all there is to say.
    kept = grounding.boxes_xyxy[: None if method.at_random else BOXES_KEPT]
    boxes_xyxy = np.round(kept.astype(np.float64), 3)
    inside = None if method.at_random else round(mass_inside(grounding.heatmap, np.array(expression.box_xyxy)), 5)
    return Prediction.about(
        expression,
        boxes_xyxy.tolist(),
        [round(float(score), 5) for score in grounding.scores[: len(boxes_xyxy)]],
        image_area=float(grounding.image[..., 0].size),
        point_xy=hottest_point(grounding.heatmap),
        mass_inside=inside,
        seconds=round(seconds, 6),
        no_proposal=grounding.no_proposal,
        at_random=method.at_random,
    )


def _given(given: Mapping[int, Prediction], example: Example) -> list[Prediction]:
    """What has been answered elsewhere, with what only the image says."""
    area = float(example.image[..., 0].size)
    return [
        replace(each, boxes_xyxy=each.boxes_xyxy[:BOXES_KEPT], scores=each.scores[:BOXES_KEPT], image_area=area)
        for each in (given[asked.sent_id] for asked in example.expressions)
    ]


def _with_semantics(
    answered: Sequence[tuple[Example, list[Prediction]]], similarity: CLIPSimilarity | None
) -> list[list[Prediction]]:
    """The predictions with what CLIP says of their crops, where it is asked."""
    if similarity is None:
        return [predictions for _, predictions in answered]
    examples, predictions = zip(*answered, strict=True)
    meanings = similarity.measure(examples, [[each.answers_xyxy for each in of_image] for of_image in predictions])
    return [
        [
            replace(each, semantics={name: round(value, 5) for name, value in meaning.items()})
            for each, meaning in zip(*of_image, strict=True)
        ]
        for of_image in zip(predictions, meanings, strict=True)
    ]
