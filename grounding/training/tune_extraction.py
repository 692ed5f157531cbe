"""`train.py extraction`: how a run's boxes are best made from its heatmaps, chosen on a validation split."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from pydantic import NonNegativeInt, PositiveInt
from tabulate import tabulate
from torch.utils.data import Dataset, Subset

from grounding.data.dataset import GroundingDataset
from grounding.data.open_dataset import open_dataset
from grounding.data.pairs import ImagePhrasePairs
from grounding.data.refcocog import GRefCOCO
from grounding.data.supervision import WithAbsent, refuse_test_split
from grounding.evaluation.compare_sets import set_answers
from grounding.evaluation.extraction_sweep import GRID, MEASURES, fit_head, sweep
from grounding.evaluation.sets import fit_calibration
from grounding.extraction.settings import save_extraction
from grounding.methods.calibration import save_calibration
from grounding.methods.config import read_model_config
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import load
from grounding.methods.names import DECODER_FILE, needs_no_training
from grounding.runtime.config_io import RUN_CONFIG, plain, read_settings, refuse_wrong_values
from grounding.runtime.distributed import join_launch
from grounding.runtime.errors import InputError
from grounding.runtime.files import write_text_atomic
from grounding.types import SetExample

SWEEP_FILE = "extraction_sweep.json"


@dataclass(frozen=True)
class TuneExtractionConfig:
    """Choose how boxes are made from a run's heatmaps, and keep the choice in the run's folder.

    Attributes:
        run: folder of a training run.
        data: the data set, a folder or a table (docs/data.md).
        split_by: who made the split, "umd" for example; null for the run's own, so that what was trained on
            pseudo-boxes has its network fitted on these.
        sets_split_by: who made the split of the phrases for several objects or none, "unc" for gRefCOCO: scores and
            presence are calibrated on these, of images that the run was not trained on; null for the split's own
            phrases and phrases of other images.
        split: split to choose on; not a test split, whose numbers would then be too good.
        subset: images to choose on: a count, a fraction below 1, or null for all.
        fit_images: images that the box-quality network is fitted on, at most, of the train split.
            After training without boxes there is none to fit on, and this method is left out.
        images_per_batch: images that go through the model together.
        device: "auto" (a GPU if there is one) or "cpu".
        workers: processes that read images; 0 reads in this one.
        seed: of the subset, of the images to fit on and of the network.
    """

    run: Path
    data: Path
    split_by: str | None = None
    sets_split_by: str | None = None
    split: str = "val"
    subset: int | float | None = None
    fit_images: PositiveInt = 300
    images_per_batch: PositiveInt = 16
    device: Literal["auto", "cpu"] = "auto"
    workers: NonNegativeInt = 0
    seed: NonNegativeInt = 0


def tune_extraction(config: TuneExtractionConfig) -> str:
    """Try every setting of `GRID`, keep the best one in the run's folder, and return the table."""
    refuse_wrong_values(config)
    refuse_test_split("split", config.split)
    if needs_no_training(str(config.run)) or not (config.run / DECODER_FILE).is_file():
        raise InputError(f"{config.run} holds no trained run: give a folder in which train.py finished an epoch")
    trained = read_settings(config.run / RUN_CONFIG, dict[str, Any], "restore it or train again")
    config = replace(config, split_by=config.split_by or trained.get("split_by", "umd"))
    dataset = open_dataset(config.data, config.split, split_by=str(config.split_by), subset=config.subset,
                           seed=config.seed)  # fmt: skip
    if isinstance(dataset, ImagePhrasePairs) and not dataset.boxed_splits:
        raise InputError(f"{config.data} has no column 'split': add it, so that boxes are not chosen on the "
                         "rows of training")  # fmt: skip
    to_fit_on, seen = _images_to_fit_on(config, trained)
    for needed in (dataset, to_fit_on):
        needed.check_images()
    sets = _sets_of(config, dataset, to_fit_on)
    grounder = cast(DenseGrounder, load(config.run, device=join_launch(config.device).device, precision="float32"))
    chosen = np.random.default_rng(config.seed).permutation(seen)[: config.fit_images]
    reading: dict[str, Any] = {"images_per_batch": int(config.images_per_batch), "workers": config.workers}
    head = None
    if len(chosen):
        head = fit_head(grounder, Subset(to_fit_on, chosen.tolist()), seed=config.seed, **reading)
    settings = [setting for setting in GRID if head is not None or setting.method != "quality"]
    measured = sweep(grounder, dataset, settings, quality_head=head, **reading)
    # Acc@0.5 can hardly tell settings apart that draw the same box a little differently.
    best = max(measured, key=lambda setting: measured[setting]["miou"])
    facts = {"data": str(config.data), "split": config.split, "images": len(dataset),
             "expressions": len(dataset.expressions), "fitted on": f"{len(chosen)} images of {to_fit_on.split}",
             "precision": "float32"}  # fmt: skip
    rows = [{"extraction": plain(setting), **metrics} for setting, metrics in measured.items()]
    write_text_atomic(
        config.run / SWEEP_FILE, json.dumps({**facts, "best": plain(best), "rows": rows}, indent=2) + "\n"
    )
    grounder.extraction, grounder.quality_head, grounder.calibration = best, head, None
    calibration = None
    if sets is not None:
        several = set_answers(grounder, sets, **reading)
        single = set_answers(grounder, dataset, **reading) if config.sets_split_by else []
        calibration = fit_calibration(several, single)
    save_calibration(config.run, None)  # one of other boxes would be worse than none, should this be killed here
    save_extraction(config.run, best, head if best.method == "quality" else None)
    save_calibration(config.run, calibration)
    title = f"{config.split}, {len(dataset)} images, {len(dataset.expressions)} expressions"
    meant = "scores are calibrated" if calibration else "scores are not calibrated: no phrase is known to fit nothing"
    lines = [
        [setting.method, ", ".join(f"{name} {value}" for name, value in setting.parameters.items()),
         *(metrics[name] for name in MEASURES), "<" if setting == best else ""]
        for setting, metrics in measured.items()
    ]  # fmt: skip
    table = tabulate(lines, ["method", "parameters", "Acc@0.5", "mIoU", "R@5", "ms/phrase", ""], floatfmt=".3f")
    return f"{title}\n{table}\nchosen by mIoU and kept in {config.run}; {meant}"


def _sets_of(
    config: TuneExtractionConfig, dataset: GroundingDataset, trained_on: GroundingDataset
) -> Dataset[SetExample] | None:
    """Phrases for any number of objects to calibrate on, of images that the run was not trained on.

    None where no phrase is known to fit nothing: the data set's images all hold objects of the same categories.
    """
    if config.sets_split_by is None:
        with_absent = WithAbsent(dataset, seed=config.seed)
        return with_absent if with_absent.absent else None
    sets = GRefCOCO(config.data, config.split, split_by=config.sets_split_by)
    sets.check_images()
    seen = {expression.image_id for expression in trained_on.expressions}
    unseen = [index for index in range(len(sets)) if sets.expressions_of(index)[0].image_id not in seen]
    if config.subset is not None:
        unseen = sorted(np.random.default_rng(config.seed).permutation(unseen)[: len(dataset)].tolist())
    return Subset(sets, unseen)


def _images_to_fit_on(config: TuneExtractionConfig, trained: dict[str, Any]) -> tuple[GroundingDataset, list[int]]:
    """The train split as the run takes it, and the indices of its images that boxes may be learned from.

    What was trained without boxes would not be without them any more if a part of it were fitted to some.
    """
    without_boxes = read_model_config(config.run).decoder.kind == "adapters"
    dataset = open_dataset(
        config.data, trained.get("split", "train"), split_by=str(config.split_by), boxed=not without_boxes,
        subset=trained.get("subset"), seed=trained.get("seed", 0),
    )  # fmt: skip
    return dataset, [] if without_boxes else list(range(len(dataset)))
