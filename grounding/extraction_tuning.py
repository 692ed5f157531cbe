"""`train.py extraction`: how a run's boxes are best made from its heatmaps, chosen on a validation split.

Heatmaps stream by one batch of images at a time, and every setting is asked of each before the next one is made: of a
split of large photographs they would not fit into memory.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from accelerate import Accelerator
from pydantic import NonNegativeInt, PositiveInt
from tabulate import tabulate
from torch.utils.data import Dataset, Subset
from tqdm import tqdm

from grounding.data.broken import WithoutBroken
from grounding.data.reading import ReadingLoader
from grounding.data.refcocog import RefCOCOg
from grounding.data.supervision import images_with_boxes, refuse_test_split
from grounding.errors import InputError
from grounding.extraction import ExtractionConfig, extract
from grounding.extraction.features import box_features, candidate_boxes
from grounding.extraction.quality import BoxQualityHead, fit_quality_head
from grounding.extraction.stored import save_extraction
from grounding.grounder import DenseGrounder, Grounder
from grounding.loading import CONFIG_FILE, DECODER_FILE, TRAINING_FREE, load
from grounding.metrics import hits, ious_with, recall_at
from grounding.plain import plain
from grounding.run_folder import read_broken
from grounding.types import Example
from grounding.whole_file import write_whole
from grounding.yaml_files import read_yaml

SWEEP_FILE = "extraction_sweep.json"
GRID = (
    *(ExtractionConfig("components", relative=relative) for relative in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)),
    *(
        ExtractionConfig("multi_threshold", levels=levels)
        for levels in ((0.3, 0.5, 0.7), (0.5, 0.6, 0.7), (0.3, 0.4, 0.5, 0.6, 0.7, 0.8))
    ),
    *(ExtractionConfig("rectangle", offset=offset) for offset in (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)),
    ExtractionConfig("quality"),
)


@dataclass(frozen=True)
class TuneExtractionConfig:
    """Choose how boxes are made from a run's heatmaps, and keep the choice in the run's folder.

    Attributes:
        run: folder of a training run.
        data: root folder of the data set, in RefCOCOg's layout.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split to choose on; not a test split, whose numbers would then be too good.
        subset: images to choose on: a count, a fraction below 1, or null for all.
        fit_split: split that the box-quality network is fitted on. Of the split that the run was trained on, images
            whose boxes it was trained with; of another split all images, after training with all boxes. Where that
            leaves none, as after weak supervision, this method is left out.
        fit_images: on so many images of it, or on all of these where there are fewer.
        criterion: "miou", or "acc@0.5", which can hardly tell settings apart that draw the same box a little
            differently; of equals the one that comes first in the table is chosen.
        images_per_batch: images that go through the model together.
        device: "auto" (a GPU if there is one) or "cpu".
        workers: processes that read images; 0 reads in this one.
        seed: of the subset, of the images to fit on and of the network.
    """

    run: Path
    data: Path
    split_by: str = "umd"
    split: str = "val"
    subset: int | float | None = None
    fit_split: str = "train"
    fit_images: PositiveInt = 300
    criterion: Literal["miou", "acc@0.5"] = "miou"
    images_per_batch: PositiveInt = 16
    device: Literal["auto", "cpu"] = "auto"
    workers: NonNegativeInt = 0
    seed: NonNegativeInt = 0


def tune_extraction(config: TuneExtractionConfig) -> str:
    """Try every setting of `GRID`, keep the best one in the run's folder, and return the table.

    Raises:
        InputError: the run or the data cannot be used, or a split to learn from is a test split.
    """
    for name in ("split", "fit_split"):
        refuse_test_split(name, getattr(config, name))
    if str(config.run) in TRAINING_FREE or not (config.run / DECODER_FILE).is_file():
        raise InputError(f"{config.run} holds no trained run: give a folder in which train.py finished an epoch")
    dataset = RefCOCOg(config.data, config.split, split_by=config.split_by, group_by="image",
                       subset=config.subset, seed=config.seed)  # fmt: skip
    to_fit_on, seen = _images_seen_with_boxes(config)
    for needed in (dataset, to_fit_on):
        needed.check_images()
    grounder = load(config.run, device=Accelerator(cpu=config.device == "cpu").device, precision="float32")
    chosen = np.random.default_rng(config.seed).permutation(seen)[: config.fit_images]
    batch, workers = int(config.images_per_batch), config.workers
    head = None
    if len(chosen):
        head = fit_head(grounder, Subset(to_fit_on, chosen.tolist()), seed=config.seed,
                        images_per_batch=batch, workers=workers)  # fmt: skip
    settings = [setting for setting in GRID if head is not None or setting.method != "quality"]
    measured = sweep(grounder, dataset, settings, quality_head=head, images_per_batch=batch, workers=workers)
    best = max(measured, key=lambda setting: measured[setting][config.criterion])
    facts = {"data": str(config.data), "split": config.split, "images": len(dataset),
             "expressions": len(dataset.expressions), "fitted on": f"{len(chosen)} images of {config.fit_split}",
             "criterion": config.criterion}  # fmt: skip
    rows = [{"extraction": plain(setting), **metrics} for setting, metrics in measured.items()]
    write_whole(config.run / SWEEP_FILE, json.dumps({**facts, "best": plain(best), "rows": rows}, indent=2) + "\n")
    save_extraction(config.run, best, head if best.method == "quality" else None)
    title = f"{config.split}, {len(dataset)} images, {len(dataset.expressions)} expressions"
    return f"{title}\n{sweep_table(measured, best)}\nchosen by {config.criterion} and kept in {config.run}"


def _images_seen_with_boxes(config: TuneExtractionConfig) -> tuple[RefCOCOg | WithoutBroken, list[int]]:
    """What to fit on, and the indices of its images: of the run's own split those whose boxes its training used.

    What was trained without boxes would not be without them any more if a part of it were fitted to some.
    """
    trained = read_yaml(config.run / CONFIG_FILE)
    supervision, seed = trained.get("supervision", "boxes"), trained.get("seed", 0)
    is_own = config.fit_split == trained.get("split", "train")
    dataset: RefCOCOg | WithoutBroken = RefCOCOg(
        config.data, config.fit_split, split_by=config.split_by, group_by="image",
        subset=trained.get("subset") if is_own else None, seed=seed,
    )  # fmt: skip
    broken = read_broken(config.run)
    if broken:
        dataset = WithoutBroken(dataset, broken)
    everything = list(range(len(dataset)))
    if supervision == "boxes":
        return dataset, everything
    if supervision == "weak" or not is_own:
        return dataset, []
    boxed = images_with_boxes(dataset, trained["boxes_fraction"], seed=seed)
    return dataset, [i for i in everything if dataset.expressions_of(i)[0].image_id in boxed]


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
        Setting -> "acc@0.5", "miou" and "recall@5" over all expressions, as `grounding.metrics` means them, and
        "ms_per_phrase", the milliseconds from heatmap to boxes.

    Raises:
        InputError: an image cannot be read, or a setting needs a head that is not there.
        ValueError: there is no expression.
    """
    if quality_head is None and isinstance(grounder, DenseGrounder):
        quality_head = grounder.quality_head
    settings = list(dict.fromkeys(settings))
    values: dict[ExtractionConfig, list[tuple[float, ...]]] = {setting: [] for setting in settings}
    for heatmap, annotated in _heatmaps(grounder, dataset, images_per_batch, workers, description):
        for setting in settings:
            began = time.perf_counter()
            boxes, _ = extract(heatmap, setting, quality_head)
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
    description: str = "fitting",
) -> BoxQualityHead:
    """A box-quality network fitted to a grounder's heatmaps of examples, which are to be of a train split.

    The decoder has seen these images, so its heatmaps of them are somewhat surer than of others: the network's scores
    come out a little high, which changes their order less than their size.

    Raises:
        InputError: an image cannot be read.
    """
    features, ious = [], []
    for heatmap, annotated in _heatmaps(grounder, dataset, images_per_batch, workers, description):
        boxes = candidate_boxes(heatmap)
        features.append(box_features(heatmap, boxes))
        ious.append(ious_with(boxes, annotated))
    return fit_quality_head(np.concatenate(features), np.concatenate(ious), seed=seed)


def sweep_table(measured: Mapping[ExtractionConfig, Mapping[str, float]], best: ExtractionConfig | None = None) -> str:
    """Settings with their measures as plain text, the best one marked."""
    rows = [
        [
            setting.method,
            ", ".join(f"{name} {_shown(value)}" for name, value in setting.parameters.items()),
            *(f"{metrics[name]:.3f}" for name in ("acc@0.5", "miou", "recall@5")),
            f"{metrics['ms_per_phrase']:.1f}",
            "<" if setting == best else "",
        ]
        for setting, metrics in measured.items()
    ]
    headings = ["method", "parameters", "Acc@0.5", "mIoU", "R@5", "ms/phrase", ""]
    return tabulate(rows, headings, disable_numparse=True, colalign=("left", "left", *["right"] * 4, "left"))


def _shown(value: Any) -> str:
    return " ".join(f"{each:g}" for each in value) if isinstance(value, tuple) else f"{value:g}"


def _heatmaps(
    grounder: Grounder, dataset: Dataset[Example], images_per_batch: int, workers: int, description: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(heatmap (H, W), annotated box (4,)) of every expression, in the order of the data set."""
    loader = ReadingLoader(dataset, batch_size=images_per_batch, num_workers=workers, collate_fn=list)
    total = len(dataset) if isinstance(dataset, Sized) else None
    with tqdm(total=total, desc=description, unit="image", leave=False) as bar:
        for batch in loader:
            answers = grounder.ground_batch([each.image for each in batch], [each.phrases for each in batch])
            for example, groundings in zip(batch, answers, strict=True):
                for grounding, annotated in zip(groundings, example.boxes_xyxy, strict=True):
                    yield grounding.heatmap, annotated
                bar.update()
