"""The methods that the page offers, and which of them see an image in the same way."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from grounding.baselines.gradcam import GradCAMGrounder
from grounding.baselines.proposal_clip import ProposalScorer, ScoringConfig
from grounding.baselines.reclip import ReCLIPGrounder
from grounding.baselines.yolo_clip import YOLOCLIPGrounder
from grounding.config import ModelConfig
from grounding.errors import InputError
from grounding.extraction import ExtractionConfig
from grounding.extraction.settings import PARAMETERS
from grounding.grounder import DenseGrounder
from grounding.loading import BLIND, TRAINING_FREE, folder_of, load, make_encoder, read_model_config, zero_shot
from grounding.proposals.loading import ProposalsConfig, load_proposer
from grounding.text import TextEncoder


@dataclass(frozen=True)
class Method:
    """One method of the page.

    Attributes:
        grounder: the method itself.
        family: methods of one family take each other's encoded images.
        text: where its phrases are encoded.
    """

    grounder: DenseGrounder | YOLOCLIPGrounder
    family: str
    text: TextEncoder

    @property
    def extraction(self) -> ExtractionConfig | None:
        """How it makes boxes from heatmaps unless told otherwise; None for a method that chooses among proposals."""
        return self.grounder.extraction if isinstance(self.grounder, DenseGrounder) else None

    @property
    def extractions(self) -> tuple[str, ...]:
        """The ways to boxes that a user may choose from; none for a method that chooses among proposals."""
        if not isinstance(self.grounder, DenseGrounder):
            return ()
        return tuple(name for name in PARAMETERS if name != "quality" or self.grounder.quality_head is not None)


def load_methods(
    run: str, model: ModelConfig, proposals: ProposalsConfig, device: str | torch.device
) -> dict[str, Method]:
    """The run first where it is a trained one, then the methods that need no training, all around one CLIP.

    Args:
        run: folder of a training run, "refshapes", or a training-free method to begin with.
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
    grounders: list[DenseGrounder | YOLOCLIPGrounder] = []
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
        GradCAMGrounder(encoder.clip, extraction=model.extraction),
        YOLOCLIPGrounder(proposer, scorer),
        ReCLIPGrounder(proposer, scorer),
    ]
    methods = [_method(grounder) for grounder in grounders]
    return {method.grounder.name: method for method in sorted(methods, key=lambda method: method.grounder.name != run)}


def _method(grounder: DenseGrounder | YOLOCLIPGrounder) -> Method:
    if isinstance(grounder, YOLOCLIPGrounder):
        return Method(grounder, "proposals", grounder.scorer.encode_phrases)
    family = "gradcam" if isinstance(grounder, GradCAMGrounder) else "dense"
    return Method(grounder, family, grounder.encoder.encode_phrases)
