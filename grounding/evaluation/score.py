"""`evaluate.py score`: any system's boxes under the same measures, without its model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from grounding.data.open_dataset import open_dataset
from grounding.errors import InputError
from grounding.evaluation.box_forms import COCO, CORNERS, refuse_or_warn_of_another_form
from grounding.evaluation.compare import IOU, write_results
from grounding.evaluation.prediction_readers import UNKNOWN_IMAGE, read_coco, read_csv, read_jsonl
from grounding.evaluation.predictions import aggregate_by_ref
from grounding.evaluation.result_folder import claim, settings_of
from grounding.evaluation.summary import summarise
from grounding.runtime.config_io import refuse_wrong_values


@dataclass(frozen=True)
class ScoreConfig:
    """Measure a file of predictions.

    Attributes:
        predictions: the file; what it has to hold is in docs/evaluation.md.
        format: "csv" (boxes beside annotated boxes), "jsonl" (predictions.jsonl) or "coco" (COCO results).
        data: the data set, a folder or a table (docs/data.md); "coco" needs it, "csv" brings its own boxes.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split that the predictions are about; an expression without a prediction counts as wrong.
        query: "expression" asks each by itself; "ref" pools the answers to all expressions of an object.
        name: of the system, in the table.
        output: folder for results.json and the tables; nothing is written where it is not given.
    """

    predictions: Path
    format: Literal["csv", "jsonl", "coco"]
    data: Path | None = None
    split_by: str = "umd"
    split: str = "test"
    query: Literal["expression", "ref"] = "expression"
    name: str = "predictions"
    output: Path | None = None


def score(config: ScoreConfig) -> dict[str, Any]:
    """What results.json holds, which is also written where `output` is given.

    Raises:
        InputError: the predictions or the data cannot be used.
    """
    refuse_wrong_values(config)
    if not config.predictions.is_file():
        raise InputError(f"there is no file {config.predictions}: correct the path")
    if config.format == "coco" and config.data is None:
        raise InputError("COCO results do not say what was asked: add --data ROOT and --split")
    if config.format == "csv" and config.data is not None:
        raise InputError("a CSV file brings its annotated boxes, so --data would be ignored: leave it out")
    dataset = open_dataset(config.data, config.split, split_by=config.split_by) if config.data is not None else None
    expressions = {each.sent_id: each for each in dataset.expressions} if dataset else {}
    readers = {"jsonl": read_jsonl, "coco": read_coco}
    if config.format == "csv":
        predictions = read_csv(config.predictions)
    else:
        predictions = readers[config.format](config.predictions, expressions)
    refuse_or_warn_of_another_form(
        config.predictions, predictions, written=COCO if config.format == "coco" else CORNERS,
        sizes=dataset.image_sizes if dataset else {},
    )  # fmt: skip
    if config.query == "ref":
        predictions = aggregate_by_ref(predictions)
    summary = summarise(predictions, expressions, dataset.regions if dataset else {})
    results: dict[str, Any] = {
        "data": str(config.data) if dataset else str(config.predictions),
        "split": config.split if dataset else "all of the file",
        "split_by": dataset.split_by if dataset else "",
        "query": config.query,
        "weights": f"not known here; boxes from {config.predictions.name}",
        "iou": IOU,
        "methods": {config.name: summary.report()},
    }
    images = {each.image_id for each in predictions} - {UNKNOWN_IMAGE}
    if images:
        results["images"] = len(images)
    if config.output is not None:
        claim(config.output / "results.json", settings_of("score", config))
        write_results(config.output / "results.json", results)
    return results
