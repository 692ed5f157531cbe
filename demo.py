"""`make demo`: from nothing to a results table and pictures, on the embedded data and the embedded CLIP."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

from grounding.data.refshapes.writer import RECIPE_FILE, write_refshapes
from grounding.runtime.cli import exit_on_input_error, parse
from grounding.runtime.errors import InputError

CONFIG, FULL_CONFIG = "configs/demo.yaml", "configs/demo-full.yaml"
FEWER_IMAGES = {"train": 1600, "val": 100, "test": 300}  # the first ones of each split: what a few minutes allow
AT_FIRST = 20  # validation images of the first number


def main(*, full: bool = False) -> None:
    """Make the data, train, evaluate and draw, in the project's folder; whatever is there already is kept.

    Args:
        full: the whole of RefShapes and all bounds, in the place of what a few minutes allow.

    Raises:
        InputError: this is not the project's folder, or the run is older than its data.
    """
    config = FULL_CONFIG if full else CONFIG
    if not Path(config).is_file():
        raise InputError(f"{config} is not here: start the demo in the project's folder")
    started = time.perf_counter()
    from_file = ["--config", config]
    _announce("1/4 RefShapes, the embedded data set")
    # Scenes first: their worker processes start in a moment as long as PyTorch is not imported.
    data, images = (Path("data/refshapes"), {}) if full else (Path("data/refshapes-demo"), FEWER_IMAGES)
    write_refshapes(data, **images)

    from grounding import load
    from grounding.data.refcocog import RefCOCOg
    from grounding.evaluation.compare import EvaluateConfig
    from grounding.evaluation.evaluate import evaluate
    from grounding.methods.names import DECODER_FILE
    from grounding.training.config import TrainConfig
    from grounding.training.train import train
    from grounding.visualization.commands import VisualizeConfig, figure
    from grounding.visualization.commands import compare as side_by_side
    from grounding.visualization.report import report_comparison
    from grounding.visualization.table_formats import render
    from grounding.visualization.tables import main_table

    training = parse(TrainConfig, "train", [*from_file, "--resume", "true"])
    decoder = training.output / DECODER_FILE
    if decoder.is_file() and decoder.stat().st_mtime < (data / RECIPE_FILE).stat().st_mtime:
        raise InputError(f"{decoder} is older than {data}, which was made anew: remove {training.output} and run again")
    drawing = parse(VisualizeConfig, "visualize", from_file)
    untrained = load("yolo-clip", model=training.model)
    few = RefCOCOg(data, "val", group_by="image", subset=min(AT_FIRST, images["val"]))
    accuracy = evaluate(untrained, few, description="a first number")["acc@0.5"]
    (picture,) = side_by_side(replace(drawing, methods=["zero-shot", "yolo-clip"], model=training.model, split="val"))
    print(f"before any training, YOLO + CLIP: Acc@0.5 {accuracy:.2f} on {len(few)} images of val; {picture}")

    _announce("2/4 Training the decoder on the frozen embedded CLIP")
    train(training)

    evaluation = parse(EvaluateConfig, "evaluate", from_file)
    results = evaluation.output / "results.json"
    _announce("3/4 Our method and training-free ones on the whole test split")
    report_comparison(evaluation)

    _announce("4/4 Pictures")
    pictures = figure(drawing) + side_by_side(replace(drawing, methods=evaluation.methods))

    print(f"\n{render(main_table(json.loads(results.read_text())), 'text')}\n")
    if training.start_from is not None:
        print(f"{training.output.name} started from {training.start_from!r}, trained on scenes of another seed.\n")
    print(f"data set     {data}")
    print(f"run          {training.output}  (grounding.load({str(training.output)!r}))")
    print(f"results      {results}, {evaluation.output / 'predictions'}, {evaluation.output / 'tables'}")
    print(f"report       {evaluation.output / 'report.html'}")
    print(f"pictures     {', '.join(map(str, pictures))}")
    print(f"web page     python visualize.py serve {training.output}")
    print(f"took         {time.perf_counter() - started:.0f} seconds")


def _announce(step: str) -> None:
    print(f"\n== {step}", flush=True)


if __name__ == "__main__":
    with exit_on_input_error():
        parser = ArgumentParser(prog="python demo.py", description="Make the data, train, evaluate and draw.")
        parser.add_argument("--full", action="store_true", help="all of RefShapes and all bounds")
        main(full=parser.parse_args().full)
