"""How close an answer is in meaning: CLIP on the predicted crop, beside phrase, annotated crop and category."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from grounding.clip.backbone import LoadedCLIP
from grounding.clip.crops import encode_crops
from grounding.clip.text import TextEncoder
from grounding.types import Example, Expression

PROMPT = "the {}"  # for a category's name: as phrases begin, in RefCOCOg and in RefShapes
SMALLEST_SIDE = 1.0  # pixels: a thinner box is cropped as if it were that wide


Crops = dict[tuple[int, tuple[float, ...]], np.ndarray]  # image and box -> (E,) float16, L2-normalised


@dataclass(frozen=True, eq=False)
class _Annotated:
    """Of some examples, (P, E) float32 embeddings of each one's phrases, and their annotated crops."""

    phrases: list[np.ndarray]
    crops: Crops


class CLIPSimilarity:
    """One CLIP that looks at every method's crops, so that all are measured alike.

    Phrases and annotated crops are remembered, since every method is held against them.

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
        self._known: dict[tuple[tuple[int, int], ...], _Annotated] = {}

    def measure(
        self, examples: Sequence[Example], boxes_xyxy: Sequence[Sequence[np.ndarray]]
    ) -> list[list[dict[str, float]]]:
        """Measures of the answer to each expression of some examples; their crops go through CLIP together.

        The same call has the same result to the last bit, whatever was measured before.

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
        annotated = self._annotated(examples)
        answered = [np.concatenate(answers) for answers in boxes_xyxy]
        crops = {**self._encode_crops(examples, answered, known=annotated.crops), **annotated.crops}
        return [
            [
                self._measure(expression, boxes, phrase, crops)
                for expression, boxes, phrase in zip(example.expressions, answers, phrases, strict=True)
            ]
            for example, answers, phrases in zip(examples, boxes_xyxy, annotated.phrases, strict=True)
        ]

    def _measure(self, expression: Expression, boxes_xyxy: np.ndarray, phrase: np.ndarray, crops: Crops
                 ) -> dict[str, float]:  # fmt: skip
        predicted = _look_up(crops, expression.image_id, boxes_xyxy)
        reference = _look_up(crops, expression.image_id, [expression.box_xyxy])
        measures = {
            **_closeness("text", predicted, phrase[None]),
            **_closeness("crop", predicted, reference),
            **_closeness("annotated_text", reference, phrase[None]),
        }
        if self._prompts is not None and expression.category in self._categories:
            closest = (predicted @ self._prompts.T).argmax(axis=1)
            measures["category_accuracy"] = float((closest == self._categories.index(expression.category)).mean())
        return measures

    def _annotated(self, examples: Sequence[Example]) -> _Annotated:
        """What all methods share, remembered as a whole: what else is in a batch reaches the last bits."""
        key = tuple((each.image_id, each.sent_id) for example in examples for each in example.expressions)
        if key not in self._known:
            phrases = self._texts([phrase for example in examples for phrase in example.phrases])
            ends = np.cumsum([len(example.phrases) for example in examples])[:-1]
            crops = self._encode_crops(examples, [example.boxes_xyxy for example in examples], known={})
            self._known[key] = _Annotated(np.split(phrases, ends), crops)
        return self._known[key]

    def _encode_crops(self, examples: Sequence[Example], boxes_xyxy: Sequence[np.ndarray], *, known: Crops) -> Crops:
        """The boxes (K, 4) of each example as CLIP sees them, without those that are known, each distinct one once."""
        jobs = []
        for example, boxes in zip(examples, boxes_xyxy, strict=True):
            image_id = example.expressions[0].image_id
            new = {key: box for box in boxes if (key := _key(image_id, box)) not in known}
            if new:
                jobs.append((example.image, new))
        if not jobs:
            return {}
        encoded = encode_crops([(image, _wide_enough(list(new.values()))) for image, new in jobs], self._image_tower)
        # Half precision: those of thousands of annotated boxes are kept.
        return {
            key: embedding
            for (_, new), embeddings in zip(jobs, encoded, strict=True)
            for key, embedding in zip(new, embeddings[0].half().cpu().numpy(), strict=True)
        }

    def _texts(self, phrases: Sequence[str]) -> np.ndarray:
        """(P, E) float32 embeddings."""
        self._encode_phrases.forget()
        return self._encode_phrases(phrases).embeddings.cpu().numpy()


def _look_up(crops: Crops, image_id: int, boxes_xyxy: Iterable[Sequence[float] | np.ndarray]) -> np.ndarray:
    """(K, E) float32 embeddings of boxes."""
    return np.stack([crops[_key(image_id, box)] for box in boxes_xyxy]).astype(np.float32)


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
