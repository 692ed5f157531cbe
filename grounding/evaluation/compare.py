"""`evaluate.py compare`: methods and bounds on the same examples, one folder with all that can be said of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from accelerate import PartialState
from pydantic import NonNegativeInt, PositiveInt
from torch.utils.data import Subset
from tqdm import tqdm

from grounding.clip.backbone import LoadedCLIP, load_clip
from grounding.clip.precision import Precision, number_format, precision_name
from grounding.data.dataset import GroundingDataset
from grounding.data.open_dataset import open_dataset
from grounding.data.pairs import ImagePhrasePairs
from grounding.data.supervision import refuse_test_split
from grounding.evaluation.bounds import BOUNDS, make_bound
from grounding.evaluation.clip_similarity import CLIPSimilarity
from grounding.evaluation.evaluate import CROPPED_TOGETHER, EvaluatedMethod, predict_blocks
from grounding.evaluation.extraction_sweep import ExtractionTuner
from grounding.evaluation.predictions import read_predictions
from grounding.evaluation.registry import MethodSettings, code_identity, make_method
from grounding.evaluation.result_folder import claim, refuse_another, settings_of, write_results
from grounding.evaluation.summary import IOU, Summary, summarise
from grounding.methods.config import ModelConfig
from grounding.methods.load import shared_model
from grounding.methods.names import ON_CROPS, is_answer_file, method_names, method_places
from grounding.methods.own import MethodNames, given_by_name, own_method
from grounding.methods.proposals import ProposalsConfig, load_proposer
from grounding.runtime.config_io import refuse_wrong_values
from grounding.runtime.distributed import join_launch
from grounding.runtime.errors import InputError
from grounding.runtime.files import locked
from grounding.runtime.launch import refuse_several
from grounding.runtime.resumable import ResumableFile


@dataclass(frozen=True)
class EvaluateConfig:
    """Compare methods on every expression of a split.

    Attributes:
        methods: folders of training runs, "zero-shot", "gradcam", "yolo-clip", "reclip", CLIPs ("RN50", a file),
            "package.module:Class" of a method of your own, and files of boxes of other systems (.jsonl, or .json of
            COCO results); the others are held against the first.
        data: the data set, a folder or a table (docs/data.md); a command line need not name it beside a run, which
            remembers its own.
        output: folder for results.json, tables, plots, report.html and predictions; likewise, RUN/SPLIT.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split to measure on; all of it is used.
        extraction_split: split on which each heatmap method's way to make boxes is chosen, unless the run brings its
            choice (extraction.yaml); null, or the split that is measured, leaves all as they are configured.
        extraction_images: at most so many images of it, the same ones every time.
        bounds: what to measure beside the methods: chance, and what perfect parts would reach.
        model: the CLIP and its input size where no method is a run; the first run's else.
        proposals: the detector of "yolo-clip", "reclip" and the bounds about proposals.
        images_per_batch: images that go through a method together; only the time depends on it.
        device: "auto" (a GPU if there is one) or "cpu".
        precision: what the methods compute in: "float32", so that a number does not depend on the machine;
            "bfloat16"; or "auto", the latter where the machine multiplies it natively.
        compiled: whether the image tower is compiled for this machine first, which pays for thousands of images.
        workers: processes that read images; 0 reads in this one.
    """

    methods: MethodNames
    data: Path
    output: Path
    split_by: str = "umd"
    split: str = "test"
    extraction_split: str | None = "val"
    extraction_images: PositiveInt = 100
    bounds: list[str] = field(default_factory=lambda: list(BOUNDS))
    model: ModelConfig = field(default_factory=ModelConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    images_per_batch: PositiveInt = 16
    device: Literal["auto", "cpu"] = "auto"
    precision: Precision = "float32"
    compiled: bool = False
    workers: NonNegativeInt = 0


def compare(
    config: EvaluateConfig, *, report: Callable[[dict[str, Any], dict[str, Summary]], None] = lambda *measured: None
) -> dict[str, Any]:
    """Measure every method and bound that is not measured yet, write predictions and results.json, return the latter.

    A method's predictions are kept block by block: a killed comparison goes on where it was, and one that is asked
    again asks no method again. `report`, of results and method -> its measured answers, adds what else the folder holds
    before results.json says that it is complete.

    Raises:
        InputError: a method, the data or an image cannot be used, or another comparison works in the folder.
    """
    refuse_several("evaluate.py compare")
    refuse_wrong_values(replace(config, methods=given_by_name(config.methods)))
    config = replace(config, methods=[own_method(each) or each for each in config.methods],
                     bounds=[each for each in config.bounds if each not in config.methods])  # fmt: skip
    names, results_file = method_names(config.methods, config.bounds), config.output / "results.json"
    dataset = open_dataset(config.data, config.split, split_by=config.split_by)
    dataset.check_images()
    launch = join_launch(config.device)
    model = shared_model(config.methods, config.model)
    settings = MethodSettings(model, config.proposals, launch.device, config.precision, config.compiled)
    clip = load_clip(model.clip, launch.device, trust_checkpoint=model.trust_checkpoint)
    expressions = {each.sent_id: each for each in dataset.expressions}
    asked = settings_of("compare", config, methods=method_places(names, config.methods))
    refuse_another(results_file, asked)
    bounds = [make_bound(name, settings) for name in config.bounds]
    tune = _tuner(config, launch, dataset)
    methods: list[EvaluatedMethod] = [
        make_method(method, settings, tune, called=name, expressions=expressions)
        for name, method in zip(names, config.methods, strict=True)
    ]

    with locked(config.output / "compare.lock", "comparison"):
        claim(results_file, asked)
        files = _predict(config, [*methods, *bounds], dataset, clip, launch)
        summaries = {name: summarise(list(read_predictions(path)), expressions, dataset.regions)
                     for name, path in files.items()}  # fmt: skip
        first = summaries[methods[0].name]
        has_proposals = any("proposals" in each.made_from for each in (*methods, *bounds))
        results = {
            "data": str(config.data),
            "split": config.split,
            "split_by": dataset.split_by,
            "images": len(dataset),
            **({"left_out": dict(dataset.left_out)} if dataset.left_out else {}),
            "weights": clip.weights,
            "precision": {each.name: each.precision for each in (*methods, *bounds)},
            "similarity_precision": precision_name(clip.precision),
            "proposals": load_proposer(config.proposals, launch.device).weights if has_proposals else "",
            "iou": IOU,
            "methods": {each.name: _result(each, summaries[each.name], first) for each in methods},
            "bounds": {each.name: _result(each, summaries[each.name], first) for each in bounds},
        }
        report(results, summaries)
        write_results(results_file, results)
    return results


def _predict(
    config: EvaluateConfig, methods: Sequence[EvaluatedMethod], dataset: GroundingDataset, clip: LoadedCLIP,
    launch: PartialState,
) -> dict[str, Path]:  # fmt: skip
    """Every method's file of predictions; what is there is not made again."""
    # Whole batches of crops: a block is answered and measured without regard to any others.
    size = -(-config.images_per_batch // CROPPED_TOGETHER) * CROPPED_TOGETHER
    # Batch size, device and compilation change no answer beyond rounding, but the time it takes.
    common = {**_computed_with(config, launch), "data": dataset.sha256(), "split": config.split,
              "similarity": clip.sha256, "images_per_batch": int(config.images_per_batch)}  # fmt: skip
    files = [
        ResumableFile(config.output / "predictions" / f"{method.name}.jsonl",
                      {**common, "weights": method.weights, "settings": method.made_from},
                      items=len(dataset), block=size, replace=True)
        for method in methods
    ]  # fmt: skip
    if not all(file.is_complete for file in files):
        # It is of other predictions, beside which it would mislead.
        (config.output / "results.json").unlink(missing_ok=True)
    categories = [region.category for regions in dataset.regions.values() for region in regions]
    similarity = CLIPSimilarity(clip, categories)
    for method, file in tqdm(zip(methods, files, strict=True), desc="methods", unit="method", total=len(methods)):
        if file.is_complete:
            continue
        answers = predict_blocks(method, dataset, file.unfinished(), similarity=similarity, workers=config.workers,
                                 images_per_batch=config.images_per_batch)  # fmt: skip
        file.fill([each.to_json() for of_image in of_block for each in of_image] for of_block in answers)
    return {method.name: file.path for method, file in zip(methods, files, strict=True)}


def _tuner(config: EvaluateConfig, launch: PartialState, measured: GroundingDataset) -> ExtractionTuner | None:
    with_heatmaps = [each for each in config.methods if isinstance(each, str) and not is_answer_file(each)
                     and each not in ON_CROPS]  # fmt: skip
    if config.extraction_split in (None, config.split) or not with_heatmaps:
        return None
    is_asked = config.extraction_split != EvaluateConfig.extraction_split
    if isinstance(measured, ImagePhrasePairs) and not is_asked and config.extraction_split not in measured.boxed_splits:
        return None  # a table need not have a split of this name
    refuse_test_split("extraction_split", config.extraction_split)
    try:
        dataset = open_dataset(config.data, config.extraction_split, split_by=config.split_by)
    except InputError as error:
        raise InputError(
            f"extraction_split: {error}; or give --extraction_split null to leave the boxes as they are configured"
        ) from error
    images = sorted(np.random.default_rng(0).permutation(len(dataset))[: config.extraction_images].tolist())
    made_from = {**_computed_with(config, launch), "data": dataset.sha256(), "split": config.extraction_split,
                 "images": images}  # fmt: skip
    reading = {"images_per_batch": int(config.images_per_batch), "workers": config.workers}
    return ExtractionTuner(Subset(dataset, images), config.output / "extraction", made_from, reading)


def _computed_with(config: EvaluateConfig, launch: PartialState) -> dict[str, Any]:
    return {"code": code_identity(), "device": launch.device.type, "compiled": config.compiled,
            "precision": str(number_format(config.precision, launch.device))}  # fmt: skip


def _result(method: EvaluatedMethod, summary: Summary, first: Summary) -> dict[str, Any]:
    """What results.json says of a method: its measures, and how its boxes were made where that was to choose."""
    behind = summary.behind(first) if summary is not first else {}
    chosen = {name: value for name, value in method.made_from.items() if name.startswith("extraction")}
    return {**summary.report(), **({"behind": behind} if behind else {}), **chosen}
