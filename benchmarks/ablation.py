"""What each part of training with boxes is worth: `python -m benchmarks.ablation --seeds 3`, 90 minutes on a core.

Short trainings by configs/refshapes-half.yaml, each with one part taken out or put in. All is measured on val, by
connected components above half of the maximum, so that nothing chosen later has looked at test. Killed and started
again, it trains and measures what is missing. Writes a table of docs/results.md, and docs/claims.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jsonargparse.typing import PositiveInt
from tabulate import tabulate
from tqdm import tqdm

from benchmarks.claims import CLAIMS, Claim, record
from benchmarks.measuring import run
from benchmarks.pages import write_between
from grounding.data.refcocog import RefCOCOg
from grounding.evaluation.metrics import ious_with, point_inside
from grounding.evaluation.significance import paired_differences
from grounding.extraction import ExtractionConfig, extract
from grounding.geometry import hottest_point
from grounding.methods.load import load
from grounding.runtime.config_io import from_plain, read_yaml
from grounding.runtime.files import write_text_atomic
from grounding.training.config import TrainConfig
from grounding.training.train import train

BEGIN, END = "<!-- Written by python -m benchmarks.ablation -->", "<!-- End of benchmarks.ablation -->"
COMMAND, PREFIX = "python -m benchmarks.ablation", "ablation/"
ALL_PARTS = "as configs/refshapes-half.yaml"
MEASURES = {"acc@0.5": "Acc@0.5", "miou": "mIoU", "pointing": "pointing"}
LEAST_OF_A_PART = 0.02
DISTANCE = "with distance to CLIP"  # which is to cost no more than that: it is there to forget less
# Whose answers are taken as they are: maps of peaks, of which half of the maximum outlines no object.
OWN_BOXES = ("refshapes-weak", "refshapes-weak+yolo")


@dataclass(frozen=True)
class Measured:
    """A run's measures of every phrase: name -> (P,) values; and the phrases' (P,) images."""

    values: Mapping[str, np.ndarray]
    image_ids: np.ndarray


def experiments(base: TrainConfig) -> dict[str, TrainConfig]:
    """The trainings that are compared, by what is different in them."""
    decoder, losses = base.model.decoder, base.losses
    return {
        ALL_PARTS: base,
        "without low-rank updates": replace(base, model=replace(base.model, decoder=replace(decoder, lora_rank=0))),
        "without presence and sets": replace(
            base,
            model=replace(base.model, decoder=replace(decoder, presence=False)),
            sets_per_image=0,
            sets_split_by=None,
        ),
        "without composed phrases": replace(base, composed_per_image=0),
        "with region-phrase contrast": replace(base, losses=replace(losses, contrast_weight=0.1)),
        DISTANCE: replace(base, losses=replace(losses, distance_weight=10.0)),
    }


def main(
    config: Path = Path("configs/refshapes-half.yaml"),
    data: Path = Path("data/refshapes"),
    runs: Path = Path("runs"),
    images: PositiveInt = 1000,
    epochs: PositiveInt = 2,
    seeds: PositiveInt = 1,
    measured_on: PositiveInt = 250,
    output: Path = Path("docs/results.md"),
    claims: Path = CLAIMS,
) -> None:
    """Train, measure and write the table.

    Args:
        config: configuration whose section `train` is varied.
        data: root folder of the data set with the val split.
        runs: folder of all runs; these are in "ablation" there.
        images: to train on.
        epochs: passes over them.
        seeds: runs of each experiment.
        measured_on: images of val.
        output: Markdown file with the two marks.
        claims: file that the results go into.
    """
    base = replace(from_plain(read_yaml(config)["train"], TrainConfig), subset=images, epochs=epochs,
                   validation_subset=40, resume=True)  # fmt: skip
    val = RefCOCOg(data, "val", group_by="image", subset=measured_on)
    parts: dict[str, list[Measured]] = {}
    for seed in range(seeds):  # all experiments once before any is repeated: what is stopped early is still a table
        for name, varied in experiments(base).items():
            folder = runs / "ablation" / f"{name.replace(' ', '-').replace('/', '-')}-{seed}"
            if not folder.with_name(f"{folder.name}.json").is_file():
                train(replace(varied, seed=seed, output=folder))
            parts.setdefault(name, []).append(measure(folder, val, runs / "ablation"))
    facts = (f"{seeds} seed{'s' * (seeds > 1)}, {epochs} passes over {images:,} images; {len(val)} images of val, "
             f"{len(val.expressions):,} expressions")  # fmt: skip
    write_between(output, BEGIN, END, f"{facts}.\n\n{parts_table(parts)}")
    record(worth_of_parts(parts), claims)


def measure(method: Path, dataset: RefCOCOg, folder: Path) -> Measured:
    """A run's answers to every phrase, measured; kept in a folder, where they are read the next time."""
    path = folder / f"{method.name}.json"
    if not path.is_file():
        grounder = load(method)
        values: dict[str, list[float]] = {name: [] for name in MEASURES}
        for example in tqdm([dataset[index] for index in range(len(dataset))], desc=method.name, unit="image"):
            [answers] = grounder.ground_batch([example.image], [example.phrases])
            for answer, annotated in zip(answers, example.boxes_xyxy, strict=True):
                boxes = answer.boxes_xyxy
                if method.name not in OWN_BOXES:
                    boxes = extract(answer.heatmap, ExtractionConfig(), None, answer.image)[0]
                iou = float(ious_with(boxes[:1], annotated)[0])
                inside = point_inside(hottest_point(answer.heatmap), annotated)
                for name, value in zip(MEASURES, (iou >= 0.5, iou, inside), strict=True):
                    values[name].append(round(float(value), 4))
        write_text_atomic(path, json.dumps(values))
    image_ids = [each.image_id for index in range(len(dataset)) for each in dataset.expressions_of(index)]
    stored = {name: np.array(each) for name, each in json.loads(path.read_text(encoding="utf-8")).items()}
    return Measured(stored, np.array(image_ids))


def parts_table(parts: Mapping[str, Sequence[Measured]]) -> str:
    """Mean over seeds ± their standard deviation, and the difference to training with all parts, as Markdown."""
    rows = []
    for name, of_seeds in parts.items():
        row = [name]
        for measure_name in MEASURES:
            means = [each.values[measure_name].mean() for each in of_seeds]
            row.append(f"{np.mean(means):.3f}" + (f" ± {np.std(means, ddof=1):.3f}" if len(means) > 1 else ""))
        if name != ALL_PARTS:
            value, (low, high) = difference(of_seeds, parts[ALL_PARTS], "acc@0.5")
            row.append(f"{value:+.3f} [{low:+.3f}, {high:+.3f}]")
        rows.append(row)
    return tabulate(rows, ["training", *MEASURES.values(), "Acc@0.5, minus all parts"], "github", disable_numparse=True)


def difference(
    of_seeds: Sequence[Measured], others: Sequence[Measured], measure_name: str
) -> tuple[float, tuple[float, float]]:
    """Of the means over seeds on the same phrases, with its 95 % interval over images."""
    ours, theirs = (np.mean([each.values[measure_name] for each in side], axis=0) for side in (of_seeds, others))
    [found] = paired_differences(ours[None], theirs[None], of_seeds[0].image_ids)
    return found.difference, found.interval


def worth_of_parts(parts: Mapping[str, Sequence[Measured]]) -> dict[str, Claim]:
    """What each part adds to Acc@0.5: of those taken out, what is lost without them."""
    claims = {}
    for name, of_seeds in parts.items():
        if name != ALL_PARTS:
            with_it, without = (
                (of_seeds, parts[ALL_PARTS]) if name.startswith("with ") else (parts[ALL_PARTS], of_seeds)
            )
            value, interval = difference(with_it, without, "acc@0.5")
            part = name.removeprefix("without ").removeprefix("with ")
            least = -LEAST_OF_A_PART if name == DISTANCE else LEAST_OF_A_PART
            claims[f"{PREFIX}{part} acc@0.5"] = Claim(
                value, COMMAND, interval, len(of_seeds[0].image_ids), goal=(least, None)
            )
    return claims


if __name__ == "__main__":
    run(main)
