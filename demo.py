"""`make demo`: from nothing to a results table and pictures, on the embedded data and the embedded CLIP."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

from grounding.data.refshapes.writer import IMAGES, RECIPE_FILE, write_refshapes
from grounding.errors import InputError
from grounding.runtime.cli import exit_on_input_error, parse

CONFIG = "configs/demo.yaml"


def main() -> None:
    """Make the data, train, evaluate and draw, in the project's folder; whatever is there already is kept."""
    if not Path(CONFIG).is_file():
        raise InputError(f"{CONFIG} is not here: start the demo in the project's folder")
    started = time.perf_counter()
    _announce("1/4 RefShapes, the embedded data set")
    from_file = ["--config", CONFIG]
    # Scenes first: their worker processes start in a moment as long as PyTorch is not imported.
    data = Path("data/refshapes")
    write_refshapes(data, IMAGES)

    from grounding.evaluation.compare import EvaluateConfig
    from grounding.methods.load import DECODER_FILE
    from grounding.training.config import TrainConfig
    from grounding.training.train import train
    from grounding.visualization.commands import compare as side_by_side
    from grounding.visualization.commands import figure, steps
    from grounding.visualization.curves import CurvesConfig, curves
    from grounding.visualization.gallery import GalleryConfig, gallery
    from grounding.visualization.inputs import VisualizeConfig
    from grounding.visualization.report import report_comparison
    from grounding.visualization.tables import comparison_table

    training = parse(TrainConfig, "train", [*from_file, "--resume", "true"])
    decoder = training.output / DECODER_FILE
    if decoder.is_file() and decoder.stat().st_mtime < (data / RECIPE_FILE).stat().st_mtime:
        raise InputError(f"{decoder} is older than {data}, which was made anew: remove {training.output} and run again")
    _announce("2/4 Training the decoder on the frozen embedded CLIP")
    train(training)

    evaluation = parse(EvaluateConfig, "evaluate", from_file)
    results = evaluation.output / "results.json"
    _announce("3/4 Our method, training-free ones and bounds on the whole test split")
    report_comparison(evaluation)

    _announce("4/4 Pictures")
    drawing = parse(VisualizeConfig, "visualize", from_file)
    pictures = figure(drawing) + steps(drawing) + side_by_side(replace(drawing, methods=evaluation.methods))
    pictures += curves(parse(CurvesConfig, "visualize", from_file, section="curves"))
    examples = gallery(parse(GalleryConfig, "visualize", from_file, section="gallery"))

    print(f"\n{comparison_table(json.loads(results.read_text()))}\n")
    print(f"data set     {data}")
    print(f"run          {training.output}  (grounding.load({str(training.output)!r}))")
    print(f"results      {results}, {evaluation.output / 'predictions'}, {evaluation.output / 'tables'}")
    print(f"report       {evaluation.output / 'report.html'}")
    print(f"pictures     {', '.join(map(str, pictures))}")
    print(f"gallery      {', '.join(map(str, examples))}")
    print(f"web page     python visualize.py serve {training.output}")
    print(f"took         {time.perf_counter() - started:.0f} seconds")


def _announce(step: str) -> None:
    print(f"\n== {step}", flush=True)


if __name__ == "__main__":
    with exit_on_input_error():
        ArgumentParser(prog="python demo.py", description=main.__doc__).parse_args()
        main()
