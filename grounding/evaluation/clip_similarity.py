"""How close an answer is in meaning: CLIP on the predicted crop, beside phrase, annotated crop and category."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grounding.clip.backbone import LoadedCLIP
from grounding.clip.crops import encode_crops
from grounding.clip.text import TextEncoder
from grounding.types import Example, Expression

PROMPT = "the {}"  # for a category's name: as phrases begin, in RefCOCOg and in RefShapes
SMALLEST_SIDE = 1.0  # pixels: a thinner box is cropped as if it were that wide
# Image and box -> (E,) float16, L2-normalised; those of thousands of annotated boxes are kept.
Crops = dict[tuple[int, tuple[float, ...]], np.ndarray]


class CLIPSimilarity:
    """One CLIP that looks at every method's crops, so that all are measured alike.

    Phrases and annotated crops are remembered, since every method is held against them. `categories` are the names that
    a crop may be given; without any, there is no "category_accuracy".
    """

    def __init__(self, clip: LoadedCLIP, categories: Sequence[str]) -> None:
        self._image_tower = clip.image_tower
        self._encode_phrases = TextEncoder(clip)
        self._categories = tuple(sorted(set(categories) - {""}))
        self._prompts = self._texts([PROMPT.format(name) for name in self._categories]) if self._categories else None
        self._known: dict[tuple[tuple[int, int], ...], tuple[list[np.ndarray], Crops]] = {}

    def measure(
        self, examples: Sequence[Example], boxes_xyxy: Sequence[Sequence[np.ndarray]]
    ) -> list[list[dict[str, float]]]:
        """Cosine similarity and Euclidean distance of L2-normalised embeddings, per example and expression.

        Of predicted crop and phrase ("text_..."), predicted and annotated crop ("crop_..."), annotated crop and phrase
        ("annotated_text_..."); and "category_accuracy", whether the annotated category's name, where it is one of
        `categories`, is the closest one to the predicted crop. `boxes_xyxy` holds (K, 4) per example and expression:
        boxes that are the answer with the same probability, over which means are taken. All crops go through CLIP
        together; the same call has the same result to the last bit, whatever was measured before.
        """
        phrases_of, annotated = self._annotated(examples)
        answered = [np.concatenate(answers) for answers in boxes_xyxy]
        crops = {**self._encode_crops(examples, answered, known=annotated), **annotated}
        return [
            [
                self._measure(expression, boxes, phrase[None], crops)
                for expression, boxes, phrase in zip(example.expressions, answers, phrases, strict=True)
            ]
            for example, answers, phrases in zip(examples, boxes_xyxy, phrases_of, strict=True)
        ]

    def _measure(self, expression: Expression, boxes_xyxy: np.ndarray, phrase: np.ndarray, crops: Crops
                 ) -> dict[str, float]:  # fmt: skip
        predicted, reference = (
            np.stack([crops[_key(expression.image_id, box)] for box in boxes]).astype(np.float32)
            for boxes in (boxes_xyxy, [expression.box_xyxy])
        )
        measures = {}
        for name, one, other in (("text", predicted, phrase), ("crop", predicted, reference),
                                 ("annotated_text", reference, phrase)):  # fmt: skip
            measures[f"{name}_cosine"] = float((one * other).sum(axis=1).mean())
            measures[f"{name}_euclidean"] = float(np.sqrt(((one - other) ** 2).sum(axis=1)).mean())
        if self._prompts is not None and expression.category in self._categories:
            closest = (predicted @ self._prompts.T).argmax(axis=1)
            measures["category_accuracy"] = float((closest == self._categories.index(expression.category)).mean())
        return measures

    def _annotated(self, examples: Sequence[Example]) -> tuple[list[np.ndarray], Crops]:
        """Per example (P, E) float32 embeddings of its phrases, and all annotated crops."""
        # As a whole: what else is in a batch reaches the last bits.
        key = tuple((each.image_id, each.sent_id) for example in examples for each in example.expressions)
        if key not in self._known:
            phrases = self._texts([phrase for example in examples for phrase in example.phrases])
            ends = np.cumsum([len(example.phrases) for example in examples])[:-1]
            crops = self._encode_crops(examples, [example.boxes_xyxy for example in examples], known={})
            self._known[key] = np.split(phrases, ends), crops
        return self._known[key]

    def _encode_crops(self, examples: Sequence[Example], boxes_xyxy: Sequence[np.ndarray], *, known: Crops) -> Crops:
        """The boxes (K, 4) of each example as CLIP sees them, without those that are known, each distinct one once."""
        keys: list[tuple[int, tuple[float, ...]]] = []
        jobs = []
        for example, boxes in zip(examples, boxes_xyxy, strict=True):
            image_id = example.expressions[0].image_id
            new = {key: box for box in boxes if (key := _key(image_id, box)) not in known}
            if new:
                keys += new
                jobs.append((example.image, _wide_enough(list(new.values()))))
        if not jobs:
            return {}
        embeddings = [each.half().cpu().numpy() for each in encode_crops(jobs, self._image_tower)]
        return dict(zip(keys, np.concatenate(embeddings), strict=True))

    def _texts(self, phrases: Sequence[str]) -> np.ndarray:
        self._encode_phrases.forget()
        return self._encode_phrases(phrases).embeddings.cpu().numpy()


def _wide_enough(boxes: Sequence[np.ndarray]) -> np.ndarray:
    boxes_xyxy = np.array(boxes, dtype=np.float32)
    thin = np.maximum(SMALLEST_SIDE - (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]), 0) / 2
    return np.concatenate([boxes_xyxy[:, :2] - thin, boxes_xyxy[:, 2:] + thin], axis=1)


def _key(image_id: int, box: Sequence[float] | np.ndarray) -> tuple[int, tuple[float, ...]]:
    return image_id, tuple(round(float(value), 1) for value in box)
