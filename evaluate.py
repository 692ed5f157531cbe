"""Measure: `python evaluate.py compare runs/NAME yolo-clip --data DIR --output DIR`, or `score` boxes, or `sets`."""

import sys

from grounding.evaluation.compare import EvaluateConfig
from grounding.evaluation.compare_sets import SetsConfig, compare_sets
from grounding.evaluation.score import ScoreConfig
from grounding.runtime.cli import exit_on_input_error, parse
from grounding.visualization.report import report_comparison, report_score
from grounding.visualization.table_formats import render
from grounding.visualization.tables import sets_table

HELP = """usage: evaluate.py compare METHOD [METHOD ...] --data DIR --output DIR [--option VALUE ...]
       evaluate.py score PREDICTIONS [--option VALUE ...]
       evaluate.py sets METHOD [METHOD ...] --data DIR --output DIR [--option VALUE ...]

compare   measures methods (run folders, zero-shot, gradcam, yolo-clip, reclip, RN50, a CLIP's file) on a split; the
          word compare may be left out
score     measures a file of boxes from any system
sets      measures methods on phrases for several objects, one or none, as gRefCOCO has them

evaluate.py compare --help lists the options of compare, and so on."""

if __name__ == "__main__":
    words = sys.argv[1:]
    command = words.pop(0) if words and words[0] in ("compare", "score", "sets") else "compare"
    with exit_on_input_error():
        if sys.argv[1:] in ([], ["--help"], ["-h"]):
            print(HELP)
        elif command == "score":
            print(report_score(parse(ScoreConfig, "evaluate", words, positional="predictions", command="score")))
        elif command == "sets":
            results = compare_sets(parse(SetsConfig, "evaluate", words, positional="methods", command="sets"))
            print(render(sets_table(results), "text"))
        else:
            config = parse(EvaluateConfig, "evaluate", words, positional="methods", command="compare")
            print(report_comparison(config))
