"""The similarity against the `clip` package's own similarities of crops cut by hand."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import clip
import numpy as np
import pytest
import torch
from PIL import Image

from grounding.clip import crops
from grounding.evaluation.clip_similarity import PROMPT, CLIPSimilarity
from grounding.types import Example, Expression
from tests.tiny_clip import RESOLUTION, loaded_tiny_clip

ANNOTATED, PREDICTED = [(0.0, 0, 64, 64), (64.0, 32, 128, 96)], [(10.0, 32, 74, 96), (0.0, 0, 64, 64)]
CATEGORIES = ("cat", "old dog", "red car")


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (96, 192, 3), dtype=np.uint8)


@pytest.fixture
def expressions() -> list[Expression]:
    phrases = ("a cat", "the dog on the left")
    return [
        Expression(phrase, box, 5, i, i, i, Path("a.jpg"), category)
        for i, (phrase, box, category) in enumerate(zip(phrases, ANNOTATED, ("cat", "zebra"), strict=True))
    ]


def unit(embedding: torch.Tensor) -> np.ndarray:
    return (embedding / embedding.norm(dim=-1, keepdim=True)).numpy()


@torch.no_grad()
def by_hand(image: np.ndarray, box: tuple[float, ...]) -> np.ndarray:
    crop = Image.fromarray(image).crop(tuple(map(int, box)))
    return unit(loaded_tiny_clip().model.encode_image(clip.clip._transform(RESOLUTION)(crop)[None]))[0]


@torch.no_grad()
def text_by_hand(text: str) -> np.ndarray:
    return unit(loaded_tiny_clip().model.encode_text(clip.tokenize([text])))[0]


def measure(similarity: CLIPSimilarity, image, expressions, boxes) -> list[dict[str, float]]:
    return similarity.measure([Example(image, tuple(expressions))], [boxes])[0]


def test_closeness_equals_clips_own(image, expressions, monkeypatch) -> None:
    monkeypatch.setattr(crops, "CONTEXT", 1.0)  # the crop then is the box, of CLIP's own size
    similarity = CLIPSimilarity(loaded_tiny_clip(), CATEGORIES)
    measured = measure(similarity, image, expressions, [np.array([box]) for box in PREDICTED])
    for measures, expression, box in zip(measured, expressions, PREDICTED, strict=True):
        crop, reference = by_hand(image, box), by_hand(image, expression.box_xyxy)
        phrase = text_by_hand(expression.phrase)
        pairs = {"text": (crop, phrase), "crop": (crop, reference), "annotated_text": (reference, phrase)}
        for name, (one, other) in pairs.items():
            assert measures[f"{name}_cosine"] == pytest.approx(one @ other, abs=2e-3)
            assert measures[f"{name}_euclidean"] == pytest.approx(np.linalg.norm(one - other), abs=2e-3)
    prompts = np.stack([text_by_hand(PROMPT.format(name)) for name in CATEGORIES])
    nearest = CATEGORIES[int((prompts @ by_hand(image, PREDICTED[0])).argmax())]
    assert measured[0]["category_accuracy"] == float(nearest == "cat")
    assert "category_accuracy" not in measured[1], "a zebra is not among the categories"


def test_of_several_boxes_the_mean(image, expressions) -> None:
    similarity = CLIPSimilarity(loaded_tiny_clip(), CATEGORIES)
    alone = [measure(similarity, image, expressions[:1], [np.array([box])])[0] for box in PREDICTED]
    [together] = measure(similarity, image, expressions[:1], [np.array(PREDICTED)])
    for name, value in together.items():
        assert value == pytest.approx((alone[0][name] + alone[1][name]) / 2, abs=1e-5)


def test_annotated_crops_are_encoded_once_and_nothing_that_was_measured_before_is_seen(image, expressions, monkeypatch):
    encoded = Mock(side_effect=crops.encode_crops)
    monkeypatch.setattr("grounding.evaluation.clip_similarity.encode_crops", encoded)
    answers = [np.array([box]) for box in PREDICTED]
    fresh, used = (CLIPSimilarity(loaded_tiny_clip(), CATEGORIES) for _ in range(2))
    measure(used, image, expressions[1:], [np.array([(3.0, 5, 60, 70)])])
    first = measure(used, image, expressions, answers)
    assert first == measure(fresh, image, expressions, answers)
    encoded.reset_mock()
    assert measure(used, image, expressions, answers) == first and encoded.call_count == 1
    elsewhere = [Expression("a cat", ANNOTATED[0], 6, 0, 0, 0, Path("b.jpg"))]
    assert measure(used, 255 - image, elsewhere, answers[:1]) != first[:1], "another image is another crop"


def test_a_box_without_width_is_measured_too(image, expressions) -> None:
    similarity, thin = CLIPSimilarity(loaded_tiny_clip(), ()), np.array([[5.0, 5.0, 5.0, 20.0]])
    [measures] = measure(similarity, image, expressions[:1], [thin])
    assert all(np.isfinite(value) for value in measures.values())
