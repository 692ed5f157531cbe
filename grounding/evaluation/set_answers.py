"""A method's answers to every phrase of a split, beside what is annotated."""

from __future__ import annotations

from collections.abc import Sequence, Sized

import numpy as np
from torch.utils.data import Dataset
from tqdm import tqdm

from grounding.data.dataloader import ImageLoader
from grounding.data.sets import as_set
from grounding.evaluation.set_metrics import SetAnswer
from grounding.methods.grounder import Grounder, ground_examples
from grounding.types import Example, Expression, SetExample


def set_answers(
    grounder: Grounder, dataset: Dataset[SetExample] | Dataset[Example], *, images_per_batch: int, workers: int
) -> list[SetAnswer]:
    """Every phrase of a split asked once; of phrases for one object, too.

    Raises:
        InputError: an image cannot be read.
    """
    loader = ImageLoader(dataset, batch_size=images_per_batch, num_workers=workers, collate_fn=list)
    total = len(dataset) if isinstance(dataset, Sized) else None
    found: list[SetAnswer] = []
    with tqdm(total=total, desc=f"{grounder.name}, sets", unit="image", leave=False) as bar:
        for batch in loader:
            groundings = ground_examples(grounder, batch)
            for example, of_image in zip(batch, groundings, strict=True):
                for expression, grounding in zip(example.expressions, of_image, strict=True):
                    named = as_set(expression) if isinstance(expression, Expression) else expression
                    found.append(
                        SetAnswer(grounding.boxes_xyxy, grounding.scores, as_array(named.boxes_xyxy),
                                  grounding.presence, named.image_id, grounding.found)
                    )  # fmt: skip
            bar.update(len(batch))
    return found


def as_array(boxes_xyxy: Sequence[tuple[float, float, float, float]]) -> np.ndarray:
    """Boxes as (N, 4) float64, also where there is none."""
    return np.array(boxes_xyxy, dtype=np.float64).reshape(-1, 4)
