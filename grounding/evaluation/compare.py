"""`evaluate.py compare`: methods and bounds on the same examples, one folder with all that can be said of them."""

from __future__ import annotations

import json
import shlex
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from accelerate import PartialState
from jsonargparse.typing import NonNegativeInt, PositiveInt
from tqdm import tqdm

from grounding.clip.backbone import LoadedCLIP, load_clip
from grounding.clip.precision import Precision, number_format
from grounding.data.annotations import find_layout
from grounding.data.refcocog import RefCOCOg
from grounding.digest import sha256_of
from grounding.errors import InputError
from grounding.evaluation.aggregate_by_ref import aggregate_by_ref
from grounding.evaluation.clip_similarity import CLIPSimilarity
from grounding.evaluation.coco_results import write_coco_results
from grounding.evaluation.evaluate import EvaluatedMethod, block_size, predict_blocks
from grounding.evaluation.predictions import Prediction, read_predictions
from grounding.evaluation.registry import BOUNDS, MethodSettings, code_identity, make_bound, make_method
from grounding.evaluation.summary import Summary, summarise
from grounding.lock import locked
from grounding.methods.config import ModelConfig
from grounding.methods.load import read_model_config, run_folders
from grounding.methods.proposal_clip import ScoringConfig
from grounding.methods.proposals.loading import ProposalsConfig, load_proposer
from grounding.plain import plain
from grounding.runtime.distributed import failing_together, join_launch, share_name, sharing
from grounding.runtime.shards import ShardedFile
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


@dataclass(frozen=True)
class Comparison:
    """What a comparison has measured.

    Attributes:
        results: what results.json holds.
        summaries: method -> its measured answers.
    """

    results: dict[str, Any]
    summaries: dict[str, Summary]


def compare(config: EvaluateConfig) -> Comparison | None:
    """Measure every method and bound that is not measured yet, and write predictions and results.json.

    A method's predictions are kept block by block: a killed comparison goes on where it was, with however many
    processes, and one that is asked again, for example with another `query`, asks no method again. The processes of one
    launch share the blocks; the first one writes the folder.

    Returns:
        What was measured; None in all processes but the first.

    Raises:
        InputError: a method, the data or an image cannot be used, or another comparison works in the folder.
    """
    if not config.methods:
        raise InputError("the comparison names no method: give run folders or names, such as zero-shot")
    dataset = RefCOCOg(config.data, config.split, split_by=config.split_by, group_by="image")
    dataset.check_images()
    launch = join_launch(config.device)
    model = _shared_model(config)
    settings = MethodSettings(model, config.proposals, config.scoring, launch.device, config.precision,
                              config.compiled)  # fmt: skip
    clip = load_clip(model.clip, launch.device, trust_checkpoint=model.trust_checkpoint)
    methods = [make_method(name, settings) for name in config.methods]
    bounds = [make_bound(name, settings) for name in config.bounds if name not in config.methods]
    twice = [name for name, count in Counter(each.name for each in (*methods, *bounds)).items() if count > 1]
    if twice:
        raise InputError(f"two methods would both be called {twice[0]!r}: compare them in two calls")

    with ExitStack() as held:
        with failing_together():
            if launch.is_main_process:
                held.enter_context(locked(config.output / "compare.lock", "comparison"))
        files = _predict(config, [*methods, *bounds], dataset, clip, launch)
        if not launch.is_main_process:
            return None
        expressions = {each.sent_id: each for each in dataset.expressions}
        summaries = {
            name: summarise(_queries(path, config.query), expressions, dataset.regions) for name, path in files.items()
        }
        first = summaries[methods[0].name]
        has_proposals = any("proposals" in each.made_from for each in (*methods, *bounds))
        results = {
            "data": str(config.data),
            "split": config.split,
            "split_by": config.split_by,
            "query": config.query,
            "images": len(dataset),
            "weights": clip.weights,
            "proposals": load_proposer(config.proposals, launch.device).weights if has_proposals else "",
            "iou": IOU,
            "methods": {each.name: _compared(summaries[each.name], first) for each in methods},
            "bounds": {each.name: _compared(summaries[each.name], first) for each in bounds},
        }
        shutil.rmtree(config.output / "coco", ignore_errors=True)
        for name, path in files.items():
            write_coco_results(config.output / "coco", name, list(read_predictions(path)))
        write_results(config.output / "results.json", results)
    return Comparison(results, summaries)


def _predict(
    config: EvaluateConfig, methods: Sequence[EvaluatedMethod], dataset: RefCOCOg, clip: LoadedCLIP,
    launch: PartialState,
) -> dict[str, Path]:  # fmt: skip
    """Every method's file of predictions, complete in the main process; what is there is not made again."""
    size = block_size(config.images_per_batch)
    layout = find_layout(config.data, config.split_by)
    # The annotations by content: predictions of an older data set are not taken for this one's.
    annotations = {path.name: sha256_of(path) for path in (layout.refs_file, layout.instances_file)}
    # Batch size, device and compilation change no answer beyond rounding, but the time it takes.
    common = {"data": annotations, "split": config.split, "similarity": clip.sha256,
              "code": code_identity(), "device": launch.device.type, "compiled": config.compiled,
              "precision": str(number_format(config.precision, launch.device)),
              "images_per_batch": int(config.images_per_batch)}  # fmt: skip
    files: list[ShardedFile] = []
    for mine in (launch.is_main_process, not launch.is_main_process):
        with (
            failing_together()
        ):  # the main process removes what was made from something else, before anybody adds to it
            if mine:
                files = [
                    ShardedFile(config.output / "predictions" / f"{method.name}.jsonl",
                                {**common, "weights": method.weights, "settings": method.made_from},
                                blocks=-(-len(dataset) // size), replace=True)
                    for method in methods
                ]  # fmt: skip
                if launch.is_main_process and not all(file.is_complete for file in files):
                    # It is of other predictions, beside which it would mislead.
                    (config.output / "results.json").unlink(missing_ok=True)
    categories = [region.category for regions in dataset.regions.values() for region in regions]
    similarity = CLIPSimilarity(clip, categories)
    process, processes = launch.process_index, launch.num_processes
    bar = tqdm(zip(methods, files, strict=True), desc="methods", unit="method", total=len(methods), disable=process > 0)
    with sharing() as look:
        for method, file in bar:
            if file.is_complete:
                continue
            own = file.unfinished(process, processes)
            ranges = [range(block * size, min((block + 1) * size, len(dataset))) for block in own]
            answers = predict_blocks(method, dataset, ranges, similarity=similarity, workers=config.workers,
                                     images_per_batch=config.images_per_batch, hide_progress=process > 0,
                                     description=share_name(method.name, process, processes))  # fmt: skip
            for block, of_block in zip(own, answers, strict=True):
                file.append(block, [each.to_json() for of_image in of_block for each in of_image], process=process)
                look()
    with failing_together():
        if launch.is_main_process:
            for file in files:
                if not file.is_complete:
                    file.finish()
    return {method.name: file.path for method, file in zip(methods, files, strict=True)}


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Write results.json, whole or not at all."""
    write_whole(path, json.dumps(results, indent=2) + "\n")


def _shared_model(config: EvaluateConfig) -> ModelConfig:
    """The first run's model, so that training-free methods see the same CLIP at the same size."""
    runs = run_folders(config.methods)
    trusted = config.model.trust_checkpoint
    return read_model_config(runs[0], trust_checkpoint=trusted) if runs else config.model


def _queries(path: Path, query: str) -> list[Prediction]:
    predictions = list(read_predictions(path))
    return aggregate_by_ref(predictions) if query == "ref" else predictions


def _compared(summary: Summary, first: Summary) -> dict[str, Any]:
    behind = summary.behind(first) if summary is not first else {}
    return {**summary.report(), "behind": behind} if behind else summary.report()


def command_of(config: EvaluateConfig) -> str:
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
