"""`python -m grounding.deployment.bulk --method METHOD --requests FILE --output FILE`: many images, boxes only.

One machine works through a file of requests, and takes up after a kill where it was; with `--ray` several machines
share a folder of them (`ray_bulk`).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, StringConstraints
from tqdm import tqdm

from grounding.clip.precision import Precision, number_format, precision_name
from grounding.evaluation.registry import MethodSettings, code_identity, load_method, origin_of
from grounding.methods.config import ModelConfig
from grounding.methods.grounder import EncodingGrounder
from grounding.methods.load import shared_model
from grounding.methods.proposals import ProposalsConfig
from grounding.methods.stream import READERS, GroundedImage, Request, ground_many
from grounding.runtime.cli import exit_on_input_error, parse
from grounding.runtime.config_io import from_plain, refuse_wrong_values
from grounding.runtime.distributed import join_launch
from grounding.runtime.errors import InputError
from grounding.runtime.files import decode_text, locked, numbered_lines
from grounding.runtime.launch import refuse_several
from grounding.runtime.resumable import ResumableFile

Line = tuple[int, str]  # with its number in the file
Words = Annotated[str, StringConstraints(pattern=r"\S")]


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
        workers: at most so many processes of `ray`; one for each GPU, or where there is none each core, unless given.
        readers: threads that decode images.
        model: the CLIP and its input size where the method is no run.
        proposals: the detector of "yolo-clip" and "reclip".
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
    readers: PositiveInt = READERS
    model: ModelConfig = field(default_factory=ModelConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    device: Literal["auto", "cpu"] = "auto"
    precision: Precision = "auto"
    compiled: bool = False


@dataclass(frozen=True)
class RequestLine:
    """A line of the requests: an image's path, what to look for in it, and what to call the answer if not the path."""

    image: Words
    phrases: Annotated[list[Words], Field(min_length=1)]
    key: str | None = None


def ground_file(config: BulkConfig) -> str:
    """Answer the requests that are not answered yet, and return a sentence on what is there now. Every line is checked
    first, so that hours of work do not end on a typing error."""
    refuse_wrong_values(config)
    if config.output.suffix != ".jsonl":
        raise InputError(f"output is {config.output}: give a file that ends in .jsonl")
    if not config.requests.is_file():
        raise InputError(f"there is no file of requests {config.requests}: write one, with a JSON object a line")
    requests = config.requests.read_bytes()  # once: a file that is edited meanwhile is not half taken for another
    lines = request_lines(config.requests, requests)
    count = sum(1 for _ in read_requests(config.requests, lines))
    if not count:
        raise InputError(f"{config.requests} is empty: write a JSON object with image and phrases on each line")
    grounder, made_from = grounder_of(config)
    origin = made_from | {"requests": hashlib.sha256(requests).hexdigest(), "images": count}
    with locked(config.output.with_suffix(".lock"), f"grounding of {config.output.name}"):
        file = ResumableFile(config.output, origin, items=count, block=config.block, replace=False)
        if not file.is_complete:
            file.fill(_answered_blocks(grounder, config, file.unfinished(), lines))
    with config.output.open(encoding="utf-8") as answers:
        broken = sum('"error"' in line and "error" in json.loads(line) for line in answers)
    return f"{count} images, {broken} of them broken, in {config.output}"


def grounder_of(config: BulkConfig) -> tuple[EncodingGrounder, dict[str, Any]]:
    """The method, and all that its answers depend on beside the requests."""
    device = join_launch(config.device).device
    model = shared_model([config.method], config.model)
    settings = MethodSettings(model, config.proposals, device, config.precision, config.compiled)
    grounder = load_method(config.method, settings)
    made_from = origin_of(grounder, config.method, settings)
    return grounder, {"method": grounder.name, "weights": grounder.weights, "settings": made_from,
                      "code": code_identity(), "block": int(config.block), "device": device.type,
                      "precision": precision_name(number_format(config.precision, device)),
                      "compiled": config.compiled}  # fmt: skip


def _answered_blocks(
    grounder: EncodingGrounder, config: BulkConfig, blocks: Sequence[range], requests: Sequence[Line]
) -> Iterator[list[str]]:
    """The answers of those blocks of requests, the last ones, a line each."""
    done = blocks[0].start if blocks else len(requests)
    left = read_requests(config.requests, requests[done:])
    answers = ground_many(grounder, left, skip_broken=config.skip_broken, readers=config.readers)
    with tqdm(initial=done, total=len(requests), desc=grounder.name, unit="image") as bar:
        for _ in blocks:
            if grounder.text is not None:
                grounder.text.forget()  # what is answered in a block then depends on no other, to the last bit
            lines: list[str] = []
            try:
                for answer in islice(answers, config.block):
                    lines.append(json.dumps(record_of(answer)))
                    done += 1
                    bar.update()
            except InputError as error:
                raise InputError(f"{config.requests}, line {requests[done][0]}: {error}") from error
            yield lines


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


def request_lines(path: Path, content: bytes) -> list[Line]:
    """The lines of a file of requests, without blank ones."""
    try:
        return list(numbered_lines(decode_text(content)))
    except ValueError as error:
        raise InputError(f"{path} is no UTF-8 text ({error}): save it as UTF-8") from error


def read_requests(path: Path, lines: Iterable[Line]) -> Iterator[Request]:
    """What each line of a file of requests asks; images that are no absolute paths lie beside the file."""
    for number, line in lines:
        asked = asked_by(line, f"{path}, line {number}")
        yield Request(asked.image if asked.key is None else asked.key, path.parent / asked.image, asked.phrases)


def asked_by(record: Any, where: str) -> RequestLine:
    """A request as JSON, or as the values that JSON stands for; `where` names it in the error."""
    try:
        return from_plain(json.loads(record) if isinstance(record, str) else record, RequestLine, extra="ignore")
    except (ValueError, RecursionError) as error:
        example = '{"image": "a.jpg", "phrases": ["the dog"]}'
        raise InputError(f"{where}, cannot be used ({error}): write {example}") from error


def main(arguments: Sequence[str]) -> None:
    """The command line, without the program's name."""
    with exit_on_input_error():
        config = parse(BulkConfig, "-m grounding.deployment.bulk", arguments, section="bulk")
        refuse_several("python -m grounding.deployment.bulk")
        if config.ray is None:
            print(ground_file(config))
            return
        try:
            from grounding.deployment.ray_bulk import ground_shards  # which imports this file
        except ImportError as error:
            raise InputError(f"--ray needs what is not here ({error}): pip install -r requirements-ray.txt") from error
        print(ground_shards(config))


if __name__ == "__main__":
    main(sys.argv[1:])
