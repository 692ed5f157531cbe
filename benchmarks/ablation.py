"""What each part of training is worth: `python -m benchmarks.ablation`, hours on two CPU cores.

Every experiment is trained from several seeds, for one pass over the same images, and measured on the whole test split.
Each run leaves its result in its folder as soon as it has one: killed and started again, only what is missing is done.
Writes a part of docs/results.md, and the numbers behind it as JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import auto_cli
from jsonargparse.typing import PositiveInt
from tqdm import tqdm

from benchmarks.ablation_report import FULL, WITHOUT_BOXES, write_report
from grounding.data.augment import AugmentationConfig
from grounding.data.refcocog import RefCOCOg
from grounding.evaluation.evaluate import method_of, predict
from grounding.evaluation.extraction_sweep import fit_head, sweep
from grounding.evaluation.metrics import ious_with, point_inside
from grounding.evaluation.summary import summarise
from grounding.extraction import ExtractionConfig, extract
from grounding.extraction.settings import PARAMETERS
from grounding.geometry import hottest_point
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder, Grounder
from grounding.methods.load import load
from grounding.model.decoder import DecoderConfig
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.config_io import plain
from grounding.runtime.files import write_text_atomic
from grounding.training.config import TrainConfig
from grounding.training.criterion import LossConfig
from grounding.training.train import train
from grounding.training.tune_extraction import GRID

RESULT = "ablation.json"
MEASURES = ("acc@0.5", "miou", "pointing")
SIZES_OF_ZERO_SHOT = ((384,), (320, 384, 448, 512))
CHOSEN_ON, FITTED_ON = 100, 150  # images of val for extractions and thresholds, and of train for the network


@dataclass(frozen=True)
class Job:
    """One measurement: what it is called in the report, where its result goes, and what it is made from."""

    name: str
    folder: Path
    made_from: dict[str, Any]
    config: TrainConfig | None = None


def trainings(data: Path, images: int | None) -> dict[str, TrainConfig]:
    """All experiments that are trained, by name: one pass, otherwise settings much like the demo's."""
    model = ModelConfig(model_size=320, output_stride=32)
    bare = replace(model, decoder=DecoderConfig(adapter=False))
    base = TrainConfig(
        data, Path(), model=model, subset=images, validation_subset=20, epochs=1, images_per_batch=8,
        phrases_per_image=2, composed_per_image=2, warmup_steps=50, device="cpu",
    )  # fmt: skip
    full = replace(base, losses=LossConfig(contrast_weight=0.1))
    adapters = replace(model, output_stride=16, decoder=DecoderConfig(kind="adapters"), spatial_rules=True,
                       extraction=ExtractionConfig("grabcut"))  # fmt: skip
    return {
        "box masks only": replace(base, model=bare),
        "+ adapter": base,
        FULL: full,
        "+ augmentation": replace(full, augmentation=AugmentationConfig(flip=True)),
        WITHOUT_BOXES: replace(base, model=adapters, images_per_batch=32, learning_rate=2e-3, composed_per_image=0),
    }


def main(
    data: Path = Path("data/refshapes"),
    runs: Path = Path("runs/ablation"),
    output: Path = Path("docs/results.md"),
    images: int | None = 2000,
    seeds: PositiveInt = 3,
    jobs: PositiveInt = 2,
) -> None:
    """Train, measure and write the report.

    Args:
        data: root folder of a data set in RefCOCOg's layout.
        runs: folder of the runs, one for each experiment and seed.
        output: Markdown file with the two marks; the numbers go to ablations.json beside it.
        images: train on so many images; null for all.
        seeds: runs of each experiment.
        jobs: measurements at a time, each on an equal share of the cores.
    """
    configs = trainings(data, images)
    trained = [
        Job(name, folder, plain(replace(config, seed=seed)), replace(config, seed=seed, output=folder))
        for seed in range(seeds)
        for name, config in configs.items()
        for folder in [runs / f"{_file_name(name)}-{seed}"]
    ]
    others = [
        Job("zero-shot", runs / "zero-shot", {"data": str(data)}),
        *(
            Job("extraction", runs / f"extraction-{seed}", plain(replace(configs[FULL], seed=seed)))
            for seed in range(seeds)
        ),
    ]
    _run([(_measure_training, (job, data)) for job in trained], jobs)
    _run(
        [(_measure_zero_shot, (others[0], data))]
        + [
            (_measure_extractions, (job, data, runs / f"{_file_name(FULL)}-{seed}"))
            for seed, job in enumerate(others[1:])
        ],
        jobs,
    )
    results = [(job.name, json.loads((job.folder / RESULT).read_text())["results"]) for job in (*trained, *others)]
    write_report(output, results, facts=_facts(data, images, seeds))


def _run(work: list[tuple[Callable[..., None], tuple[Any, ...]]], jobs: int) -> None:
    """Do all that has left no result yet, several at a time."""
    missing = [(measure, arguments) for measure, arguments in work if not _is_done(arguments[0])]
    os.environ["TQDM_DISABLE"] = "1"  # in the processes to come, whose bars would run into each other
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with (
        tqdm(total=len(work), initial=len(work) - len(missing), desc="measurements", unit="run") as bar,
        ProcessPoolExecutor(jobs, mp_context=context, initializer=torch.set_num_threads, initargs=(threads,)) as pool,
    ):
        for done in as_completed(pool.submit(measure, *arguments) for measure, arguments in missing):
            done.result()
            bar.update()


def _measure_training(job: Job, data: Path) -> None:
    assert job.config is not None
    train(replace(job.config, resume=True))
    _write(job, {"test": _measured(load(job.folder), data)})


def _measure_zero_shot(job: Job, data: Path) -> None:
    """CLIP's similarity map alone, at one input size and at several, with the threshold that is best on val."""
    results = {}
    for sizes in SIZES_OF_ZERO_SHOT:
        model = ModelConfig(model_size=384, output_stride=32, inference_sizes=sizes)
        by_default = load("zero-shot", model=model)
        settings = [each for each in GRID if each.method == "components"]
        on_val = sweep(by_default, _split(data, "val", CHOSEN_ON), settings)
        best = max(on_val, key=lambda setting: on_val[setting]["acc@0.5"])
        grounder = load("zero-shot", model=replace(model, extraction=best))
        label = f"{', '.join(map(str, sizes))} pixels, threshold {best.relative:g}"
        results[label] = _measured(grounder, data)
    _write(job, results)


def _measure_extractions(job: Job, data: Path, run: Path) -> None:
    """The same heatmaps of a run under each extraction, its parameters chosen on val by mIoU."""
    grounder = load(run)
    assert isinstance(grounder, DenseGrounder)
    head = fit_head(grounder, _split(data, "train", FITTED_ON))
    on_val = sweep(grounder, _split(data, "val", CHOSEN_ON), GRID, quality_head=head)
    chosen = {"components, threshold 0.5": ExtractionConfig()}
    for method in PARAMETERS:
        of_method = {setting: metrics for setting, metrics in on_val.items() if setting.method == method}
        chosen[method] = max(of_method, key=lambda setting: of_method[setting]["miou"])
    dataset = RefCOCOg(data, "test", group_by="image")
    values: dict[str, list[list[float]]] = {label: [] for label in chosen}
    for index in range(len(dataset)):  # each heatmap once, for all settings
        example = dataset[index]
        [answers] = grounder.ground_batch([example.image], [example.phrases])
        for answer, annotated in zip(answers, example.boxes_xyxy, strict=True):
            points = float(point_inside(hottest_point(answer.heatmap), annotated))
            for label, setting in chosen.items():
                iou = float(ious_with(extract(answer.heatmap, setting, head, answer.image)[0][:1], annotated)[0])
                values[label].append([float(iou >= 0.5), iou, points])
    results = {
        label: _result(dict(zip(MEASURES, np.transpose(values[label]), strict=True)), dataset)
        | {"parameters": plain(setting.parameters)}
        for label, setting in chosen.items()
    }
    _write(job, results)


def _measured(grounder: Grounder, data: Path) -> dict[str, Any]:
    """The measures of every expression of the test split, and which expressions are of its novel subset."""
    dataset = RefCOCOg(data, "test", group_by="image")
    predictions = [each for of_image in predict(method_of(grounder), dataset) for each in of_image]
    values = summarise(predictions, {}, dataset.regions).values
    return _result({name: values[name] for name in MEASURES}, dataset)


def _result(values: Mapping[str, np.ndarray], dataset: RefCOCOg) -> dict[str, Any]:
    """Measures of the expressions in the order of the images, as what the report reads."""
    expressions = [each for index in range(len(dataset)) for each in dataset.expressions_of(index)]
    return {
        "values": {name: np.round(each, 4).tolist() for name, each in values.items()},
        "image_ids": [each.image_id for each in expressions],
        "novel": ["novel" in each.tags for each in expressions],
    }


def _split(data: Path, split: str, images: int) -> RefCOCOg:
    return RefCOCOg(data, split, group_by="image", subset=min(images, len(RefCOCOg(data, split, group_by="image"))))


def _write(job: Job, results: dict[str, Any]) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    write_text_atomic(job.folder / RESULT, json.dumps({"made_from": job.made_from, "results": results}))


def _is_done(job: Job) -> bool:
    """Whether there is a result, made from the same settings."""
    path = job.folder / RESULT
    return path.is_file() and json.loads(path.read_text())["made_from"] == job.made_from


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")


def _facts(data: Path, images: int | None, seeds: int) -> str:
    trained_on = len(RefCOCOg(data, "train", group_by="image", subset=images))
    test = RefCOCOg(data, "test", group_by="image")
    return (
        f"{data.name}: one epoch over {trained_on} training images, {seeds} seeds; test split, {len(test)} images, "
        f"{len(test.expressions)} expressions, {sum('novel' in each.tags for each in test.expressions)} of them novel"
    )


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False, prog="python -m benchmarks.ablation")
