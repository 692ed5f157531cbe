"""How close an answer is in meaning: CLIP on the predicted crop, beside phrase, annotated crop and category."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from grounding.clip_backbone import LoadedCLIP
from grounding.crops import encode_crops
from grounding.text import TextEncoder
from grounding.types import Expression

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
        self.weights = clip.weights
        self._model = clip.model
        self._encode_phrases = TextEncoder(clip.model)
        self._categories = tuple(sorted(set(categories) - {""}))
        self._prompts = None
        if self._categories:
            self._prompts = self._encode_phrases([PROMPT.format(name) for name in self._categories]).embeddings
        self._known: dict[tuple[int, tuple[float, ...]], Tensor] = {}

    def measure(
        self, image: np.ndarray, expressions: Sequence[Expression], boxes_xyxy: Sequence[np.ndarray]
    ) -> list[dict[str, float]]:
        """Measures of each expression's answer.

        Args:
            image: (H, W, 3) uint8 RGB.
            expressions: P, all of this image.
            boxes_xyxy: per expression (K, 4), boxes that are the answer with the same probability: means over them.

        Returns:
            Per expression cosine similarity and Euclidean distance, of L2-normalised embeddings, between predicted
            crop and phrase ("text_cosine", "text_euclidean"), between predicted crop and annotated crop ("crop_..."),
            and between annotated crop and phrase ("annotated_text_..."); and "category_accuracy", whether CLIP finds
            the annotated category's name the closest one to the predicted crop (where it is one of `categories`).
        """
        annotated = [np.array([expression.box_xyxy]) for expression in expressions]
        self._remember(image, expressions[0].image_id, np.concatenate([*boxes_xyxy, *annotated]))
        phrases = self._encode_phrases([expression.phrase for expression in expressions]).embeddings
        measures = []
        for expression, phrase, boxes, annotated_box in zip(expressions, phrases, boxes_xyxy, annotated, strict=True):
            crops = self._look_up(expression.image_id, boxes)
            reference = self._look_up(expression.image_id, annotated_box)
            measures.append(
                {
                    **_closeness("text", crops, phrase[None]),
                    **_closeness("crop", crops, reference),
                    **_closeness("annotated_text", reference, phrase[None]),
                }
            )
            if self._prompts is not None and expression.category in self._categories:
                closest = (crops @ self._prompts.T).argmax(dim=1)
                right = closest == self._categories.index(expression.category)
                measures[-1]["category_accuracy"] = float(right.float().mean())
        return measures

    def _remember(self, image: np.ndarray, image_id: int, boxes_xyxy: np.ndarray) -> None:
        new = {key: box for box in boxes_xyxy if (key := _key(image_id, box)) not in self._known}
        if new:
            boxes = np.array(list(new.values()), dtype=np.float32)
            thin = np.maximum(SMALLEST_SIDE - (boxes[:, 2:] - boxes[:, :2]), 0) / 2
            embeddings = encode_crops(self._model, image, np.concatenate([boxes[:, :2] - thin, boxes[:, 2:] + thin], 1))
            # Half precision: thousands of images times a dozen boxes are kept.
            self._known.update(zip(new, embeddings[0].half(), strict=True))

    def _look_up(self, image_id: int, boxes_xyxy: np.ndarray) -> Tensor:
        return torch.stack([self._known[_key(image_id, box)] for box in boxes_xyxy]).float()


def _key(image_id: int, box: np.ndarray) -> tuple[int, tuple[float, ...]]:
    return image_id, tuple(round(float(value), 1) for value in box)


def _closeness(name: str, embeddings: Tensor, others: Tensor) -> dict[str, float]:
    cosine = (embeddings * others).sum(dim=1)
    distance = (embeddings - others).norm(dim=1)
    return {f"{name}_cosine": float(cosine.mean()), f"{name}_euclidean": float(distance.mean())}
