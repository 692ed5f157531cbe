"""The fast setting beside the usual one: `python -m benchmarks.fast`, on an idle machine.

The shipped decoder, `grounding.load("refshapes", fast=True)`, on the first images of the validation split of RefShapes:
time of an image with its phrases, and the share of phrases that each finds.
"""

from __future__ import annotations

from functools import partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import Finding, report, run, take_turns
from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.writer import write_refshapes
from grounding.evaluation.evaluate import evaluate
from grounding.methods.grounder import Grounder
from grounding.methods.load import FAST_SIZE, load
from grounding.types import Example, Grounding

COMMAND = "python -m benchmarks.fast"


def main(images: int = 100) -> None:
    """Measure and report.

    Args:
        images: of the validation split.
    """
    grounders = {"usual": load("refshapes"), "fast": load("refshapes", fast=True)}
    with TemporaryDirectory() as folder:
        root = Path(folder) / "refshapes"
        write_refshapes(root, train=0, val=images, test=0)
        dataset = RefCOCOg(root, "val", group_by="image")
        accuracy = {name: evaluate(each, dataset)["acc@0.5"] for name, each in grounders.items()}
        examples = [dataset[index] for index in range(len(dataset))]
    turns = {name: map(partial(answers, each), cycle(examples)) for name, each in grounders.items()}
    seconds = take_turns({name: partial(next, turn) for name, turn in turns.items()}, rounds=20)
    detail = (f"{images} images of RefShapes at {FAST_SIZE} pixels: Acc@0.5 {accuracy['fast']:.3f} in "
              f"{1e3 * seconds['fast']:.0f} ms an image with its phrases, else {accuracy['usual']:.3f} in "
              f"{1e3 * seconds['usual']:.0f} ms")  # fmt: skip
    report([Finding("fast.times_as_fast", seconds["usual"] / seconds["fast"], None, True, detail),
            Finding("fast.acc_moved", accuracy["fast"] - accuracy["usual"], None, True, detail)],
           command=COMMAND)  # fmt: skip


def answers(grounder: Grounder, example: Example) -> list[Grounding]:
    """To all phrases of an image."""
    return grounder.ground(example.image, example.phrases)


if __name__ == "__main__":
    run(main)
