"""`evaluate.py compare`: methods and bounds on the same examples, one folder with all that can be said of them."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from accelerate import PartialState
from pydantic import NonNegativeInt, PositiveInt
from tqdm import tqdm

from grounding.baselines.proposal_clip import ScoringConfig
from grounding.blocks import Blocks
from grounding.clip_backbone import LoadedCLIP, load_clip
from grounding.coco_results import write_coco_results
from grounding.config import ModelConfig
from grounding.contenders import BOUNDS, Settings, make_bound, make_method
from grounding.data.annotations import find_layout
from grounding.data.refcocog import RefCOCOg
from grounding.digest import sha256_of
from grounding.errors import InputError
from grounding.evaluation import Method, block_size, predict_blocks
from grounding.loading import read_model_config, run_folders
from grounding.lock import locked
from grounding.made_once import MadeOnce, code_identity
from grounding.plain import plain
from grounding.pooling import pool_by_ref
from grounding.precision import Precision, number_format
from grounding.predictions import Prediction, read_predictions
from grounding.processes import join_launch, share_name
from grounding.proposals.loading import ProposalsConfig, load_proposer
from grounding.report.tables import comparison_table
from grounding.reporting import write_report
from grounding.semantics import Judge
from grounding.summary import Summary, summarise
from grounding.whole_file import write_whole

IOU = "of the best-scored box with the annotated box, in pixels of the original image"


@dataclass(frozen=True)
class EvaluateConfig:
    """Compare methods on every expression of a split.

    Attributes:
        methods: the folder of a training run, and "zero-shot", "gradcam", "yolo-clip", "reclip", "whole-image",
            "centred-box"; the others are held against the first.
        data: root folder of the data set, in RefCOCOg's layout.
        output: folder for results.json, tables, plots, report.html and predictions.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split to measure on; all of it is used.
        query: "expression" asks each by itself; "ref" pools the answers to all expressions of an object.
        bounds: what to measure beside the methods: chance, and what perfect parts would reach.
        model: the CLIP and its input size where no method is a run; the first run's else.
        proposals: the detector of "yolo-clip", "reclip" and the bounds about proposals.
        scoring: how CLIP looks at proposals.
        images_per_batch: images that go through a method together; only the time depends on it.
        device: "auto" (a GPU if there is one) or "cpu".
        precision: what the methods compute in: "float32", so that a number does not depend on the machine;
            "bfloat16"; or "auto", the latter where the machine multiplies it natively.
        compiled: whether the image tower is compiled for this machine first, which pays for thousands of images.
        workers: processes that read images; 0 reads in this one.
    """

    methods: list[str]
    data: Path
    output: Path
    split_by: str = "umd"
    split: str = "test"
    query: Literal["expression", "ref"] = "expression"
    bounds: list[str] = field(default_factory=lambda: list(BOUNDS))
    model: ModelConfig = field(default_factory=ModelConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    images_per_batch: PositiveInt = 16
    device: Literal["auto", "cpu"] = "auto"
    precision: Precision = "float32"
    compiled: bool = False
    workers: NonNegativeInt = 0


def compare(config: EvaluateConfig) -> str:
    """Measure every method and bound that is not measured yet, write the folder, and return the table.

    A method's predictions are kept block by block: a killed comparison goes on where it was, with however many
    processes, and one that is asked again, for example with another `query`, asks no method again. The processes of one
    launch share the blocks; the first one writes the folder.

    Returns:
        The table; "" in all processes but the first.

    Raises:
        InputError: a method, the data or an image cannot be used, or another comparison works in the folder.
    """
    if not config.methods:
        raise InputError("the comparison names no method: give run folders or names, such as zero-shot")
    dataset = RefCOCOg(config.data, config.split, split_by=config.split_by, group_by="image")
    dataset.check_images()
    launch = join_launch(config.device)
    settings = Settings(_shared_model(config), config.proposals, config.scoring, launch.device, config.precision,
                        config.compiled)  # fmt: skip
    model = settings.model
    clip = load_clip(model.clip, settings.device, trust_checkpoint=model.trust_checkpoint)
    judge = Judge(clip, [region.category for regions in dataset.regions.values() for region in regions])
    contenders = [make_method(name, settings) for name in config.methods]
    bounds = [make_bound(name, settings) for name in config.bounds if name not in config.methods]
    names = [each.name for each in (*contenders, *bounds)]
    if len(set(names)) < len(names):
        raise InputError(f"two methods would both be called {_first_twice(names)!r}: compare them in two calls")

    with locked(config.output / "compare.lock", "comparison") if launch.is_main_process else nullcontext():
        return _measured(config, settings, dataset, clip, judge, contenders, bounds, launch)


def _measured(
    config: EvaluateConfig, settings: Settings, dataset: RefCOCOg, clip: LoadedCLIP, judge: Judge,
    contenders: Sequence[Method], bounds: Sequence[Method], launch: PartialState,
) -> str:  # fmt: skip
    """What `compare` does once everything is loaded."""
    # Batch size, device and compilation change no answer beyond rounding, but the time it takes.
    common = {"data": _identity(config.data, config.split_by), "split": config.split, "judge": clip.sha256,
              "code": code_identity(), "device": launch.device.type, "compiled": config.compiled,
              "precision": str(number_format(config.precision, launch.device)),
              "images_per_batch": int(config.images_per_batch)}  # fmt: skip
    with launch.main_process_first():  # it removes what was made from something else, before anybody adds to it
        made = {
            method.name: MadeOnce(
                config.output / "predictions" / f"{method.name}.jsonl",
                {**common, "weights": method.weights, "settings": method.made_from},
                items=len(dataset), block=block_size(config.images_per_batch), anew=True,
            )
            for method in (*contenders, *bounds)
        }  # fmt: skip
    if launch.is_main_process and not all(file.is_complete for file in made.values()):
        (config.output / "results.json").unlink(missing_ok=True)  # of other predictions, beside which it would mislead
    hidden = None if launch.is_main_process else True
    for method in tqdm([*contenders, *bounds], desc="methods", unit="method", disable=hidden):
        if not made[method.name].is_complete:
            _predict_share(method, made[method.name].blocks, dataset, judge, config, launch)
    launch.wait_for_everyone()
    if not launch.is_main_process:
        return ""
    for file in made.values():
        file.finish()
    files = {name: file.path for name, file in made.items()}
    expressions = {each.sent_id: each for each in dataset.expressions}
    summaries = {
        name: summarise(_queries(path, config.query), expressions, dataset.regions) for name, path in files.items()
    }
    first = summaries[contenders[0].name]
    results = {
        "data": str(config.data),
        "split": config.split,
        "split_by": config.split_by,
        "query": config.query,
        "images": len(dataset),
        "weights": clip.weights,
        "proposals": _proposals(settings) if any("proposals" in m.made_from for m in (*contenders, *bounds)) else "",
        "iou": IOU,
        "methods": {each.name: _compared(summaries[each.name], first) for each in contenders},
        "bounds": {each.name: _compared(summaries[each.name], first) for each in bounds},
    }
    shutil.rmtree(config.output / "coco", ignore_errors=True)
    for name, path in files.items():
        write_coco_results(config.output / "coco", name, list(read_predictions(path)))
    write_report(config.output, results, summaries, command=_command(config))
    write_results(config.output / "results.json", results)
    return f"{comparison_table(results, 'text')}\nwritten to {config.output}"


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Write results.json, whole or not at all."""
    write_whole(path, json.dumps(results, indent=2) + "\n")


def _shared_model(config: EvaluateConfig) -> ModelConfig:
    """The first run's model, so that training-free methods see the same CLIP at the same size."""
    runs = run_folders(config.methods)
    trusted = config.model.trust_checkpoint
    return read_model_config(runs[0], trust_checkpoint=trusted) if runs else config.model


def _predict_share(
    method: Method, blocks: Blocks, dataset: RefCOCOg, judge: Judge, config: EvaluateConfig, launch: PartialState
) -> None:
    """This process's share of the method's predictions, as far as it is not there."""
    process, processes = launch.process_index, launch.num_processes
    own = list(blocks.unfinished(process=process, processes=processes))
    answers = predict_blocks(method, dataset, [blocks.items_of(block) for block in own], judge=judge,
                             images_per_batch=config.images_per_batch, workers=config.workers,
                             description=share_name(method.name, process, processes),
                             hide_progress=process > 0)  # fmt: skip
    for block, of_block in zip(own, answers, strict=True):
        blocks.write(block, "".join(f"{each.to_json()}\n" for of_image in of_block for each in of_image))


def _queries(path: Path, query: str) -> list[Prediction]:
    predictions = list(read_predictions(path))
    return pool_by_ref(predictions) if query == "ref" else predictions


def _compared(summary: Summary, first: Summary) -> dict[str, Any]:
    behind = summary.behind(first) if summary is not first else {}
    return {**summary.report(), "behind": behind} if behind else summary.report()


def _identity(root: Path, split_by: str) -> dict[str, str]:
    """The annotation files by content, so that predictions of an older data set are not taken for this one's."""
    layout = find_layout(root, split_by)
    return {path.name: sha256_of(path) for path in (layout.refs_file, layout.instances_file)}


def _proposals(settings: Settings) -> str:
    return load_proposer(settings.proposals, settings.device).weights


def _command(config: EvaluateConfig) -> str:
    """The command line that asks for the same comparison: what differs from the defaults."""
    words = ["python", "evaluate.py", "compare", *config.methods]
    defaults = _flat(plain(EvaluateConfig([], Path(), Path())))
    for name, value in _flat(plain(config)).items():
        if name != "methods" and value != defaults[name]:
            words += [f"--{name}", json.dumps(value) if isinstance(value, list | tuple) else str(value)]
    return shlex.join(words)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their names on the command line: "model.clip"."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _first_twice(names: Sequence[str]) -> str:
    return next(name for index, name in enumerate(names) if name in names[:index])
