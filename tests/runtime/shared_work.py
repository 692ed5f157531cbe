"""What `torchrun` has two processes do together in tests/runtime/test_distributed.py, and the test itself alone."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from grounding import ModelConfig, RefCOCOg, load
from grounding.evaluation.compare import EvaluateConfig
from grounding.evaluation.evaluate import evaluate
from grounding.runtime import cli
from grounding.visualization import report

METHODS, BOUNDS = ["zero-shot", "yolo-clip"], ["random-proposal", "annotated-clip"]


def evaluation(folder: Path, output: Path) -> EvaluateConfig:
    """A comparison on folder/data with folder/clip.pt, at two images a batch of 16."""
    return EvaluateConfig(METHODS, folder / "data", output, bounds=BOUNDS, model=_model(folder), device="cpu")


def work(folder: Path, output: Path) -> list[Any]:
    """Compare and evaluate; returns what each of them says."""
    table = report.report_comparison(evaluation(folder, output))
    dataset = RefCOCOg(folder / "data", "test", group_by="image")
    measures = evaluate(load("zero-shot", model=_model(folder)), dataset)
    return [table, measures]


def _model(folder: Path) -> ModelConfig:
    return ModelConfig(clip=str(folder / "clip.pt"), model_size=64)


if __name__ == "__main__":
    cli.SECONDS_FOR_THE_FIRST = 2  # not to let a test wait
    report.draw_plots = lambda *_: {}
    place, results = Path(sys.argv[1]), Path(sys.argv[2])
    with cli.exit_on_input_error():
        said = work(place, results)
    (results / f"said{os.environ['RANK']}.json").write_text(json.dumps(said))
