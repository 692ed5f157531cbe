"""Any Grounders over a whole split: each expression counted once, every method on the same examples."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader
from tqdm import tqdm

from grounding.data.refcocog import RefCOCOg
from grounding.grounder import Grounder
from grounding.metrics import ious_with, points_inside, summarise
from grounding.significance import interval_by_image, paired_difference
from grounding.types import Example, Expression, Grounding

BOXES_KEPT = 10  # per phrase in predictions.jsonl


@dataclass
class MethodRecord:
    """What one method answered, expression by expression.

    Attributes:
        ious: per expression the (N,) IoUs of its boxes, best-scored first.
        pointing: per expression, whether the heatmap's maximum lies in the annotated box.
        tags: per expression, the named subsets it belongs to.
        image_ids: per expression, its image.
    """

    ious: list[Any] = field(default_factory=list)
    pointing: list[bool] = field(default_factory=list)
    tags: list[tuple[str, ...]] = field(default_factory=list)
    image_ids: list[int] = field(default_factory=list)

    def by_expression(self) -> dict[str, np.ndarray]:
        """The measures that have a value per expression, (P,) each: those that get intervals."""
        best = np.array([values[0] for values in self.ious])
        return {"acc@0.5": best >= 0.5, "miou": best, "pointing": np.array(self.pointing)}

    def summary(self) -> dict[str, Any]:
        """{"n", "metrics", "intervals": {metric: [low, high]}, "subsets": {tag: {"n", "metrics"}}}.

        "subsets" only where expressions have tags, "intervals" only where there is more than one image.
        """
        result: dict[str, Any] = {"n": len(self.ious), "metrics": summarise(self.ious, self.pointing)}
        if len(set(self.image_ids)) > 1:
            ids = np.array(self.image_ids)
            values = self.by_expression()
            result["intervals"] = {name: list(interval_by_image(values[name], ids)) for name in values}
        names = sorted({tag for tags in self.tags for tag in tags})
        subsets = {}
        for name in names:
            inside = [index for index, tags in enumerate(self.tags) if name in tags]
            metrics = summarise([self.ious[i] for i in inside], [self.pointing[i] for i in inside])
            subsets[name] = {"n": len(inside), "metrics": metrics}
        return {**result, "subsets": subsets} if subsets else result


def evaluate(
    grounders: Sequence[Grounder],
    dataset: RefCOCOg,
    *,
    images_per_batch: int = 16,
    workers: int = 0,
    on_prediction: Callable[[dict[str, Any]], None] | None = None,
    description: str = "evaluating",
) -> dict[str, dict[str, Any]]:
    """Measure every method on every expression of a split.

    Args:
        grounders: the methods; their names must differ.
        dataset: the split, grouped by image.
        images_per_batch: images that go through a method together; the result does not depend on it.
        workers: processes that read images; 0 reads in this one.
        on_prediction: called with each row of predictions.jsonl.
        description: of the progress bar.

    Returns:
        Name of the method -> {"n", "metrics", "intervals", "subsets"}; of every method but the first also
        "behind": by how much the first is better, {metric: {"difference", "interval", "p_value"}}.

    Raises:
        InputError: an image cannot be read.
    """
    records = {grounder.name: MethodRecord() for grounder in grounders}
    loader = DataLoader(dataset, batch_size=images_per_batch, num_workers=workers, collate_fn=list)
    for batch in tqdm(loader, desc=description, unit="batch", leave=False):
        images, phrases = [example.image for example in batch], [example.phrases for example in batch]
        for grounder in grounders:
            answers = grounder.ground_batch(images, phrases)
            for expression, grounding in _pairs(batch, answers):
                row = _measure(grounder.name, expression, grounding, records[grounder.name])
                if on_prediction is not None:
                    on_prediction(row)
    results = {name: record.summary() for name, record in records.items()}
    first, *others = records
    for name in others:
        if "intervals" in results[name]:
            results[name]["behind"] = _behind(records[name], records[first])
    return results


def _behind(record: MethodRecord, first: MethodRecord) -> dict[str, Any]:
    """By how much the first method is better on the same expressions, measure by measure."""
    own, best, ids = record.by_expression(), first.by_expression(), np.array(record.image_ids)
    return {name: asdict(paired_difference(best[name], own[name], ids)) for name in own}


def write_results(path: Path, *, data: str, split: str, methods: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """Write results.json, whole or not at all, and return what it holds."""
    results = {"data": data, "split": split, **facts, "methods": methods}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(results, indent=2) + "\n")
    unfinished.replace(path)
    return results


def results_table(methods: dict[str, Any]) -> str:
    """The measures of every method, Acc@0.5's 95 % interval (bootstrap by image) and its subsets, as lines of text."""
    names = ("acc@0.25", "acc@0.5", "acc@0.75", "miou", "pointing", "recall@5")
    subsets = sorted({tag for result in methods.values() for tag in result.get("subsets", {})})
    header = ["method", "n", *names, "acc@0.5 95 %", *(f"acc@0.5 {tag}" for tag in subsets)]
    rows = [
        [name, str(result["n"]), *(f"{result['metrics'][metric]:.3f}" for metric in names)]
        + [_interval(result)]
        + [f"{result['subsets'][tag]['metrics']['acc@0.5']:.3f}" for tag in subsets]
        for name, result in methods.items()
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])  # names left, numbers right
        for row in [header, *rows]
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _interval(result: dict[str, Any]) -> str:
    if "intervals" not in result:
        return "-"
    low, high = result["intervals"]["acc@0.5"]
    return f"{low:.3f}-{high:.3f}"


def _pairs(batch: list[Example], answers: list[list[Grounding]]) -> Iterator[tuple[Expression, Grounding]]:
    for example, groundings in zip(batch, answers, strict=True):
        yield from zip(example.expressions, groundings, strict=True)


def _measure(method: str, expression: Expression, grounding: Grounding, record: MethodRecord) -> dict[str, Any]:
    """Adds one answer to the record; returns its row of predictions.jsonl."""
    annotated = np.array(expression.box_xyxy)
    ious = ious_with(grounding.boxes_xyxy, annotated)
    inside = points_inside(grounding.heatmap, annotated)
    record.ious.append(ious)
    record.pointing.append(inside)
    record.tags.append(expression.tags)
    record.image_ids.append(expression.image_id)
    return {
        "method": method,
        "image_id": expression.image_id,
        "ref_id": expression.ref_id,
        "sent_id": expression.sent_id,
        "phrase": expression.phrase,
        "annotated_xyxy": [round(float(value), 2) for value in expression.box_xyxy],
        "boxes_xyxy": [[round(float(value), 2) for value in box] for box in grounding.boxes_xyxy[:BOXES_KEPT]],
        "scores": [round(float(value), 4) for value in grounding.scores[:BOXES_KEPT]],
        "iou": round(float(ious[0]), 4),
        "pointing": inside,
    }
