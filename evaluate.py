"""Measure a run: `python evaluate.py runs/NAME --data DIR --split test --output DIR`."""

import sys

from grounding.cli import exit_on_input_error, parse
from grounding.comparison import EvaluateConfig, compare

if __name__ == "__main__":
    with exit_on_input_error():
        print(compare(parse(EvaluateConfig, "evaluate", sys.argv[1:], positional="run")))
