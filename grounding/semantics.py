"""How close an answer is in meaning: CLIP on the predicted crop, beside phrase, annotated crop and category."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from grounding.clip_backbone import LoadedCLIP
from grounding.crops import encode_crops_of
from grounding.text import TextEncoder
from grounding.types import Example, Expression

PROMPT = "the {}"  # for a category's name: as phrases begin, in RefCOCOg and in RefShapes
SMALLEST_SIDE = 1.0  # pixels: a thinner box is cropped as if it were that wide


class Judge:
    """One CLIP that looks at every method's crops, so that all are measured alike.

    Embeddings of crops are remembered: several methods answer with the same box, and all are held against the same
    annotated one.

    Args:
        clip: the frozen CLIP.
        categories: names that a crop may be given; none leaves "category_accuracy" out.
    """

    def __init__(self, clip: LoadedCLIP, categories: Sequence[str]) -> None:
        self._image_tower = clip.image_tower
        self._encode_phrases = TextEncoder(clip)
        self._categories = tuple(sorted(set(categories) - {""}))
        self._prompts = None
        if self._categories:
            self._prompts = self._texts([PROMPT.format(name) for name in self._categories])
        self._known: dict[tuple[int, tuple[float, ...]], np.ndarray] = {}

    def measure(
        self, examples: Sequence[Example], boxes_xyxy: Sequence[Sequence[np.ndarray]]
    ) -> list[list[dict[str, float]]]:
        """Measures of the answer to each expression of some examples; their crops go through CLIP together.

        Args:
            examples: images with expressions.
            boxes_xyxy: per example and expression (K, 4), boxes that are the answer with the same probability: means
                over them.

        Returns:
            Per example and expression cosine similarity and Euclidean distance, of L2-normalised embeddings, between
            predicted crop and phrase ("text_cosine", "text_euclidean"), between predicted crop and annotated crop
            ("crop_..."), and between annotated crop and phrase ("annotated_text_..."); and "category_accuracy",
            whether CLIP finds the annotated category's name the closest one to the predicted crop (where it is one of
            `categories`).
        """
        self._remember(examples, boxes_xyxy)
        return [
            [
                self._measure(expression, boxes, phrase)
                for expression, boxes, phrase in zip(
                    example.expressions, answers, self._texts(example.phrases), strict=True
                )
            ]
            for example, answers in zip(examples, boxes_xyxy, strict=True)
        ]

    def _measure(self, expression: Expression, boxes_xyxy: np.ndarray, phrase: np.ndarray) -> dict[str, float]:
        crops = self._look_up(expression.image_id, boxes_xyxy)
        reference = self._look_up(expression.image_id, [expression.box_xyxy])
        measures = {
            **_closeness("text", crops, phrase[None]),
            **_closeness("crop", crops, reference),
            **_closeness("annotated_text", reference, phrase[None]),
        }
        if self._prompts is not None and expression.category in self._categories:
            closest = (crops @ self._prompts.T).argmax(axis=1)
            measures["category_accuracy"] = float((closest == self._categories.index(expression.category)).mean())
        return measures

    def _remember(self, examples: Sequence[Example], boxes_xyxy: Sequence[Sequence[np.ndarray]]) -> None:
        """Encode the crops that are not known yet, the annotated ones among them."""
        jobs = []
        for example, answers in zip(examples, boxes_xyxy, strict=True):
            boxes = np.concatenate([*answers, example.boxes_xyxy])
            image_id = example.expressions[0].image_id
            new = {key: box for box in boxes if (key := _key(image_id, box)) not in self._known}
            if new:
                jobs.append((example.image, new))
        if not jobs:
            return
        crops = encode_crops_of([(image, _wide_enough(list(new.values()))) for image, new in jobs], self._image_tower)
        for (_, new), embeddings in zip(jobs, crops, strict=True):
            # Half precision: thousands of images times a dozen boxes are kept.
            self._known.update(zip(new, embeddings[0].half().cpu().numpy(), strict=True))

    def _look_up(self, image_id: int, boxes_xyxy: Iterable[Sequence[float] | np.ndarray]) -> np.ndarray:
        """(K, E) float32 embeddings of boxes that are remembered."""
        return np.stack([self._known[_key(image_id, box)] for box in boxes_xyxy]).astype(np.float32)

    def _texts(self, phrases: Sequence[str]) -> np.ndarray:
        """(P, E) float32 embeddings."""
        return self._encode_phrases(phrases).embeddings.cpu().numpy()


def _wide_enough(boxes: Sequence[np.ndarray]) -> np.ndarray:
    boxes_xyxy = np.array(boxes, dtype=np.float32)
    thin = np.maximum(SMALLEST_SIDE - (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]), 0) / 2
    return np.concatenate([boxes_xyxy[:, :2] - thin, boxes_xyxy[:, 2:] + thin], axis=1)


def _key(image_id: int, box: Sequence[float] | np.ndarray) -> tuple[int, tuple[float, ...]]:
    return image_id, tuple(round(float(value), 1) for value in box)


def _closeness(name: str, embeddings: np.ndarray, others: np.ndarray) -> dict[str, float]:
    cosine = (embeddings * others).sum(axis=1)
    distance = np.sqrt(((embeddings - others) ** 2).sum(axis=1))
    return {f"{name}_cosine": float(cosine.mean()), f"{name}_euclidean": float(distance.mean())}
