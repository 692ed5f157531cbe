"""`python -m grounding.deployment.bulk`: a file of requests into a file of boxes, resumed after a kill."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt
from tqdm import tqdm

from grounding.clip.precision import Precision, number_format, precision_name
from grounding.deployment.bulk.requests import RequestsFile, open_requests
from grounding.errors import InputError
from grounding.evaluation.registry import MethodSettings, code_identity, load_with_origin
from grounding.methods.config import ModelConfig
from grounding.methods.load import BLIND
from grounding.methods.proposal_clip import ScoringConfig
from grounding.methods.proposals.loading import ProposalsConfig
from grounding.methods.stream import AHEAD, PHRASES_AT_ONCE, READERS, EncodeOnceGrounder, GroundedImage, ground_many
from grounding.runtime.distributed import join_launch, refuse_several
from grounding.runtime.files import locked
from grounding.runtime.shards import ShardedFile


@dataclass(frozen=True)
class BulkConfig:
    """Ground the phrases of many images.

    Attributes:
        method: the folder of a training run, "refshapes", "zero-shot", "gradcam", "yolo-clip" or "reclip".
        requests: JSON Lines file, an object with "image" and "phrases" a line, and "key" if the answer is to be called
            otherwise than the image; a path is relative to the file's own folder.
        output: file ending in .jsonl for the answers, one a line, in the order of the requests.
        skip_broken: whether an image or a phrase that cannot be used gets a line with an "error", instead of ending
            the work.
        block: images whose answers are kept together: a kill loses no more.
        phrases_at_once: phrases of an image that are answered together; of a large photograph fewer.
        ahead: images that are read and encoded ahead of the one that is being answered.
        readers: threads that decode images.
        model: the CLIP and its input size where the method is no run.
        proposals: the detector of "yolo-clip" and "reclip".
        scoring: how CLIP looks at proposals.
        device: "auto" (a GPU if there is one) or "cpu".
        precision: "float32", "bfloat16", or "auto": the latter where the device multiplies it natively.
        compiled: whether the image tower is compiled for this machine first, which pays for thousands of images.
    """

    method: str
    requests: Path
    output: Path
    skip_broken: bool = False
    block: PositiveInt = 64
    phrases_at_once: PositiveInt = PHRASES_AT_ONCE
    ahead: NonNegativeInt = AHEAD
    readers: PositiveInt = READERS
    model: ModelConfig = field(default_factory=ModelConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    device: Literal["auto", "cpu"] = "auto"
    precision: Precision = "auto"
    compiled: bool = False


def ground_file(config: BulkConfig) -> str:
    """Answer the requests that are not answered yet, and return a sentence on what is there now.

    Raises:
        InputError: the requests, the method or an image cannot be used, the output is of something else, or another
            process works on it.
    """
    refuse_several("python -m grounding.deployment.bulk")
    if config.output.suffix != ".jsonl":
        raise InputError(f"output is {config.output}: give a file that ends in .jsonl")
    if config.method in BLIND:
        raise InputError(f"method is {config.method!r}, which looks at no image: give a run folder, or zero-shot")
    requests = open_requests(config.requests)
    device = join_launch(config.device).device
    settings = MethodSettings(config.model, config.proposals, config.scoring, device, config.precision, config.compiled)
    grounder, made_from = load_with_origin(config.method, settings)
    origin = {"method": grounder.name, "weights": grounder.weights, "settings": made_from, "code": code_identity(),
              "requests": requests.sha256, "images": requests.count, "block": int(config.block),
              "phrases_at_once": int(config.phrases_at_once), "device": device.type,
              "precision": precision_name(number_format(config.precision, device)),
              "compiled": config.compiled}  # fmt: skip
    with locked(config.output.with_suffix(".lock"), f"grounding of {config.output.name}"):
        blocks = -(-requests.count // config.block)
        file = ShardedFile(config.output, origin, blocks=blocks, replace=False)
        if not file.is_complete:
            _answer(grounder, requests, file, config)
            file.finish()
    return f"{requests.count} images, {_count_broken(config.output)} of them broken, in {config.output}"


def _answer(grounder: EncodeOnceGrounder, requests: RequestsFile, file: ShardedFile, config: BulkConfig) -> None:
    """Make the blocks that are not there: one process makes them in their order, so those are the last ones."""
    blocks = file.unfinished()
    number = blocks[0] * config.block if blocks else requests.count
    answers = ground_many(grounder, requests.read(number), ahead=config.ahead, skip_broken=config.skip_broken,
                          phrases_at_once=config.phrases_at_once, readers=config.readers)  # fmt: skip
    with tqdm(initial=number, total=requests.count, desc=grounder.name, unit="image") as bar:
        for block in blocks:
            grounder.text.forget()  # what is answered in a block then depends on no other, to the last bit
            lines: list[str] = []
            try:
                for answer in islice(answers, config.block):
                    lines.append(_line(answer))
                    number += 1
                    bar.update()
            except InputError as error:
                requests.refuse_change()
                raise InputError(f"{requests.path}, line {number + 1}: {error}") from error
            requests.refuse_change()
            file.append(block, lines)


def _line(answer: GroundedImage) -> str:
    record: dict[str, Any] = {"key": answer.key}
    if answer.error:
        record["error"] = answer.error
    else:
        answers = [
            {
                "phrase": each.phrase,
                "boxes_xyxy": [[round(float(edge), 3) for edge in box] for box in each.boxes_xyxy],
                "scores": [round(float(score), 5) for score in each.scores],
                "point_xy": each.point_xy,
            }
            for each in answer.phrases
        ]
        record |= {"width": answer.width, "height": answer.height, "answers": answers}
    return json.dumps(record)


def _count_broken(path: Path) -> int:
    with path.open(encoding="utf-8") as file:
        return sum('"error"' in line and "error" in json.loads(line) for line in file)
