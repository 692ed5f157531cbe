"""How boxes are best made from a method's heatmaps: every setting on the same heatmaps, and the best of a split.

Heatmaps stream by one batch of images at a time, and every setting is asked of each before the next one is made: of a
split of large photographs they would not fit into memory.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate
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
    images_per_batch: int = 16,
    workers: int = 0,
    description: str = "settings",
) -> dict[ExtractionConfig, dict[str, float]]:
    """What becomes of the same heatmaps under every setting.

    Args:
        grounder: of whose answers only the heatmaps are used.
        dataset: examples of any split, best grouped by image; of known length.
        settings: what to try; each once.
        quality_head: for settings by "quality"; the grounder's own where it is not given.
        images_per_batch: images that go through the grounder together.
        workers: processes that read images; 0 reads in this one.
        description: of the progress bar.

    Returns:
        Setting -> "acc@0.5", "miou" and "recall@5" over all expressions, of `evaluation.metrics`, and "ms_per_phrase",
        the milliseconds from heatmap to boxes.

    Raises:
        InputError: an image cannot be read, or a setting needs a head that is not there.
        ValueError: there is no expression.
    """
    if quality_head is None and isinstance(grounder, DenseGrounder):
        quality_head = grounder.quality_head
    values: dict[ExtractionConfig, list[tuple[float, ...]]] = {setting: [] for setting in settings}
    for answer, annotated in _beside_boxes(grounder, dataset, images_per_batch=images_per_batch, workers=workers,
                                           description=description):  # fmt: skip
        for setting in settings:
            began = time.perf_counter()
            boxes, _ = extract(answer.heatmap, setting, quality_head, answer.image)
            seconds = time.perf_counter() - began
            ious = ious_with(boxes, annotated)
            values[setting].append((float(hits(ious[:1], 0.5)[0]), float(ious[0]), recall_at(ious, 5), 1000 * seconds))
    if settings and not values[settings[0]]:
        raise ValueError("no phrase to measure on")
    names = ("acc@0.5", "miou", "recall@5", "ms_per_phrase")
    return {
        setting: dict(zip(names, np.mean(measured, axis=0).tolist(), strict=True))
        for setting, measured in values.items()
    }


def fit_head(
    grounder: Grounder,
    dataset: Dataset[Example],
    *,
    seed: int = 0,
    images_per_batch: int = 16,
    workers: int = 0,
) -> BoxQualityHead:
    """A box-quality network fitted to a grounder's heatmaps of examples, which are to be of a train split.

    The decoder has seen these images, so its heatmaps of them are somewhat surer than of others: the network's scores
    come out a little high, which changes their order less than their size.

    Raises:
        InputError: an image cannot be read.
    """
    features, ious = [], []
    for answer, annotated in _beside_boxes(grounder, dataset, images_per_batch=images_per_batch, workers=workers,
                                           description="fitting"):  # fmt: skip
        boxes = candidate_boxes(answer.heatmap)
        features.append(box_features(answer.heatmap, boxes))
        ious.append(ious_with(boxes, annotated))
    return fit_quality_head(np.concatenate(features), np.concatenate(ious), seed=seed)


def sweep_table(measured: Mapping[ExtractionConfig, Mapping[str, float]], best: ExtractionConfig | None = None) -> str:
    """Settings with their measures as plain text, the best one marked."""
    rows = [
        [setting.method, ", ".join(f"{name} {value}" for name, value in setting.parameters.items()),
         *(metrics[name] for name in ("acc@0.5", "miou", "recall@5", "ms_per_phrase")), "<" if setting == best else ""]
        for setting, metrics in measured.items()
    ]  # fmt: skip
    return tabulate(rows, ["method", "parameters", "Acc@0.5", "mIoU", "R@5", "ms/phrase", ""], floatfmt=".3f")


def _beside_boxes(
    grounder: Grounder, dataset: Dataset[Example], **options: Any
) -> Iterator[tuple[Grounding, np.ndarray]]:
    """(answer, annotated box (4,)) of every expression, in the order of the data set."""
    for example, answers in answers_of(grounder, dataset, **options):
        yield from zip(answers, example.boxes_xyxy, strict=True)


class ExtractionTuner:
    """Chooses the setting of `SETTINGS` with the highest mIoU on a split, so that no method is measured untuned.

    What was chosen is kept beside the comparison, and chosen anew where the method, the data or the code is another.

    Args:
        dataset: the split, grouped by image; not the one that is measured.
        folder: for NAME.json, one a method.
        made_from: what the choice depends on besides the method, as JSON has it.
        images_per_batch, workers: as for `sweep`.
    """

    def __init__(
        self, dataset: Subset[Example], folder: Path, made_from: dict[str, Any], *, images_per_batch: int, workers: int
    ) -> None:
        self._dataset, self._folder, self._made_from = dataset, folder, made_from
        self._images_per_batch, self._workers = images_per_batch, workers
        self.chosen_on = f"{made_from['split']}, {len(dataset)} images"

    def __call__(self, grounder: DenseGrounder, made_from: dict[str, Any]) -> ExtractionConfig:
        """The best setting for a method.

        Args:
            grounder: the method; its own extraction does not matter.
            made_from: all that its heatmaps depend on.

        Raises:
            InputError: an image cannot be read.
        """
        path = self._folder / f"{grounder.name}.json"
        origin = json.loads(json.dumps({**self._made_from, "method": made_from}))
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # there is none yet, or it is damaged
            known = {}
        if known.get("made_from") != origin:
            measured = sweep(grounder, self._dataset, SETTINGS, images_per_batch=self._images_per_batch,
                             workers=self._workers, description=f"{grounder.name}: boxes from heatmaps")  # fmt: skip
            best = max(SETTINGS, key=lambda setting: measured[setting]["miou"])
            rows = [{"extraction": plain(setting), **measures} for setting, measures in measured.items()]
            known = {"made_from": origin, "best": SETTINGS.index(best), "rows": rows}
            write_text_atomic(path, json.dumps(known, indent=2) + "\n")
        return SETTINGS[known["best"]]
