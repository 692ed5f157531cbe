"""`python -m grounding.deployment.bulk --method METHOD --requests FILE --output FILE`: many images, boxes only.

One machine works through a file of requests, and takes up after a kill where it was; with `--ray` several share folders
of them (`ray_bulk`).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal

from pydantic import PositiveInt
from tqdm import tqdm

from grounding.clip.precision import Precision, number_format, precision_name
from grounding.deployment.requests import Line, Words, read_requests, request_lines
from grounding.errors import InputError
from grounding.evaluation.registry import MethodSettings, code_identity, load_method, origin_of
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import shared_model
from grounding.methods.names import BLIND
from grounding.methods.own import OwnGrounder
from grounding.methods.proposals import ProposalsConfig
from grounding.methods.stream import READERS, EncodeOnceGrounder, GroundedImage, Request, ground_many
from grounding.methods.yolo_clip import ScoringConfig, YOLOCLIPGrounder
from grounding.runtime.cli import exit_on_input_error, parse
from grounding.runtime.config_io import plain, refuse_wrong_values
from grounding.runtime.distributed import join_launch, refuse_several
from grounding.runtime.files import locked
from grounding.runtime.shards import ShardedFile


@dataclass(frozen=True)
class BulkConfig:
    """Ground the phrases of many images.

    Attributes:
        method: the folder of a training run, "refshapes", "zero-shot", "gradcam", "yolo-clip", "reclip", a CLIP's name
            or file, or "package.module:Class" of a method of your own.
        requests: JSON Lines file, an object with "image" and "phrases" a line, and "key" if the answer is to be called
            otherwise than the image; a path is relative to the file's own folder. With `ray`, such a file, CSV,
            Parquet, a .tar of WebDataset, or a folder of any of these, on this machine, s3:// or gs://.
        output: file ending in .jsonl for the answers, one a line, in the order of the requests; with `ray`, a folder.
        skip_broken: whether an image or a phrase that cannot be used gets a line with an "error", instead of ending
            the work; with `ray` it always does.
        block: images whose answers are kept together: a kill loses no more.
        ray: "local" for processes of this machine, "auto" or HOST:PORT for the machines of a Ray cluster.
        workers: processes of `ray`; one for each GPU, or where there is none each core, unless it is given.
        phrases: what to look for in images that come without phrases, such as those of a folder.
        readers: threads of a process that read and decode images.
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
    ray: str | None = None
    workers: PositiveInt | None = None
    phrases: list[Words] = field(default_factory=list)
    readers: PositiveInt = READERS
    model: ModelConfig = field(default_factory=ModelConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    device: Literal["auto", "cpu"] = "auto"
    precision: Precision = "auto"
    compiled: bool = False


def ground_file(config: BulkConfig) -> str:
    """Answer the requests that are not answered yet, and return a sentence on what is there now.

    Every line of the requests is checked first, so that hours of work do not end on a typing error.

    Raises:
        InputError: the requests, the method or an image cannot be used, the output is of something else, or another
            process works on it.
    """
    refuse_wrong_values(config)
    refuse_several("python -m grounding.deployment.bulk")
    if config.output.suffix != ".jsonl":
        raise InputError(f"output is {config.output}: give a file that ends in .jsonl")
    if not config.requests.is_file():
        raise InputError(f"there is no file of requests {config.requests}: write one, with a JSON object a line")
    requests = config.requests.read_bytes()  # once: a file that is edited meanwhile is not half taken for another
    lines = request_lines(config.requests, requests)
    images = sum(1 for _ in read_requests(config.requests, lines, config.phrases))
    if not images:
        raise InputError(f"{config.requests} is empty: write a JSON object with image and phrases on each line")
    grounder, made_from = grounder_of(config)
    origin = made_from | {"requests": hashlib.sha256(requests).hexdigest(), "images": images}
    with locked(config.output.with_suffix(".lock"), f"grounding of {config.output.name}"):
        file = ShardedFile(config.output, origin, blocks=-(-images // config.block), replace=False)
        if not file.is_complete:
            _answer(grounder, config, file, lines)
            file.finish()
    with config.output.open(encoding="utf-8") as answers:
        broken = sum('"error"' in line and "error" in json.loads(line) for line in answers)
    return f"{images} images, {broken} of them broken, in {config.output}"


def grounder_of(config: BulkConfig) -> tuple[EncodeOnceGrounder, dict[str, Any]]:
    """The method, and all that its answers depend on beside the requests.

    Raises:
        InputError: it looks at no image, or as `grounding.load`.
    """
    if config.method in BLIND:
        raise InputError(f"method is {config.method!r}, which looks at no image: give a run folder, or zero-shot")
    device = join_launch(config.device).device
    model = shared_model([config.method], config.model)
    settings = MethodSettings(model, config.proposals, config.scoring, device, config.precision, config.compiled)
    grounder = load_method(config.method, settings)
    made_from = origin_of(grounder, config.method, settings)
    assert isinstance(grounder, DenseGrounder | YOLOCLIPGrounder | OwnGrounder)  # all that look at images
    return grounder, {"method": grounder.name, "weights": grounder.weights, "settings": made_from,
                      "code": code_identity(), "block": int(config.block), "phrases": plain(config.phrases),
                      "device": device.type, "precision": precision_name(number_format(config.precision, device)),
                      "compiled": config.compiled}  # fmt: skip


def _answer(grounder: EncodeOnceGrounder, config: BulkConfig, file: ShardedFile, requests: Sequence[Line]) -> None:
    """Make the blocks that are not there: one process makes them in their order, so those are the last ones."""
    blocks = file.unfinished()
    done = blocks[0] * config.block if blocks else len(requests)
    left = read_requests(config.requests, requests[done:], config.phrases)
    answers = answer_lines(grounder, left, config, skip_broken=config.skip_broken)
    with tqdm(initial=done, total=len(requests), desc=grounder.name, unit="image") as bar:
        for block in blocks:
            lines: list[str] = []
            try:
                for line in islice(answers, config.block):
                    lines.append(line)
                    bar.update()
            except InputError as error:
                raise InputError(f"{config.requests}, line {requests[int(bar.n)][0]}: {error}") from error
            file.append(block, lines)


def answer_lines(
    grounder: EncodeOnceGrounder, requests: Iterable[Request], config: BulkConfig, *, skip_broken: bool
) -> Iterator[str]:
    """The answers to requests as lines of JSON; what is answered in a block depends on no other, to the last bit.

    Args:
        grounder: the method.
        requests: from the beginning of a block on.
        config: of the command.
        skip_broken: as for `ground_many`.

    Raises:
        InputError: as `ground_many`.
    """
    answers = ground_many(grounder, requests, ahead=2 * config.readers, readers=config.readers, skip_broken=skip_broken)
    for number in count():
        if number % config.block == 0 and grounder.text is not None:
            grounder.text.forget()
        answer = next(answers, None)
        if answer is None:
            return
        yield json.dumps(record_of(answer))


def record_of(answer: GroundedImage) -> dict[str, Any]:
    """An answer as it is written: boxes to a thousandth of a pixel; presence only where it is a probability."""
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
                "found": each.found,
                "presence": round(each.presence, 5) if each.calibrated else None,
            }
            for each in answer.phrases
        ]
        record |= {"width": answer.width, "height": answer.height, "answers": answers}
        record |= {"warning": answer.warning} if answer.warning else {}
    return record


def _ground_shards(config: BulkConfig) -> str:
    try:
        from grounding.deployment.ray_bulk import ground_shards  # which imports this file
    except ImportError as error:
        raise InputError(f"--ray needs what is not here ({error}): pip install -r requirements-ray.txt") from error
    return ground_shards(config)


def main(arguments: Sequence[str]) -> None:
    """The command line, without the program's name."""
    with exit_on_input_error():
        config = parse(BulkConfig, "-m grounding.deployment.bulk", arguments, section="bulk")
        print(ground_file(config) if config.ray is None else _ground_shards(config))


if __name__ == "__main__":
    main(sys.argv[1:])
