"""`evaluate.py sets`: methods on phrases for several objects, one, or none, as gRefCOCO has them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt
from torch.utils.data import Dataset

from grounding.clip.precision import Precision
from grounding.data.refcocog import GRefCOCO
from grounding.data.supervision import as_set, refuse_test_split
from grounding.evaluation.evaluate import answers_of
from grounding.evaluation.registry import MethodSettings, load_method, precision_of
from grounding.evaluation.result_folder import claim, settings_of, write_results
from grounding.evaluation.sets import SetAnswer, fit_calibration, set_metrics
from grounding.methods.calibration import calibrated
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.grounder import Grounder
from grounding.methods.load import shared_model
from grounding.methods.names import method_names, method_places, needs_no_training
from grounding.methods.own import MethodNames, given_by_name, own_method
from grounding.methods.proposals import ProposalsConfig
from grounding.runtime.config_io import plain, refuse_wrong_values
from grounding.runtime.distributed import join_launch
from grounding.runtime.launch import refuse_several
from grounding.types import Example, Expression, SetExample


@dataclass(frozen=True)
class SetsConfig:
    """Measure answers that are sets of boxes.

    Attributes:
        methods: folders of training runs, "zero-shot", "gradcam", "yolo-clip", "reclip", and "package.module:Class" of
            a method of your own.
        data: root folder of the data set, in gRefCOCO's layout.
        output: folder for sets.json.
        split_by: the name in the brackets of grefs(...).json.
        split: split to measure on; all of it is used.
        threshold_split: split on which scores and thresholds of a method that brings no calibration are fitted.
        model: the CLIP and its input size where no method is a run; the first run's else.
        proposals: the detector of "yolo-clip" and "reclip".
        images_per_batch: images that go through a method together; only the time depends on it.
        device: "auto" (a GPU if there is one) or "cpu".
        precision: what the methods compute in, as for `compare`.
        workers: processes that read images; 0 reads in this one.
    """

    methods: MethodNames
    data: Path
    output: Path
    split_by: str = "unc"
    split: str = "test"
    threshold_split: str = "val"
    model: ModelConfig = field(default_factory=ModelConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    images_per_batch: PositiveInt = 16
    device: Literal["auto", "cpu"] = "auto"
    precision: Precision = "float32"
    workers: NonNegativeInt = 0


def compare_sets(config: SetsConfig) -> dict[str, Any]:
    """What sets.json holds, which is also written."""
    refuse_wrong_values(replace(config, methods=given_by_name(config.methods)))
    refuse_several("evaluate.py sets")
    refuse_test_split("threshold_split", config.threshold_split)
    asked = [own_method(each) or each for each in config.methods]
    names = method_names(asked)
    measured, chosen_on = (
        GRefCOCO(config.data, split, split_by=config.split_by) for split in (config.split, config.threshold_split)
    )
    claim(config.output / "sets.json", settings_of("sets", config, methods=method_places(names, asked)))
    settings = MethodSettings(shared_model(config.methods, config.model), config.proposals,
                              join_launch(config.device).device, config.precision)  # fmt: skip
    methods: dict[str, Any] = {}
    for name, method in zip(names, asked, strict=True):
        grounder = load_method(method, settings)
        ask = partial(set_answers, grounder, images_per_batch=int(config.images_per_batch), workers=config.workers)
        calibration = None
        if isinstance(grounder, DenseGrounder):
            # Calibrated as they were long ago, on other data perhaps.
            grounder.raw_scores = needs_no_training(str(method))
            calibration = None if grounder.raw_scores else grounder.calibration
        fitted = calibration is None
        answers = ask(measured)
        if calibration is None:
            calibration = fit_calibration(ask(chosen_on))
            answers = [calibrated(each, calibration) for each in answers]
        metrics, intervals = set_metrics(answers)
        methods[name] = {
            "n": len(answers),
            "metrics": metrics,
            "intervals": intervals,
            "calibration": plain(calibration),
            "calibrated_on": config.threshold_split if fitted else "its own",
            "weights": grounder.weights,
            "precision": precision_of(grounder),
        }
    results = {"data": str(config.data), "split": config.split, "threshold_split": config.threshold_split,
               "images": len(measured), "methods": methods}  # fmt: skip
    write_results(config.output / "sets.json", results)
    return results


def set_answers(grounder: Grounder, dataset: Dataset[SetExample] | Dataset[Example], **reading: Any) -> list[SetAnswer]:
    """Every phrase of a split asked once, of phrases for one object, too; `reading` as for `answers_of`."""
    found: list[SetAnswer] = []
    for example, groundings in answers_of(grounder, dataset, description=f"{grounder.name}, sets", **reading):
        for expression, grounding in zip(example.expressions, groundings, strict=True):
            named = as_set(expression) if isinstance(expression, Expression) else expression
            annotated = np.array(named.boxes_xyxy, dtype=np.float64).reshape(-1, 4)
            found.append(SetAnswer(grounding.boxes_xyxy, grounding.scores, annotated, grounding.presence,
                                   named.image_id, grounding.found))  # fmt: skip
    return found
