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
from grounding.methods.gradcam import GradCAMGrounder
from grounding.methods.load import gradcam, load, make_encoder, model_for, read_model_config, zero_shot
from grounding.methods.names import BLIND, TRAINING_FREE, ZERO_SHOT, folder_of, is_clip
from grounding.methods.proposals import ProposalsConfig, load_proposer
from grounding.methods.reclip import ReCLIPGrounder
from grounding.methods.yolo_clip import EncodedProposals, ProposalScorer, ScoringConfig, YOLOCLIPGrounder
from grounding.runtime.lru_cache import LRUCache
from grounding.types import Grounding
from grounding.webapp.uploads import Photo, pixels_of, receive

PageMethod = DenseGrounder | YOLOCLIPGrounder
NO_IMAGE = np.empty((0, 0, 3), dtype=np.uint8)


def family_of(method: PageMethod) -> str:
    """Methods of one family take each other's encoded images."""
    if isinstance(method, YOLOCLIPGrounder):
        return "proposals"
    if isinstance(method, GradCAMGrounder):
        return "gradcam"
    return "updated" if method.updates_clip else "dense"


def extractions_of(method: PageMethod) -> list[str]:
    """The ways from heatmap to boxes that a user may choose from; none for a method that chooses among proposals."""
    if isinstance(method, YOLOCLIPGrounder):
        return []
    return [name for name in PARAMETERS if name != "quality" or method.quality_head is not None]


def extraction_of(method: PageMethod) -> ExtractionConfig | None:
    """How a method makes boxes from heatmaps unless told otherwise; None where it chooses among proposals."""
    return None if isinstance(method, YOLOCLIPGrounder) else method.extraction


def load_methods(
    run: str, model: ModelConfig, proposals: ProposalsConfig, device: str | torch.device
) -> dict[str, PageMethod]:
    """By name: the named run or method first, then the others that need no training, all around one CLIP.

    Args:
        run: folder of a training run, "refshapes", a training-free method to begin with, or a CLIP.
        model: the CLIP and its input size where `run` is training-free; a run brings its own.
        proposals: the detector of "yolo-clip" and "reclip".
        device: where the models go.

    Raises:
        InputError: there is no such run or detector, or its files are damaged or do not fit each other.
    """
    if run in BLIND:
        raise InputError(
            f"{run!r} looks at no image: give a run folder, or one of zero-shot, gradcam, yolo-clip, reclip"
        )
    grounders: list[PageMethod] = []
    if is_clip(run):
        run, model = ZERO_SHOT, model_for(run, model)
    if run in TRAINING_FREE:
        encoder = make_encoder(model, device, precision="auto")
    else:
        trained = load(run, model=model, device=device)
        assert isinstance(trained, DenseGrounder)  # what `load` returns for a folder
        model, encoder = read_model_config(folder_of(run)), trained.encoder
        grounders.append(trained)
    scorer = ProposalScorer(encoder.clip, ScoringConfig())
    proposer = load_proposer(proposals, device)
    grounders += [
        zero_shot(encoder, model),
        gradcam(encoder.clip, model),
        YOLOCLIPGrounder(proposer, scorer),
        ReCLIPGrounder(proposer, scorer),
    ]
    grounders.sort(key=lambda grounder: grounder.name != run)
    return {grounder.name: grounder for grounder in grounders}


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

    def _encoded(self, photo: Photo, method: PageMethod) -> EncodedImages | EncodedProposals:
        key = (photo.key, family_of(method))
        encoded = self._memory.get(key)
        if encoded is None:
            encoded = method.encode(self.pixels(photo))
            self._memory.put(key, encoded, encoded.nbytes)
        return encoded
