"""Pictures: `python visualize.py runs/NAME --image street.jpg --phrases "the red car"`, or a gallery of a split.

`python visualize.py serve runs/NAME` opens a local web page instead.
"""

import sys

from grounding.cli import exit_on_input_error, parse
from grounding.visualization import VisualizeConfig, visualize
from grounding.webapp.serving import ServeConfig, serve

if __name__ == "__main__":
    words = sys.argv[1:]
    with exit_on_input_error():
        if words[:1] == ["serve"]:
            serve(parse(ServeConfig, "visualize", words[1:], positional="run", command="serve"))
        else:
            for path in visualize(parse(VisualizeConfig, "visualize", words, positional="run")):
                print(path)
