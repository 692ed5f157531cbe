"""The measures of one run in a comparison's results.json, if they are of this run at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grounding.errors import InputError

# In the order and by the names of the report's tables, for the measures that results.json has intervals of.
MEASURES = {"acc@0.25": "Acc@0.25", "acc@0.5": "Acc@0.5", "acc@0.75": "Acc@0.75", "miou": "mIoU", "giou": "GIoU",
            "pointing": "Pointing", "mass_inside": "Mass in", "recall@5": "R@5", "region_accuracy": "Region acc",
            "category_accuracy": "Cat. acc", "text_cosine": "Text cos", "crop_cosine": "Crop cos"}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One measure: its key in results.json, its name in tables, the mean and its 95 % interval, None if it has none."""

    key: str
    name: str
    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Measured:
    """What a comparison measured of one run.

    Attributes:
        data: name of the data set's folder.
        split: of the data set.
        caption: under which conditions, a sentence.
        rows: the measures.
    """

    data: str
    split: str
    caption: str
    rows: tuple[Row, ...]


def measured(path: Path, made_from: Mapping[str, Any]) -> Measured:
    """The measures of a run.

    Args:
        path: results.json of `evaluate.py compare`, with its folder predictions/ beside it.
        made_from: what the run's predictions depend on, as `contenders` says it: the SHA-256 of its "decoder", its
            "model" and its "extraction", and where there is one, the SHA-256 of its "box_quality".

    Raises:
        InputError: the file cannot be read, or measures no method that was made from this.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        method = next((each for each in results["methods"] if _was_made_from(path.parent, each, made_from)), None)
        if method is None:
            raise InputError(
                f"{path} measures no method with this run's decoder, model and extraction (by predictions/ beside it): "
                "run evaluate.py compare on this run, and give its results.json"
            )
        record = results["methods"][method]
        means, intervals = record["metrics"], record.get("intervals", {})
        rows = tuple(
            Row(key, name, means[key], tuple(intervals[key]) if key in intervals else None)
            for key, name in MEASURES.items()
            if key in means
        )
        data = Path(results["data"]).name
        caption = (
            f"{data}, split {results['split']} ({results['split_by']}): {results['images']} images, n = {record['n']}, "
            f"one query per {results['query']}; IoU {results['iou']}."
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no results.json of evaluate.py compare: give the one in its --output") from error
    return Measured(data, results["split"], caption, rows)


def _was_made_from(folder: Path, method: str, made_from: Mapping[str, Any]) -> bool:
    path = folder / "predictions" / f"{method}.json"
    if not path.is_file():
        return False
    settings = json.loads(path.read_text(encoding="utf-8"))["settings"]
    return all(settings.get(name) == value for name, value in made_from.items())
