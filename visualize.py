"""Pictures: `python visualize.py runs/NAME --image street.jpg --phrases "the red car" --output pictures`, and more."""

import sys

from grounding.cli import exit_on_input_error, parse

HELP = """usage: visualize.py [figure] METHOD [METHOD ...] --output DIR ...   photograph, similarity map, heatmap, boxes
       visualize.py compare METHOD METHOD [...] --output DIR ...   methods side by side
       visualize.py steps METHOD [METHOD ...] --output DIR ...     how a heatmap turns into boxes

       each of these with   --image FILE_OR_FOLDER --phrases "the red car"
                       or   --pairs FILE.jsonl
                       or   --data DIR [--split test] [--count 6]

A METHOD is a run folder, refshapes, zero-shot, gradcam, yolo-clip or reclip. `visualize.py COMMAND --help` lists the
options of a command."""


def main(words: list[str]) -> None:
    """Run the command that the first word names; without one, `figure`."""
    if words in ([], ["--help"], ["-h"]):
        print(HELP)
        return
    command = words.pop(0) if words[0] in ("figure", "compare", "steps") else "figure"
    from grounding.visualization import commands
    from grounding.visualization.config import VisualizeConfig

    config = parse(VisualizeConfig, "visualize", words, positional="methods", command=command)
    for path in getattr(commands, command)(config):
        print(path)


if __name__ == "__main__":
    with exit_on_input_error():
        main(sys.argv[1:])
