"""The three kinds of work that may be interrupted, small: what starts or goes on with each, and what its result is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from grounding.data.refshapes.writer import write_refshapes
from grounding.runtime.files import sha256_of

IMAGES = {"train": 24, "val": 4, "test": 24}
SMALL = ["--model.model_size", 64, "--model.decoder.width", 16, "--model.decoder.blocks", 1]


@dataclass(frozen=True)
class Work:
    """One kind.

    Attributes:
        name: in the table.
        command: from the data folder and the output folder to the words of the command, which is the same when the work
            is gone on with.
        result: from the output folder to what counts of it, by name.
        compared: what that is, in words.
    """

    name: str
    command: Callable[[Path, Path], list[object]]
    result: Callable[[Path], dict[str, str]]
    compared: str


def write_data(folder: Path) -> Path:
    """The small data set, with a file of bulk requests beside it; returns its root."""
    root = folder / "data"
    write_refshapes(root, **IMAGES)
    images = sorted((root / "images").iterdir())
    requests = [{"image": str(path), "phrases": ["the red circle", "the blue one"]} for path in images]
    (folder / "requests.jsonl").write_text("".join(json.dumps(each) + "\n" for each in requests), encoding="utf-8")
    return root


def left_over(output: Path) -> list[Path]:
    """What finished work should not have left: halves, and blocks that were joined."""
    return [
        path
        for path in output.rglob("*")
        if ".part" in path.name or path.suffix == ".unfinished" or path.name == "unfinished"
    ]


def _train(data: Path, output: Path) -> list[object]:
    return ["train.py", "--data", data, "--output", output / "run", "--resume", "true", "--epochs", 2, *SMALL,
            "--images_per_batch", 4, "--save_every", 1, "--device", "cpu"]  # fmt: skip


def _trained(output: Path) -> dict[str, str]:
    run = output / "run"
    state = torch.load(max((run / "states").iterdir()), weights_only=True)
    found = {f"{part} {name}": value.numpy().tobytes().hex() for part in ("weights", "mean")
             for name, value in state[part].items()}  # fmt: skip
    return found | {
        "decoder": sha256_of(run / "decoder.safetensors"),
        "metrics": (run / "metrics.jsonl").read_text(encoding="utf-8"),
    }


def _bulk(data: Path, output: Path) -> list[object]:
    return ["-m", "grounding.deployment.bulk", "--method", "refshapes", "--requests",
            data.parent / "requests.jsonl", "--output", output / "boxes.jsonl", "--block", 2,
            "--device", "cpu", "--precision", "float32"]  # fmt: skip


def _answered(output: Path) -> dict[str, str]:
    lines = (output / "boxes.jsonl").read_text(encoding="utf-8").splitlines()
    return {f"line {number}": line for number, line in enumerate(lines)}


def _compare(data: Path, output: Path) -> list[object]:
    return ["evaluate.py", "compare", "refshapes", "zero-shot", "--bounds", '["centred-box"]', "--data", data,
            "--output", output / "test", "--images_per_batch", 2, "--device", "cpu"]  # fmt: skip


def _compared(output: Path) -> dict[str, str]:
    found = {}
    for path in sorted((output / "test" / "predictions").glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            found[f"{path.name} {number}"] = json.dumps({**json.loads(line), "seconds": 0})
    results = json.loads((output / "test" / "results.json").read_text(encoding="utf-8"))
    for kind in ("methods", "bounds"):
        for record in results[kind].values():
            record.pop("seconds")
    return found | {"results.json": json.dumps(results)}


WORKS = (
    Work("training", _train, _trained, "weights of the last step and of the best epoch, their mean and measures"),
    Work("bulk grounding", _bulk, _answered, "every line of boxes, in order"),
    Work("compare", _compare, _compared, "every prediction but for its time, and every measure"),
)
