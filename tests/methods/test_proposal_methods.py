"""YOLO + CLIP and ReCLIP against the `clip` package's own answers on crops cut by hand, and the bounds beside them."""

from __future__ import annotations

from pathlib import Path

import clip
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import box_iou

from grounding import InputError
from grounding.clip import crops
from grounding.evaluation.bounds import annotated_clip, proposed_boxes
from grounding.geometry import hottest_point
from grounding.methods.reclip import ReCLIPGrounder
from grounding.methods.yolo_clip import ProposalScorer, YOLOCLIPGrounder
from grounding.types import Example, Expression, Region
from tests.fake_proposer import FakeProposer
from tests.tiny_clip import RESOLUTION, loaded_tiny_clip

BOXES = [(0.0, 0, 64, 64), (64.0, 32, 128, 96), (10.0, 32, 74, 96), (128.0, 0, 192, 64)]
PHRASES = ["a cat", "the man in the red coat", "a tree", "two dogs", "blue sky"]


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """192 x 96 pixels of coloured noise, each quarter of another tint."""
    rng = np.random.default_rng(0)
    tints = np.repeat(np.repeat(rng.integers(0, 200, (3, 6, 3)), 32, axis=0), 32, axis=1)
    return (tints + rng.integers(0, 55, (96, 192, 3))).astype(np.uint8)


@pytest.fixture
def scorer(monkeypatch) -> ProposalScorer:
    monkeypatch.setattr(crops, "CONTEXT", 1.0)  # the crop then is the box, of CLIP's own size
    return ProposalScorer(loaded_tiny_clip())


@torch.no_grad()
def by_hand(image: np.ndarray, phrases: list[str]) -> tuple[torch.Tensor, np.ndarray]:
    """(P, N) CLIP's own logits and probabilities: every box is as large as its input, so that nothing is resized."""
    model = loaded_tiny_clip().model
    preprocess = clip.clip._transform(RESOLUTION)
    images = [preprocess(Image.fromarray(image).crop(tuple(map(int, box)))) for box in BOXES]
    _, per_text = model(torch.stack(images), clip.tokenize(phrases))
    return per_text, per_text.softmax(dim=1).numpy()


def test_the_crop_that_clip_prefers_wins(image, scorer) -> None:
    _, expected = by_hand(image, PHRASES)
    assert len(set(expected.argmax(axis=1))) > 1, "the phrases choose differently"
    answers = YOLOCLIPGrounder(FakeProposer(BOXES), scorer).ground(image, PHRASES)
    for answer, probabilities in zip(answers, expected, strict=True):
        order = np.argsort(-probabilities)
        np.testing.assert_array_equal(answer.boxes_xyxy, np.array(BOXES, dtype=np.float32)[order])
        np.testing.assert_allclose(answer.scores, probabilities[order], atol=1e-4)
        assert not answer.no_proposal
        x1, y1, x2, y2 = BOXES[order[0]]
        assert hottest_point(answer.heatmap) == pytest.approx(((x1 + x2) / 2, (y1 + y2) / 2), abs=0.6)


@pytest.mark.parametrize("method", [YOLOCLIPGrounder, ReCLIPGrounder])
def test_presence_is_the_cosine_with_the_best_crop(image, scorer, method) -> None:
    """Of the whole phrase, whatever ReCLIP makes of it."""
    scale = float(loaded_tiny_clip().model.logit_scale.exp())
    found = [answer.presence for answer in method(FakeProposer(BOXES), scorer).ground(image, PHRASES)]
    expected = (1 + by_hand(image, PHRASES)[0].amax(dim=1) / scale) / 2
    assert found == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("method", [YOLOCLIPGrounder, ReCLIPGrounder])
def test_where_nothing_is_proposed_the_whole_image_is_the_answer(image, scorer, method) -> None:
    [answer] = method(FakeProposer([]), scorer).ground(image, ["the leftmost dog"])
    assert answer.no_proposal and answer.boxes_xyxy.tolist() == [[0, 0, 192, 96]] and answer.scores.tolist() == [1]


def test_an_encoded_image_is_asked_without_another_look(image, scorer, monkeypatch) -> None:
    """Both methods take the same value, and answer as on the image itself."""
    proposer = FakeProposer(BOXES)
    methods = [method(proposer, scorer) for method in (YOLOCLIPGrounder, ReCLIPGrounder)]
    encoded, expected = methods[0].encode(image), [method.ground(image, PHRASES) for method in methods]
    monkeypatch.delattr(FakeProposer, "propose")
    monkeypatch.delattr(ProposalScorer, "encode")
    for method, answers in zip(methods, expected, strict=True):
        for answer, other in zip(method.ground(encoded, PHRASES), answers, strict=True):
            for name in ("boxes_xyxy", "scores", "image"):
                np.testing.assert_array_equal(getattr(answer, name), getattr(other, name))
    monkeypatch.setattr(FakeProposer, "sha256", "1" * 64)
    with pytest.raises(InputError, match="another CLIP, detector or input size has encoded the image"):
        YOLOCLIPGrounder(proposer, scorer).ground(encoded, ["a box"])


def test_reclip_follows_the_relation(image, scorer) -> None:
    """With anchors and heads that CLIP cannot tell apart, the rules alone decide."""
    method = ReCLIPGrounder(FakeProposer(BOXES), scorer)
    # A box that no other is left of has all of the superlative's mass to gain, and its opposite none.
    for phrase, excluded in (("the leftmost thing", BOXES[3]), ("the rightmost thing", BOXES[0])):
        [answer] = method.ground(image, [phrase])
        assert answer.scores[answer.boxes_xyxy.tolist().index(list(excluded))] == 0
    [plain] = method.ground(image, ["a cat"])
    np.testing.assert_allclose(plain.scores, np.sort(by_hand(image, ["a cat"])[1][0])[::-1], atol=1e-4)


@pytest.fixture
def example(image) -> Example:
    boxes = [(60.0, 30, 130, 98), (0.0, 0, 50, 64)]
    expressions = tuple(
        Expression(phrase, box, 1, i, i, i, Path("a.jpg"))
        for i, (phrase, box) in enumerate(zip(PHRASES[:2], boxes, strict=True))
    )
    regions = tuple(Region(i, 1, box, "cat") for i, box in enumerate([*boxes, (128.0, 0, 192, 64)]))
    return Example(image, expressions, regions)


def test_oracle_puts_the_best_proposal_first(example) -> None:
    answers = proposed_boxes(example, FakeProposer(BOXES), oracle=True)
    for answer, annotated in zip(answers, example.boxes_xyxy, strict=True):
        ious = box_iou(torch.tensor(BOXES), torch.tensor(annotated[None]))[:, 0].numpy()
        np.testing.assert_allclose(answer.scores, np.sort(ious)[::-1], atol=1e-5)
        np.testing.assert_array_equal(answer.boxes_xyxy[0], np.array(BOXES[ious.argmax()], dtype=np.float32))


def test_annotated_boxes_are_the_proposals(example, scorer) -> None:
    regions = [region.box_xyxy for region in example.regions]
    expected = YOLOCLIPGrounder(FakeProposer(regions), scorer).ground(example.image, example.phrases)
    for answer, other in zip(annotated_clip([example], scorer)[0], expected, strict=True):
        np.testing.assert_array_equal(answer.boxes_xyxy, other.boxes_xyxy)


def test_random_proposal_answers_with_all_alike(example) -> None:
    for answer in proposed_boxes(example, FakeProposer(BOXES), oracle=False):
        np.testing.assert_array_equal(answer.boxes_xyxy, np.array(BOXES, dtype=np.float32))
        assert answer.scores == pytest.approx([0.25] * 4)
    assert proposed_boxes(example, FakeProposer([]), oracle=False)[0].no_proposal
