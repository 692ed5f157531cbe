"""`train.py pseudo_boxes`: where a run that never saw a box says that phrases are, as annotations to train with.

Self-training (Lee 2013, "Pseudo-Label"): what a first model says of the training images, where it is sure, supervises a
second one (Jiang et al. 2022, "Pseudo-Q", section 3, trains grounding on made annotations likewise). The trainer cannot
tell pseudo-boxes from annotated ones.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt
from tqdm import tqdm

from grounding.data.annotations import find_layout, read_instance_records, read_reference_records
from grounding.data.dataloader import ImageLoader
from grounding.data.refcocog import RefCOCOg
from grounding.data.supervision import (
    images_with_boxes,
    reannotated,
    refuse_shared_images,
    refuse_test_split,
    without_boxes,
)
from grounding.evaluation.registry import code_identity
from grounding.methods.config import read_model_config
from grounding.methods.grounder import Grounder, ground_examples
from grounding.methods.load import load
from grounding.methods.names import RUN_FILES, maps_of
from grounding.methods.proposals import ProposalsConfig
from grounding.runtime.config_io import plain, refuse_wrong_values
from grounding.runtime.distributed import join_launch
from grounding.runtime.errors import InputError
from grounding.runtime.files import atomic_write, locked, sha256_of, write_text_atomic
from grounding.runtime.resumable import ResumableFile
from grounding.types import Example

IMAGES_PER_BLOCK = 16
NAME = "pseudo"  # of the annotations, in the place of who made the split


@dataclass(frozen=True)
class PseudoBoxesConfig:
    """Annotate a split with a run's answers, beside the data set's own annotations.

    Attributes:
        run: folder of a training run; its answers are kept in it too, as pseudo_boxes.jsonl. With "+yolo" after it, its
            heatmaps choose among a detector's boxes.
        proposals: that detector.
        data: root folder of the data set. Its annotations folder gets refs(pseudo).p and instances(pseudo).json, to be
            read with `split_by` pseudo: the split with pseudo-boxes, the other splits as they are.
        split_by: of the annotations whose phrases are taken.
        split: split to annotate.
        subset: images of it: a count, a fraction below 1, or null for all.
        least_score: phrases whose answer scores less are left out.
        boxes_fraction: share of the images that keep their annotated boxes: mixed supervision.
        device: "auto" (a GPU if there is one) or "cpu".
        workers: processes that read images; 0 reads in this one.
        seed: of the subset and of the images that keep their boxes.
    """

    run: Path
    data: Path
    split_by: str = "umd"
    split: str = "train"
    subset: int | float | None = None
    least_score: float = 0.3
    boxes_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.0
    device: Literal["auto", "cpu"] = "auto"
    workers: NonNegativeInt = 0
    seed: NonNegativeInt = 0
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)


def write_pseudo_boxes(config: PseudoBoxesConfig) -> str:
    """Ask the run every phrase of the split, write the annotations, and say how many there are.

    Killed and started again, it goes on where it was.
    """
    refuse_wrong_values(config)
    refuse_test_split("split", config.split)
    folder = Path(maps_of(str(config.run)))
    if read_model_config(folder).decoder.kind != "adapters":
        raise InputError(f"{folder} was trained with boxes: give a run of --model.decoder.kind adapters")
    layout = find_layout(config.data, config.split_by)
    refs_file = layout.refs_file.with_name(f"refs({NAME}).p")
    instances_file = layout.refs_file.with_name(f"instances({NAME}).json")
    if config.split_by == NAME or (refs_file.is_file() and not instances_file.is_file()):
        raise InputError(f"{refs_file} would be written over, which split_by reads or a person has made: give another "
                         "split_by, or rename that file")  # fmt: skip
    dataset = RefCOCOg(config.data, config.split, split_by=config.split_by, group_by="image",
                       subset=config.subset, seed=config.seed)  # fmt: skip
    dataset.check_images()
    boxed = images_with_boxes(dataset, config.boxes_fraction, seed=config.seed)
    image_of = {each.sent_id: each.image_id for each in dataset.expressions if each.image_id not in boxed}
    before = read_reference_records(layout.refs_file)
    refuse_shared_images(before, split=config.split, images=set(image_of.values()))
    with locked(folder / "pseudo_boxes.lock", "train.py pseudo_boxes", "--run"):
        of_all = _answers(config, dataset, layout.refs_file)
    boxes = {sent_id: box for sent_id, box, score in of_all if score >= config.least_score and sent_id in image_of}
    if not boxes:
        raise InputError(f"no answer of {config.run} scores {config.least_score} or more on an image without boxes: "
                         "give a lower --least_score or --boxes_fraction")  # fmt: skip
    refs, instances = reannotated(before, read_instance_records(layout.instances_file), boxes, split=config.split,
                                  boxed=boxed)  # fmt: skip
    refs_file.unlink(missing_ok=True)  # killed between the two, no refs of before lead to boxes of now
    write_text_atomic(instances_file, json.dumps(instances))
    with atomic_write(refs_file) as unfinished:
        unfinished.write_bytes(pickle.dumps(refs, protocol=2))
    return (f"{len(boxes)} of {len(dataset.expressions)} phrases of {config.split} have a pseudo-box, {len(boxed)} "
            f"images their annotated ones: {refs_file}, to be read with --split_by {NAME}")  # fmt: skip


def _answers(config: PseudoBoxesConfig, dataset: RefCOCOg, refs_file: Path) -> list[tuple[int, list[float], float]]:
    """The run's answer to every phrase, its sent_id, box and score; read from its folder where it is there already."""
    folder = Path(maps_of(str(config.run)))
    made_from = {**{name: sha256_of(folder / name) for name in RUN_FILES if (folder / name).is_file()},
                 "proposals": None if folder == config.run else plain(config.proposals),
                 "data": sha256_of(refs_file), "split": config.split, "subset": config.subset,
                 "seed": int(config.seed), "code": code_identity()}  # fmt: skip
    file = ResumableFile(folder / "pseudo_boxes.jsonl", made_from, items=len(dataset), block=IMAGES_PER_BLOCK,
                         replace=True)  # fmt: skip
    if not file.is_complete:
        device = join_launch(config.device).device
        grounder = load(config.run, proposals=config.proposals, device=device, precision="float32")
        loader = ImageLoader(dataset, batch_sampler=[list(block) for block in file.unfinished()],
                             num_workers=config.workers, collate_fn=list)  # fmt: skip
        file.fill(list(_ask(grounder, examples)) for examples in tqdm(loader, desc="asking", unit="block"))
    with file.path.open(encoding="utf-8") as lines:
        return list(map(json.loads, lines))


def _ask(grounder: Grounder, examples: Sequence[Example]) -> Iterator[str]:
    """One line of JSON a phrase. The boxes are taken away first: no answer can depend on one."""
    unboxed = [without_boxes(example) for example in examples]
    found = ground_examples(grounder, unboxed)
    for example, groundings in zip(unboxed, found, strict=True):
        for expression, grounding in zip(example.expressions, groundings, strict=True):
            box = [round(float(side), 2) for side in grounding.boxes_xyxy[0]]
            yield json.dumps([expression.sent_id, box, round(float(grounding.scores[0]), 4)])
