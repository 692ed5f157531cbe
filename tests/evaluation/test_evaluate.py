"""Evaluation asks every expression once, and its answers do not depend on the batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from grounding import Grounding, ModelConfig, RefCOCOg, load
from grounding.data.dataset import NOWHERE
from grounding.evaluation.bounds import fixed_box
from grounding.evaluation.clip_similarity import CLIPSimilarity
from grounding.evaluation.evaluate import evaluate, method_of, predict_blocks
from grounding.methods.own import OwnGrounder
from grounding.types import Example, Expression
from tests.tiny_clip import loaded_tiny_clip, save_tiny_clip
from tests.toy_data import write_toy_data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_toy_data(tmp_path / "data", {"train": 1, "val": 2, "test": 7})


@pytest.fixture
def model(tmp_path: Path) -> ModelConfig:
    return ModelConfig(clip=str(save_tiny_clip(tmp_path / "clip.pt")), model_size=64)


@pytest.mark.parametrize("name", ["zero-shot", "gradcam", "yolo-clip", "reclip"])
def test_same_answers_at_any_batch_size(data: Path, model: ModelConfig, name: str) -> None:
    dataset = RefCOCOg(data, "test", group_by="image")
    method = method_of(load(name, model=model))
    asked = [each.sent_id for index in range(7) for each in dataset.expressions_of(index)]
    answers = []
    for images_per_batch in (1, 3, 64):
        options = {"similarity": CLIPSimilarity(loaded_tiny_clip(), ["box"]), "images_per_batch": images_per_batch}
        [by_image] = predict_blocks(method, dataset, [range(7)], **options)
        predictions = [prediction for of_image in by_image for prediction in of_image]
        assert [prediction.sent_id for prediction in predictions] == asked  # none twice, none dropped
        answers.append([(p.boxes_xyxy, p.point_xy, p.annotated_xyxy, p.semantics) for p in predictions])
    assert answers[0] == answers[1] == answers[2]


def test_phrases_are_forgotten_before_each_block(data: Path, model: ModelConfig) -> None:
    dataset = RefCOCOg(data, "test", group_by="image")
    grounder = load("zero-shot", model=model)
    read: list[str] = []
    encode = grounder.text._encoded
    grounder.text._encoded = lambda phrases: (read.extend(phrases), encode(phrases))[1]
    list(predict_blocks(method_of(grounder), dataset, [range(1), range(1)]))
    assert sorted(read) == sorted(dataset[0].phrases * 3)  # the first call is made twice


class CentredBox:
    def ground(self, image: np.ndarray, phrases: list[str]) -> list[Grounding]:
        asked = Example(image, tuple(Expression(phrase, NOWHERE, 0, 0, 0, 0, Path()) for phrase in phrases))
        return fixed_box(asked, share=0.5)


def test_against_a_loop(data: Path) -> None:
    dataset = RefCOCOg(data, "test", group_by="image")
    ious, inside = [], []
    for example in dataset:
        height, width = example.image.shape[:2]
        middle = torch.tensor([[width / 4, height / 4, width * 3 / 4, height * 3 / 4]])
        for x1, y1, x2, y2 in example.boxes_xyxy.tolist():
            ious.append(box_iou(middle, torch.tensor([[x1, y1, x2, y2]])).item())
            # The hottest pixel is the one nearest to the middle, the first of them where two are as near.
            column, row = (width - 1) // 2, (height - 1) // 2
            inside.append(x1 <= column + 0.5 < x2 and y1 <= row + 0.5 < y2)
    measured = evaluate(OwnGrounder(CentredBox()), dataset)
    assert measured["miou"] == pytest.approx(np.mean(ious), abs=1e-6)
    assert measured["acc@0.25"] == pytest.approx(np.mean(np.array(ious) >= 0.25))
    assert measured["pointing"] == pytest.approx(np.mean(inside))
