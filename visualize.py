"""Pictures: `python visualize.py runs/NAME --image street.jpg --phrases "the red car"`, or a gallery of a split."""

import sys

from grounding.cli import exit_on_input_error, parse
from grounding.visualization import VisualizeConfig, visualize

if __name__ == "__main__":
    with exit_on_input_error():
        for path in visualize(parse(VisualizeConfig, "visualize", sys.argv[1:], positional="run")):
            print(path)
