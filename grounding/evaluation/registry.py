"""The registry of methods that can be compared, by name or run folder, and what their answers depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import torch

from grounding.clip.precision import Precision, precision_name
from grounding.evaluation.evaluate import EvaluatedMethod, method_of
from grounding.evaluation.extraction_sweep import ExtractionTuner
from grounding.evaluation.score import read_answers
from grounding.extraction.settings import EXTRACTION_FILE
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.grounder import EncodingGrounder
from grounding.methods.load import load, model_for, shared_model
from grounding.methods.names import (
    RUN_FILES,
    TRAINING_FREE,
    folder_of,
    is_answer_file,
    maps_of,
    method_names,
    needs_no_training,
)
from grounding.methods.own import MethodName, MethodNames, OwnGrounder, own_method
from grounding.methods.proposals import ProposalsConfig
from grounding.methods.yolo_clip import OnProposals
from grounding.runtime.config_io import plain
from grounding.runtime.files import sha256_of
from grounding.types import Expression

ANSWERS_DEPEND_ON = ("geometry.py", "types.py", "clip", "data", "extraction", "model", "methods", "evaluation")
NOT_KNOWN = "not known"  # what a method of one's own, or another system, computes in


@dataclass(frozen=True)
class MethodSettings:
    """What the methods of one comparison share, as for `grounding.load`; `model` is of whatever is not trained."""

    model: ModelConfig
    proposals: ProposalsConfig
    device: str | torch.device
    precision: Precision = "float32"
    compiled: bool = False


def make_method(
    name: MethodName,
    settings: MethodSettings,
    tune: ExtractionTuner | None = None,
    *,
    called: str | None = None,
    expressions: Mapping[int, Expression] = MappingProxyType({}),
) -> EvaluatedMethod:
    """A method by name, of a run folder, of one's own, or of the answers that another system has left in a file.

    `tune` chooses how boxes are made from the heatmaps of a method that brings no choice of its own and is not
    configured with GrabCut. The method is `called` so in the comparison. A file of answers is read beside
    `expressions`, sent_id -> what is asked.
    """
    if isinstance(name, str) and is_answer_file(name):
        path = Path(name)
        given = {each.sent_id: each for each in read_answers(path, expressions)}
        return EvaluatedMethod(called or path.stem, f"not known here; boxes from {path.name}", given=given,
                               made_from={"boxes": sha256_of(path)}, precision=NOT_KNOWN)  # fmt: skip
    grounder = load_method(name, settings)
    made_from = origin_of(grounder, name, settings)
    if isinstance(grounder, OwnGrounder):
        made_from["asked"] = uuid4().hex  # each comparison asks anew: nobody knows what else its answers depend on
    grounder.name = called or grounder.name
    if isinstance(grounder, DenseGrounder):
        extraction, chosen_on = grounder.extraction, "none: as configured"
        if not needs_no_training(str(name)) and (folder_of(str(name)) / EXTRACTION_FILE).is_file():
            chosen_on = EXTRACTION_FILE
        elif tune is not None and extraction.method != "grabcut":
            extraction, chosen_on = tune(grounder, made_from)
        grounder.extraction = extraction
        grounder.raw_scores = needs_no_training(str(name))
        made_from |= {"extraction": plain(extraction), "extraction_chosen_on": chosen_on}
    return replace(method_of(grounder), made_from=made_from, precision=precision_of(grounder))


def load_method(name: MethodName, settings: MethodSettings) -> EncodingGrounder:
    """A method by name, of a run folder or of one's own."""
    return load(name, model=_model_of(name, settings.model), proposals=settings.proposals,
                device=settings.device, precision=settings.precision, compiled=settings.compiled)  # fmt: skip


def _model_of(name: MethodName, shared: ModelConfig) -> ModelConfig:
    """What brings its own model is asked for that: the shared one may be another method's."""
    name = maps_of(str(name))
    if name in TRAINING_FREE or (name == shared.clip and shared.inference_sizes):
        return shared
    return model_for(name, ModelConfig(trust_checkpoint=shared.trust_checkpoint))


def named_methods(
    methods: MethodNames, model: ModelConfig, proposals: ProposalsConfig, device: str | torch.device
) -> list[EncodingGrounder]:
    """Methods that stand beside each other, each called otherwise, with the CLIP of the first run among them."""
    asked = [own_method(each) or each for each in methods]
    names = method_names(asked)
    settings = MethodSettings(shared_model(asked, model), proposals, device, precision="auto")
    loaded = [load_method(each, settings) for each in asked]
    for method, name in zip(loaded, names, strict=True):
        method.name = name
    return loaded


def origin_of(grounder: EncodingGrounder, name: MethodName, settings: MethodSettings) -> dict[str, Any]:
    """What the answers of a method that `load_method` has loaded depend on besides the data; of one's own, its name."""
    if isinstance(grounder, OwnGrounder):
        return {"method": grounder.origin}
    if grounder.proposer is not None:
        chooser = {"clip": grounder.clip.sha256}
        if isinstance(grounder, OnProposals):
            chooser = origin_of(grounder.maps, maps_of(str(name)), settings)
        return {**chooser, "proposals": plain(settings.proposals), "detector": grounder.proposer.sha256}
    assert isinstance(grounder, DenseGrounder)
    if needs_no_training(str(name)):
        return {"model": plain(_model_of(name, settings.model)), "calibration": plain(grounder.calibration)}
    folder = folder_of(str(name))
    return {file: sha256_of(folder / file) for file in RUN_FILES if (folder / file).is_file()}


def precision_of(grounder: EncodingGrounder) -> str:
    """What a method's network computes in, in words."""
    return NOT_KNOWN if isinstance(grounder, OwnGrounder) else precision_name(grounder.clip.precision)


def code_identity() -> str:
    """SHA-256 of the files on which answers and their measures depend: not of reports, training or the web page."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for part in ANSWERS_DEPEND_ON:
        for path in sorted((package / part).rglob("*.py")) or [package / part]:
            digest.update(path.read_bytes())
    return digest.hexdigest()
