"""Answers: an image is encoded once, a phrase is asked once, and boxes are made from a kept heatmap at every change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch

from grounding.clip.encoder import EncodedImages
from grounding.errors import InputError
from grounding.extraction import ExtractionConfig, extract
from grounding.extraction.settings import PARAMETERS
from grounding.methods.calibration import LEAST
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.distinct_names import method_names
from grounding.methods.gradcam import GradCAMGrounder
from grounding.methods.load import gradcam, load, make_encoder, shared_model, zero_shot
from grounding.methods.names import BLIND, TRAINING_FREE
from grounding.methods.own import MethodName, MethodNames, OwnGrounder, OwnImage, own_method
from grounding.methods.proposals import ProposalsConfig, load_proposer
from grounding.methods.reclip import ReCLIPGrounder
from grounding.methods.yolo_clip import EncodedProposals, ProposalScorer, ScoringConfig, YOLOCLIPGrounder
from grounding.runtime.lru_cache import LRUCache
from grounding.types import Grounding
from grounding.webapp.uploads import Photo, pixels_of, receive

PageMethod = DenseGrounder | YOLOCLIPGrounder | OwnGrounder
NO_IMAGE = np.empty((0, 0, 3), dtype=np.uint8)


def family_of(method: PageMethod) -> str:
    """Methods of one family take each other's encoded images."""
    if isinstance(method, YOLOCLIPGrounder):
        return "proposals"
    if isinstance(method, GradCAMGrounder):
        return "gradcam"
    if isinstance(method, OwnGrounder) or method.updates_clip:
        return f"of {method.name} alone"
    return f"dense {id(method.encoder)}"  # of several runs each has its own


def extractions_of(method: PageMethod) -> list[str]:
    """The ways from heatmap to boxes that a user may choose from; none for a method that has boxes of its own."""
    if not isinstance(method, DenseGrounder):
        return []
    return [name for name in PARAMETERS if name != "quality" or method.quality_head is not None]


def extraction_of(method: PageMethod) -> ExtractionConfig | None:
    """How a method makes boxes from heatmaps unless told otherwise; None where it does not."""
    return method.extraction if isinstance(method, DenseGrounder) else None


def load_methods(
    run: MethodName | MethodNames, model: ModelConfig, proposals: ProposalsConfig, device: str | torch.device
) -> dict[str, PageMethod]:
    """By name: the named runs and methods first, then the others that need no training, around the first run's CLIP.

    Args:
        run: folder of a training run, "refshapes", a training-free method, a CLIP or a method of one's own; or several.
        model: the CLIP and its input size where none is a run; a run brings its own.
        proposals: the detector of "yolo-clip" and "reclip".
        device: where the models go.

    Raises:
        InputError: there is no such run or detector, its files are damaged or do not fit each other, or as
            `method_names`.
    """
    runs = runs_of(run)
    blind = [name for name in BLIND if name in runs]
    if blind:
        raise InputError(
            f"{blind[0]!r} looks at no image: give a run folder, or one of zero-shot, gradcam, yolo-clip, reclip"
        )
    asked = [own_method(each) or each for each in runs]
    names = method_names(asked, [name for name in TRAINING_FREE if name not in asked])
    grounders: dict[str, PageMethod] = {}
    model = shared_model(asked, model)
    for name, each in zip(names, asked, strict=True):
        if each not in TRAINING_FREE:
            grounder = load(each, device=device, model=ModelConfig(trust_checkpoint=model.trust_checkpoint))
            assert isinstance(grounder, DenseGrounder | OwnGrounder)  # what `load` returns for these
            grounder.name = name
            grounders[name] = grounder
    trained = [grounder for grounder in grounders.values() if isinstance(grounder, DenseGrounder)]
    encoder = trained[0].encoder if trained else make_encoder(model, device, precision="auto")
    scorer = ProposalScorer(encoder.clip, ScoringConfig())
    proposer = load_proposer(proposals, device)
    untrained: list[PageMethod] = [
        zero_shot(encoder, model),
        gradcam(encoder.clip, model),
        YOLOCLIPGrounder(proposer, scorer),
        ReCLIPGrounder(proposer, scorer),
    ]
    grounders |= {grounder.name: grounder for grounder in untrained}
    return {name: grounders[name] for name in dict.fromkeys([*names, *grounders])}


def runs_of(run: MethodName | MethodNames) -> list[MethodName]:
    """What is served, one or several, as a list."""
    return list(run) if isinstance(run, Sequence) and not isinstance(run, str) else [run]


@dataclass(frozen=True)
class BoxChoice:
    """Which of a method's boxes are shown, and how they are made.

    Attributes:
        method: name of the method.
        extraction: how boxes are made from its heatmaps; None for the method's own way, and for proposals.
        lowest_score: boxes that score lower are left out.
        most_boxes: of each phrase, the best so many.
    """

    method: str
    extraction: ExtractionConfig | None = None
    lowest_score: float = 0.0
    most_boxes: int = 1


def chosen_boxes(answer: Grounding, method: PageMethod, choice: BoxChoice) -> Grounding:
    """An answer with the chosen boxes, perhaps none, in place of the method's own; no image or phrase is encoded.

    Raises:
        InputError: the extraction needs a network that the run lacks.
    """
    own, extraction = extraction_of(method), choice.extraction
    boxes_xyxy, scores = answer.boxes_xyxy, answer.scores
    # Parameters that the extraction does not look at may differ.
    if own and extraction and (extraction.method, extraction.parameters) != (own.method, own.parameters):
        boxes_xyxy, scores = extract(answer.heatmap, extraction, getattr(method, "quality_head", None),
                                     answer.image)  # fmt: skip
        if isinstance(method, DenseGrounder) and method.decoder is None:  # whose heat would score 1
            scores = scores * (answer.scores[0] / max(scores[0], LEAST))
        answer = replace(answer, found=(0,))  # the calibration was fitted to the method's own boxes
    count = min(choice.most_boxes, int((scores >= choice.lowest_score).sum()))  # the best come first
    found = tuple(index for index in answer.found if index < count)
    return replace(answer, boxes_xyxy=boxes_xyxy[:count], scores=scores[:count], found=found)


class Answerer:
    """Answers for all users; what it keeps belongs to images and phrases, never to a user.

    Args:
        methods: by name.
        memory: for decoded images, their encodings and heatmaps.
        max_pixels: of an image that is received.
    """

    def __init__(self, methods: Mapping[str, PageMethod], memory: LRUCache, *, max_pixels: int) -> None:
        self.methods = methods
        self._memory = memory
        self._max_pixels = max_pixels
        # The models use all cores already, and the text towers' memories are not made for threads.
        self._models = Lock()

    def receive(self, path: Path) -> Photo:
        """A photo, checked.

        Raises:
            InputError: it has too many pixels or cannot be read.
        """
        photo, pixels = receive(path, max_pixels=self._max_pixels)
        self._memory.put((photo.key,), pixels, pixels.nbytes)
        return photo

    def pixels(self, photo: Photo) -> np.ndarray:
        """(H, W, 3) uint8 RGB, decoded again where it was not kept.

        Raises:
            InputError: its file was removed.
        """
        pixels = self._memory.get((photo.key,))
        if pixels is None:
            if not photo.path.is_file():
                raise InputError(f"{photo.name} is no longer kept by the server: give it again")
            pixels = pixels_of(photo.path)
            self._memory.put((photo.key,), pixels, pixels.nbytes)
        return pixels

    def ask(self, photo: Photo, phrases: Sequence[str], choice: BoxChoice) -> list[Grounding]:
        """The chosen boxes of each phrase, and its heatmap; the models run only for what has not been asked yet.

        Raises:
            InputError: a phrase is too long, or the extraction needs a network that the run lacks.
        """
        method = self.methods[choice.method]
        known = self._known(photo, phrases, method)
        if None in known.values():
            with self._models:
                known = self._known(photo, phrases, method)  # another thread may have asked the same meanwhile
                new = [phrase for phrase, answer in known.items() if answer is None]
                for answer in method.ground(self._encoded(photo, method), new) if new else ():  # type: ignore[arg-type]
                    # Without the pixels, which are kept once for all phrases.
                    known[answer.phrase] = kept = replace(answer, image=NO_IMAGE)
                    size = kept.boxes_xyxy.nbytes + kept.scores.nbytes + kept.heatmap.nbytes
                    self._memory.put((photo.key, method.name, kept.phrase), kept, size)
        return [chosen_boxes(known[phrase], method, choice) for phrase in phrases]

    def _known(self, photo: Photo, phrases: Sequence[str], method: PageMethod) -> dict[str, Any]:
        return {phrase: self._memory.get((photo.key, method.name, phrase)) for phrase in phrases}

    def _encoded(self, photo: Photo, method: PageMethod) -> EncodedImages | EncodedProposals | OwnImage:
        key = (photo.key, family_of(method))
        encoded = self._memory.get(key)
        if encoded is None:
            encoded = method.encode(self.pixels(photo))
            self._memory.put(key, encoded, encoded.nbytes)
        return encoded
