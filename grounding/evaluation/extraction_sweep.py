"""How boxes are best made from a method's heatmaps: every setting on the same heatmaps, and the best of a split.

Heatmaps stream by one batch of images at a time, and every setting is asked of each before the next one is made: of a
split of large photographs they would not fit into memory.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset, Subset

from grounding.evaluation.evaluate import answers_of
from grounding.evaluation.metrics import hits, ious_with, recall_at
from grounding.extraction import ExtractionConfig, extract
from grounding.extraction.quality import BoxQualityHead, box_features, candidate_boxes, fit_quality_head
from grounding.methods.dense import DenseGrounder
from grounding.methods.grounder import Grounder
from grounding.runtime.config_io import plain
from grounding.runtime.files import write_text_atomic
from grounding.types import Example, Grounding

MEASURES = ("acc@0.5", "miou", "recall@5", "ms_per_phrase")
GRID = (
    *(ExtractionConfig("components", relative=relative) for relative in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)),
    *(
        ExtractionConfig("multi_threshold", levels=levels)
        for levels in ((0.3, 0.5, 0.7), (0.5, 0.6, 0.7), (0.3, 0.4, 0.5, 0.6, 0.7, 0.8))
    ),
    *(ExtractionConfig("rectangle", offset=offset) for offset in (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)),
    ExtractionConfig("quality"),
    ExtractionConfig("grabcut"),
)
# The quality head is fitted on boxes, which a training-free method has not seen, and GrabCut takes longer than most
# methods do: it is for those that are configured with it.
SETTINGS = [setting for setting in GRID if setting.method not in ("quality", "grabcut")]


def sweep(
    grounder: Grounder,
    dataset: Dataset[Example],
    settings: Sequence[ExtractionConfig],
    *,
    quality_head: BoxQualityHead | None = None,
    description: str = "settings",
    **reading: int,
) -> dict[ExtractionConfig, dict[str, float]]:
    """What becomes of the same heatmaps of a grounder under every setting: setting -> `MEASURES` over all expressions.

    Settings by "quality" need the head. "ms_per_phrase" is from heatmap to boxes; `reading` is as for `answers_of`.
    """
    values: dict[ExtractionConfig, list[tuple[float, ...]]] = {setting: [] for setting in settings}
    for answer, annotated in _beside_boxes(grounder, dataset, description=description, **reading):
        for setting in settings:
            began = time.perf_counter()
            boxes, _ = extract(answer.heatmap, setting, quality_head, answer.image)
            seconds = time.perf_counter() - began
            ious = ious_with(boxes, annotated)
            values[setting].append((float(hits(ious[:1], 0.5)[0]), float(ious[0]), recall_at(ious, 5), 1000 * seconds))
    return {
        setting: dict(zip(MEASURES, np.mean(measured, axis=0).tolist(), strict=True))
        for setting, measured in values.items()
    }


def fit_head(grounder: Grounder, dataset: Dataset[Example], *, seed: int = 0, **reading: int) -> BoxQualityHead:
    """A box-quality network fitted to a grounder's heatmaps of examples, which are to be of a train split.

    Of images that the decoder has learned from, heatmaps are somewhat surer, and the network's scores a little high.
    """
    features, ious = [], []
    for answer, annotated in _beside_boxes(grounder, dataset, description="fitting", **reading):
        boxes = candidate_boxes(answer.heatmap)
        features.append(box_features(answer.heatmap, boxes))
        ious.append(ious_with(boxes, annotated))
    return fit_quality_head(np.concatenate(features), np.concatenate(ious), seed=seed)


def _beside_boxes(
    grounder: Grounder, dataset: Dataset[Example], **options: Any
) -> Iterator[tuple[Grounding, np.ndarray]]:
    """(answer, annotated box (4,)) of every expression, in the order of the data set."""
    for example, answers in answers_of(grounder, dataset, **options):
        yield from zip(answers, example.boxes_xyxy, strict=True)


@dataclass(frozen=True)
class ExtractionTuner:
    """Chooses the setting of `SETTINGS` with the highest mIoU on a split, so that no method is measured untuned.

    What was chosen is kept in `folder`, as METHOD.json, and chosen anew where the method or `made_from`, what the
    choice depends on besides it, is another.
    """

    dataset: Subset[Example]
    folder: Path
    made_from: dict[str, Any]
    reading: dict[str, Any]

    def __call__(self, grounder: DenseGrounder, made_from: dict[str, Any]) -> tuple[ExtractionConfig, str]:
        """The best setting for a method, whose heatmaps depend on `made_from`, and what results say of the choice."""
        path = self.folder / f"{grounder.name}.json"
        origin = json.loads(json.dumps({**self.made_from, "method": made_from}))
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # there is none yet, or it is damaged
            known = {}
        if known.get("made_from") != origin:
            measured = sweep(grounder, self.dataset, SETTINGS, description=f"{grounder.name}: boxes from heatmaps",
                             **self.reading)  # fmt: skip
            best = max(SETTINGS, key=lambda setting: measured[setting]["miou"])
            rows = [{"extraction": plain(setting), **measures} for setting, measures in measured.items()]
            known = {"made_from": origin, "best": SETTINGS.index(best), "rows": rows}
            write_text_atomic(path, json.dumps(known, indent=2) + "\n")
        return SETTINGS[known["best"]], f"{self.made_from['split']}, {len(self.dataset)} images"
