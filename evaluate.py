"""Measure: `python evaluate.py compare runs/NAME yolo-clip --data DIR --output DIR`, or `score` a file of boxes."""

import sys

from grounding.evaluation.config import EvaluateConfig
from grounding.evaluation.score import ScoreConfig
from grounding.runtime.cli import exit_on_input_error, parse
from grounding.visualization.report import report_comparison, report_score

HELP = """usage: evaluate.py compare METHOD [METHOD ...] --data DIR --output DIR [--option VALUE ...]
       evaluate.py score PREDICTIONS --format csv|jsonl|coco [--option VALUE ...]

compare   measures methods (run folders, or zero-shot, gradcam, yolo-clip, reclip) on a split; may be left out
score     measures a file of boxes from any system

evaluate.py compare --help and evaluate.py score --help list the options."""

if __name__ == "__main__":
    words = sys.argv[1:]
    command = words.pop(0) if words and words[0] in ("compare", "score") else "compare"
    with exit_on_input_error():
        if sys.argv[1:] in ([], ["--help"], ["-h"]):
            print(HELP)
        elif command == "score":
            print(report_score(parse(ScoreConfig, "evaluate", words, positional="predictions", command="score")))
        else:
            table = report_comparison(parse(EvaluateConfig, "evaluate", words, positional="methods", command="compare"))
            if table:  # the first process of several has it
                print(table)
