"""What a method could reach at most, or by chance: answers that know the annotation, and blind ones.

None of them is a method. Each takes examples with their annotations and answers their phrases, so that a table says
whether a method fails at finding boxes, at choosing among them, or at drawing them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from grounding.data.supervision import box_masks
from grounding.evaluation.metrics import ious_with
from grounding.extraction import ExtractionConfig, extract
from grounding.geometry import Letterbox
from grounding.methods.proposals import Proposer
from grounding.methods.yolo_clip import ProposalScorer, boxes_to_choose_from, grounding_of_boxes
from grounding.types import Example, Grounding


def random_proposal(example: Example, proposer: Proposer) -> list[Grounding]:
    """Every proposal, all with the same score: the answer is any one of them."""
    boxes, found = boxes_to_choose_from(proposer, example.image)
    scores = np.full(len(boxes), 1 / len(boxes), dtype=np.float32)
    return [
        grounding_of_boxes(phrase, boxes, scores, example.image, no_proposal=not found) for phrase in example.phrases
    ]


def yolo_oracle(example: Example, proposer: Proposer) -> list[Grounding]:
    """The proposals in the order of their IoU with the annotated box: a perfect choice among them."""
    boxes, found = boxes_to_choose_from(proposer, example.image)
    return [
        grounding_of_boxes(phrase, boxes, ious_with(boxes, annotated), example.image, no_proposal=not found)
        for phrase, annotated in zip(example.phrases, example.boxes_xyxy, strict=True)
    ]


def annotated_clip(examples: Sequence[Example], scorer: ProposalScorer) -> list[list[Grounding]]:
    """CLIP's choice among the images' annotated boxes: perfect proposals."""
    boxes = [np.array([region.box_xyxy for region in example.regions], dtype=np.float32) for example in examples]
    crops = scorer.encode([example.image for example in examples], boxes)
    scores = scorer.score(crops, [example.phrases for example in examples])
    return [
        [
            grounding_of_boxes(phrase, of_image, probabilities, example.image)
            for phrase, probabilities in zip(example.phrases, distributions, strict=True)
        ]
        for example, of_image, distributions in zip(examples, boxes, scores, strict=True)
    ]


def box_mask(example: Example, *, model_size: int, stride: int, extraction: ExtractionConfig) -> list[Grounding]:
    """The decoder's training target as its heatmap: what the extraction makes of a perfect one.

    Args:
        example: an image with expressions.
        model_size: side of the letterbox in pixels.
        stride: model pixels per cell of the heatmap.
        extraction: how boxes are made from it.
    """
    height, width = example.image.shape[:2]
    letterbox = Letterbox.fit((width, height), model_size)
    boxes = torch.from_numpy(letterbox.boxes_to_model(example.boxes_xyxy))
    masks = box_masks(boxes, model_size // stride, stride).numpy()
    answers = []
    for phrase, mask in zip(example.phrases, masks, strict=True):
        heatmap = letterbox.map_to_image(mask)
        boxes_xyxy, scores = extract(heatmap, extraction, image=example.image)
        answers.append(Grounding(phrase, boxes_xyxy, scores, heatmap, example.image))
    return answers
