"""What a method could reach at most, or by chance: answers that know the annotation, and blind ones.

None of them is a method. Each takes examples with their annotations and answers their phrases, so that a table says
whether a method fails at finding boxes, at choosing among them, or at drawing them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from grounding.clip.backbone import load_clip
from grounding.clip.precision import precision_name
from grounding.data.supervision import box_masks
from grounding.evaluation.evaluate import EvaluatedMethod
from grounding.evaluation.metrics import ious_with
from grounding.evaluation.registry import MethodSettings
from grounding.extraction import extract
from grounding.geometry import Letterbox
from grounding.methods.config import ModelConfig
from grounding.methods.proposals import Proposer, load_proposer
from grounding.methods.yolo_clip import ProposalScorer, boxes_to_choose_from, grounding_of_boxes
from grounding.runtime.config_io import plain
from grounding.runtime.errors import InputError
from grounding.types import Example, Grounding

RANDOM_PROPOSAL, YOLO_ORACLE, ANNOTATED_CLIP, BOX_MASK = "random-proposal", "yolo-oracle", "annotated-clip", "box-mask"
SHARES = {"whole-image": 1.0, "centred-box": 0.5}  # bound -> its box's sides over the image's
BOUNDS = (*SHARES, RANDOM_PROPOSAL, YOLO_ORACLE, ANNOTATED_CLIP, BOX_MASK)


def fixed_box(example: Example, *, share: float) -> list[Grounding]:
    """A box in the image's middle for every phrase, its sides a share of the image's; its heatmap is hottest there."""
    height, width = example.image.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    distance = np.hypot((columns + 0.5) / width - 0.5, (rows + 0.5) / height - 0.5)
    heatmap = (1 - distance).astype(np.float32)
    margin, size = (1 - share) / 2, np.array([width, height])
    box = np.concatenate([size * margin, size * (1 - margin)])[None].astype(np.float32)
    return [Grounding(phrase, box, np.ones(1, dtype=np.float32), heatmap, example.image) for phrase in example.phrases]


def proposed_boxes(example: Example, proposer: Proposer, *, oracle: bool) -> list[Grounding]:
    """Every proposal: an oracle's by IoU with the annotated box; else with one score, for the answer is any of them."""
    boxes, found = boxes_to_choose_from(proposer, example.image)
    alike = np.full(len(boxes), 1 / len(boxes), dtype=np.float32)
    return [
        grounding_of_boxes(phrase, boxes, ious_with(boxes, annotated) if oracle else alike, example.image,
                           no_proposal=not found)
        for phrase, annotated in zip(example.phrases, example.boxes_xyxy, strict=True)
    ]  # fmt: skip


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


def box_mask(example: Example, model: ModelConfig) -> list[Grounding]:
    """The decoder's training target, at its resolution, as the heatmap, and the boxes made of it."""
    height, width = example.image.shape[:2]
    letterbox = Letterbox.fit((width, height), model.model_size)
    boxes = torch.from_numpy(letterbox.boxes_to_model(example.boxes_xyxy))
    masks = box_masks(boxes, model.model_size // model.heatmap_stride, model.heatmap_stride).numpy()
    answers = []
    for phrase, mask in zip(example.phrases, masks, strict=True):
        heatmap = letterbox.map_to_image(mask)
        boxes_xyxy, scores = extract(heatmap, model.extraction, image=example.image)
        answers.append(Grounding(phrase, boxes_xyxy, scores, heatmap, example.image))
    return answers


def make_bound(name: str, settings: MethodSettings) -> EvaluatedMethod:
    """A bound by name."""
    model, proposals = settings.model, settings.proposals
    if name in SHARES:
        return EvaluatedMethod(name, "none", _each(partial(fixed_box, share=SHARES[name])))
    if name in (RANDOM_PROPOSAL, YOLO_ORACLE):
        proposer = load_proposer(proposals, settings.device)
        answer = partial(proposed_boxes, proposer=proposer, oracle=name == YOLO_ORACLE)
        made_from = {"proposals": plain(proposals), "detector": proposer.sha256}
        return EvaluatedMethod(name, proposer.weights, _each(answer), name == RANDOM_PROPOSAL, made_from,
                      precision="float32")  # whatever CLIP computes in  # fmt: skip
    if name == ANNOTATED_CLIP:
        clip = load_clip(model.clip, settings.device, trust_checkpoint=model.trust_checkpoint)
        scorer = ProposalScorer(clip)
        made_from = {"clip": clip.sha256}
        return EvaluatedMethod(name, clip.weights, partial(annotated_clip, scorer=scorer), made_from=made_from,
                      text=scorer.encode_phrases, precision=precision_name(clip.precision))  # fmt: skip
    if name == BOX_MASK:
        return EvaluatedMethod(name, "none", _each(partial(box_mask, model=model)), made_from={"model": plain(model)})
    raise InputError(f"no bound {name!r}: choose from {', '.join(BOUNDS)}")


def _each(answer: Callable[[Example], list[Grounding]]) -> Callable[[Sequence[Example]], list[list[Grounding]]]:
    return lambda examples: [answer(example) for example in examples]
