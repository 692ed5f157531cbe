"""Answers: an image is encoded once, a phrase is asked once, and boxes are made from a kept heatmap at every change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any, cast

import numpy as np
import torch

from grounding.clip.backbone import EMBEDDED
from grounding.clip.encoder import EncodedImages
from grounding.evaluation.registry import named_methods
from grounding.extraction import ExtractionConfig, extract
from grounding.extraction.settings import PARAMETERS
from grounding.methods.calibration import LEAST
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.own import MethodNames, OwnGrounder
from grounding.methods.proposals import EMBEDDED_NAME, ProposalsConfig
from grounding.methods.yolo_clip import OnProposals, YOLOCLIPGrounder
from grounding.runtime.lru_cache import LRUCache
from grounding.types import Grounding
from grounding.webapp.uploads import Photo

PageMethod = DenseGrounder | YOLOCLIPGrounder | OnProposals | OwnGrounder
NO_IMAGE = np.empty((0, 0, 3), dtype=np.uint8)


def extractions_of(method: PageMethod) -> list[str]:
    """The ways from heatmap to boxes that a user may choose from; none for a method that has boxes of its own."""
    if not isinstance(method, DenseGrounder):
        return []
    return [name for name in PARAMETERS if name != "quality" or method.quality_head is not None]


def extraction_of(method: PageMethod) -> ExtractionConfig | None:
    """How a method makes boxes from heatmaps unless told otherwise; None where it does not."""
    return method.extraction if isinstance(method, DenseGrounder) else None


def controls_of(method: PageMethod) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the menu of extractions and the threshold's slider show for a method that has just been chosen."""
    own = extraction_of(method)
    menu = {"choices": extractions_of(method), "value": own.method if own else None, "visible": own is not None}
    return menu, {"value": own.relative if own else 0.5, "visible": bool(own and own.method == "components")}


def knows_photographs(method: PageMethod) -> bool:
    """Whether its CLIP has seen any: the one that comes with this package knows drawings only."""
    return isinstance(method, OwnGrounder) or method.clip.name != EMBEDDED  # of one's own nothing is known


def about(method: PageMethod) -> str:
    """Which weights a method answers with, and what these do not know."""
    limits = [] if knows_photographs(method) else ["This CLIP knows drawings only, no photographs."]
    if isinstance(method, YOLOCLIPGrounder | OnProposals):
        kinds = "drawings only" if method.proposer.name == EMBEDDED_NAME else method.proposer.categories
        limits.append(f"Only what the detector proposes can be the answer, and it knows {kinds}.")
    return " ".join([f"{method.weights}.", *limits])


def load_methods(
    methods: MethodNames, model: ModelConfig, proposals: ProposalsConfig, device: str | torch.device
) -> dict[str, PageMethod]:
    """What is served, by name."""
    return {each.name: cast(PageMethod, each) for each in named_methods(methods, model, proposals, device)}


def chosen_boxes(answer: Grounding, method: PageMethod, extraction: ExtractionConfig | None) -> Grounding:
    """An answer with boxes that are made as chosen, None for the method's own way; no image or phrase is encoded."""
    own = extraction_of(method)
    # Parameters that the extraction does not look at may differ.
    if not (own and extraction) or (extraction.method, extraction.parameters) == (own.method, own.parameters):
        return answer
    boxes_xyxy, scores = extract(answer.heatmap, extraction, getattr(method, "quality_head", None), answer.image)
    calibrated = answer.calibrated
    if isinstance(method, DenseGrounder) and method.decoder is None:  # whose heat would score 1
        scores = scores * (answer.scores[0] / max(scores[0], LEAST))
    else:
        calibrated = False  # what scores mean was fitted to the method's own boxes
    # What is found was decided about the method's own boxes, but whether anything is, about the phrase.
    found = (0,) if answer.found else ()
    return replace(answer, boxes_xyxy=boxes_xyxy, scores=scores, found=found, calibrated=calibrated)


class Answerer:
    """Answers for all users; what it keeps in memory belongs to images and phrases, never to a user."""

    def __init__(self, methods: Mapping[str, PageMethod], memory: LRUCache) -> None:
        self.methods = methods
        self._memory = memory
        # The models use all cores already, and the text towers' memories are not made for threads.
        self._models = Lock()

    def ask(
        self, photo: Photo, phrases: Sequence[str], name: str, extraction: ExtractionConfig | None = None
    ) -> list[Grounding]:
        """Of each phrase `chosen_boxes` in pixels of the original, and the heatmap over the photo's pixels; no image.
        The models run only for what has not been asked yet."""
        method = self.methods[name]
        known = self._known(photo, phrases, method)
        if None in known.values():
            with self._models:
                known = self._known(photo, phrases, method)  # another thread may have asked the same meanwhile
                new = [phrase for phrase, answer in known.items() if answer is None]
                for answer in method.ground(self._encoded(photo, method), new) if new else ():
                    # Without the pixels, which are kept once for all phrases.
                    known[answer.phrase] = kept = replace(answer, image=NO_IMAGE)
                    size = kept.boxes_xyxy.nbytes + kept.scores.nbytes + kept.heatmap.nbytes
                    self._memory.put((photo.key, method.name, kept.phrase), kept, size)
        to_original = np.tile(np.divide(photo.size, photo.pixels.shape[1::-1]), 2).astype(np.float32)
        answers = [chosen_boxes(replace(known[phrase], image=photo.pixels), method, extraction) for phrase in phrases]
        return [replace(one, boxes_xyxy=one.boxes_xyxy * to_original, image=NO_IMAGE) for one in answers]

    def _known(self, photo: Photo, phrases: Sequence[str], method: PageMethod) -> dict[str, Any]:
        return {phrase: self._memory.get((photo.key, method.name, phrase)) for phrase in phrases}

    def _encoded(self, photo: Photo, method: PageMethod) -> EncodedImages:
        # The methods that choose among a detector's boxes take each other's encoded images.
        key = (photo.key, "proposals" if isinstance(method, YOLOCLIPGrounder) else f"of {method.name}")
        encoded = self._memory.get(key)
        if encoded is None:
            encoded = method.encode(photo.pixels)
            self._memory.put(key, encoded, encoded.nbytes)
        return encoded
