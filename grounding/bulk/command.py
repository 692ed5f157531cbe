"""`python -m grounding.bulk`: a file of requests into a file of boxes, by one process or many, killed or not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from accelerate import PartialState
from pydantic import NonNegativeInt, PositiveInt
from tqdm import tqdm

from grounding.baselines.proposal_clip import ScoringConfig
from grounding.blocks import Blocks
from grounding.bulk.outage import ErrorsInARow, errors_of, refuse_outage
from grounding.bulk.requests import RequestsFile, open_requests
from grounding.bulk.stream import AHEAD, PHRASES_AT_ONCE, READERS, Asked, GroundedImage, ground_many
from grounding.config import ModelConfig
from grounding.contenders import Settings, load_with_origin
from grounding.errors import InputError
from grounding.loading import BLIND
from grounding.made_once import MadeOnce, code_identity
from grounding.precision import Precision, number_format
from grounding.processes import join_launch, share_name
from grounding.proposals.loading import ProposalsConfig


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
        most_broken: so many in a row are taken for a disk that is gone: the work ends, and none of them is answered.
        block: images that are finished together: what is kept of work that is killed, and what processes share.
        phrases_at_once: phrases of an image that are answered together; of a large photograph fewer.
        ahead: images that are read and encoded ahead of the one that is being answered.
        readers: threads that decode images.
        process: which of the shares this process does, from 0, where several machines share a folder and nothing else.
        processes: how many shares there are then.
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
    most_broken: PositiveInt = 100
    block: PositiveInt = 64
    phrases_at_once: PositiveInt = PHRASES_AT_ONCE
    ahead: NonNegativeInt = AHEAD
    readers: PositiveInt = READERS
    process: NonNegativeInt = 0
    processes: PositiveInt = 1
    model: ModelConfig = field(default_factory=ModelConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    device: Literal["auto", "cpu"] = "auto"
    precision: Precision = "auto"
    compiled: bool = False


def ground_file(config: BulkConfig) -> str:
    """Answer the requests that are not answered yet, and return a sentence on what is there now.

    The processes of one launch share the blocks, and the first one joins them. Of machines that share nothing but a
    folder, each does the share that `process` names; a call without it does what is left, if anything, and joins.

    Returns:
        The sentence; "" in all processes of a launch but the first.

    Raises:
        InputError: the requests, the method or an image cannot be used, or the output is of something else.
    """
    launch = join_launch(config.device)
    process, processes = _share(config, launch)
    if config.output.suffix != ".jsonl":
        raise InputError(f"output is {config.output}: give a file that ends in .jsonl")
    if config.method in BLIND:
        raise InputError(f"method is {config.method!r}, which looks at no image: give a run folder, or zero-shot")
    hidden = not launch.is_main_process
    requests = open_requests(config.requests, block=config.block, hide_progress=hidden)
    settings = Settings(config.model, config.proposals, config.scoring, launch.device, config.precision,
                        config.compiled)  # fmt: skip
    grounder, made_from = load_with_origin(config.method, settings)
    with launch.main_process_first():
        file = MadeOnce(
            config.output,
            {"method": grounder.name, "weights": grounder.weights, "settings": made_from, "code": code_identity(),
             "requests": requests.sha256, "images": requests.count, "block": int(config.block),
             "phrases_at_once": int(config.phrases_at_once), "device": launch.device.type,
             "precision": str(number_format(config.precision, launch.device)), "compiled": config.compiled},
            items=requests.count, block=config.block, anew=False,
        )  # fmt: skip
    if not file.is_complete:
        _answer_share(grounder, requests, file.blocks, config, process, processes, hide_progress=hidden)
    launch.wait_for_everyone()
    if not launch.is_main_process:
        return ""
    if config.processes > 1 and not file.is_complete:
        missing = sum(1 for _ in file.blocks.unfinished())
        return (f"share {process} of {processes} is done, {missing} of {len(file.blocks)} blocks are missing; "
                "once all shares are done, the same command without --process and --processes joins them")  # fmt: skip
    if config.skip_broken and not file.is_complete:
        try:
            refuse_outage(file.blocks, config.most_broken)
        except FileNotFoundError:
            if not file.is_complete:  # else another process has looked through them, and joined them
                raise
    file.finish()
    return f"{requests.count} images, {_count_broken(config.output)} of them broken, in {config.output}"


def _share(config: BulkConfig, launch: PartialState) -> tuple[int, int]:
    """Which share of how many this process does."""
    if config.process >= config.processes:
        raise InputError(f"process is {config.process} of {config.processes} processes: they count from 0")
    if config.processes == 1:
        return launch.process_index, launch.num_processes
    if launch.num_processes > 1:
        raise InputError("processes is given to a launch of several: leave --process and --processes out")
    return config.process, config.processes


def _answer_share(
    grounder: Asked, requests: RequestsFile, blocks: Blocks, config: BulkConfig, process: int, processes: int, *,
    hide_progress: bool,
) -> None:  # fmt: skip
    own = list(blocks.unfinished(process=process, processes=processes))
    total = sum(len(blocks.items_of(block)) for block in own)
    answers = ground_many(grounder, (request for block in own for request in requests.of_block(block)),
                          ahead=config.ahead, phrases_at_once=config.phrases_at_once, readers=config.readers,
                          skip_broken=config.skip_broken)  # fmt: skip
    name = share_name(grounder.name, process, processes)
    row = ErrorsInARow(blocks, config.most_broken)
    with tqdm(total=total, desc=name, unit="image", disable=hide_progress) as bar:
        for block in own:
            # What is answered in a block then depends on no other, whoever does which.
            grounder.text.forget()
            lines: list[str] = []
            items = blocks.items_of(block)
            try:
                for answer in islice(answers, len(items)):
                    row.add(answer.error, block)
                    lines.append(_line(answer))
                    bar.update()
            except InputError as error:
                raise InputError(f"{requests.path}, line {items[len(lines)] + 1}: {error}") from error
            blocks.write(block, "".join(lines))


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
    return json.dumps(record) + "\n"


def _count_broken(path: Path) -> int:
    with path.open(encoding="utf-8") as file:
        return sum(map(bool, errors_of(file)))
