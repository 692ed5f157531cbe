"""A method's answers to every phrase of a split, beside what is annotated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from grounding.data.dataloader import ImageLoader
from grounding.data.grefcoco import GRefCOCO
from grounding.data.sets import WithAbsent
from grounding.evaluation.set_metrics import SetAnswer
from grounding.methods.dense import Grounder


def set_answers(
    grounder: Grounder, dataset: GRefCOCO | WithAbsent, *, images_per_batch: int, workers: int
) -> list[SetAnswer]:
    """Every phrase of a split asked once.

    Raises:
        InputError: an image cannot be read.
    """
    batches = [range(len(dataset))[i : i + images_per_batch] for i in range(0, len(dataset), images_per_batch)]
    loader = ImageLoader(dataset, batch_sampler=batches, num_workers=workers, collate_fn=list)
    found: list[SetAnswer] = []
    with tqdm(total=len(dataset), desc=f"{grounder.name}, {dataset.split}", unit="image", leave=False) as bar:
        for batch in loader:
            groundings = grounder.ground_batch([each.image for each in batch], [each.phrases for each in batch])
            for example, of_image in zip(batch, groundings, strict=True):
                for expression, grounding in zip(example.expressions, of_image, strict=True):
                    found.append(
                        SetAnswer(grounding.boxes_xyxy, grounding.scores, as_array(expression.boxes_xyxy),
                                  grounding.presence, expression.image_id)
                    )  # fmt: skip
            bar.update(len(batch))
    return found


def as_array(boxes_xyxy: Sequence[tuple[float, float, float, float]]) -> np.ndarray:
    """Boxes as (N, 4) float64, also where there is none."""
    return np.array(boxes_xyxy, dtype=np.float64).reshape(-1, 4)
