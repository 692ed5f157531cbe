"""The model card that goes with a run: every number on it is read from the run's files or a comparison's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from grounding.clip.text import CONTEXT_LENGTH
from grounding.errors import InputError

TEMPLATE = Path(__file__).with_name("model_card.md")
PROJECT = "clip-visual-grounding"
TASK = "zero-shot-object-detection"  # of the hub's tasks, the one that takes a phrase and gives boxes
# In the order and by the names of the report's tables, for the measures that results.json has intervals of.
MEASURES = {"acc@0.25": "Acc@0.25", "acc@0.5": "Acc@0.5", "acc@0.75": "Acc@0.75", "miou": "mIoU", "giou": "GIoU",
            "pointing": "Pointing", "mass_inside": "Mass in", "recall@5": "R@5", "region_accuracy": "Region acc",
            "category_accuracy": "Cat. acc", "text_cosine": "Text cos", "crop_cosine": "Crop cos"}  # fmt: skip


@dataclass(frozen=True)
class MeasuredRun:
    """What a comparison measured of one run.

    Attributes:
        caption: under which conditions, a sentence.
        results: the measures, as the card's metadata holds them.
        intervals: by a result's metric_type, its 95 % interval, where it has one.
    """

    caption: str
    results: list[EvalResult]
    intervals: dict[str, list[float]]


def model_card(
    repo: str, facts: Mapping[str, str], measured: MeasuredRun | None, *, trained_on: str, licence: str
) -> str:
    """The text of README.md.

    Args:
        repo: user/name.
        facts: where the run's answers come from: name -> what is said of it, in order.
        measured: what was measured of the run; None where nothing was.
        trained_on: name of the data.
        licence: of the weights, by the hub's name for it.
    """
    title = repo.partition("/")[2]
    metadata = ModelCardData(language="en", license=licence, library_name=PROJECT, pipeline_tag=TASK,
                             tags=["visual-grounding", "referring-expression-comprehension", "clip"],
                             model_name=title, eval_results=measured.results if measured else None)  # fmt: skip
    card = ModelCard.from_template(metadata, template_path=str(TEMPLATE), title=title, repo=repo, project=PROJECT,
                                   facts=facts, measured=measured, data=trained_on,
                                   context_length=CONTEXT_LENGTH)  # fmt: skip
    return str(card)


def read_measured(path: Path, made_from: Mapping[str, Any]) -> MeasuredRun:
    """The measures of a run in a comparison's results.

    Args:
        path: results.json of `evaluate.py compare`, with its folder predictions/ beside it.
        made_from: what the run's predictions depend on, as `contenders` says it: the SHA-256 of its "decoder", its
            "model" and its "extraction", and where there is one, the SHA-256 of its "box_quality".

    Raises:
        InputError: the file cannot be read, or measures no method that was made from this.
    """
    try:
        comparison = json.loads(path.read_text(encoding="utf-8"))
        records = [
            record for name, record in comparison["methods"].items() if _was_made_from(path.parent, name, made_from)
        ]
        if not records:
            raise InputError(
                f"{path} measures no method with this run's decoder, model and extraction (by predictions/ beside it): "
                "run evaluate.py compare on this run, and give its results.json"
            )
        data, split, means = Path(comparison["data"]).name, comparison["split"], records[0]["metrics"]
        results = [
            EvalResult(TASK, data, f"{data} ({split})", key, means[key], task_name="visual grounding",
                       dataset_split=split, metric_name=name)
            for key, name in MEASURES.items() if key in means
        ]  # fmt: skip
        by = f" ({comparison['split_by']})" if comparison["split_by"] else ""  # "" where there is one division only
        caption = (
            f"{data}, split {split}{by}: {comparison['images']} images, n = {records[0]['n']}, "
            f"one query per {comparison['query']}; IoU {comparison['iou']}."
        )
        return MeasuredRun(caption, results, records[0].get("intervals", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no results.json of evaluate.py compare: give the one in its --output") from error


def _was_made_from(folder: Path, method: str, made_from: Mapping[str, Any]) -> bool:
    path = folder / "predictions" / f"{method}.json"
    if not path.is_file():
        return False
    settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
    return all(settings.get(name) == value for name, value in made_from.items())
