"""Pictures: `python visualize.py runs/NAME --image street.jpg --phrases "the red car" --output pictures`, and more."""

import sys
from pathlib import Path

from grounding.runtime.cli import exit_on_input_error, parse
from grounding.runtime.launch import refuse_several

HELP = """usage: visualize.py [figure] METHOD [METHOD ...] --output DIR ...   image, similarity map, heatmap, boxes
       visualize.py compare METHOD METHOD [...] --output DIR ...   methods side by side

       each of these with   --image FILE_OR_FOLDER --phrases "the red car"
                       or   --data DIR [--split test] [--count 6]

       visualize.py serve METHOD [METHOD ...]   a web page on this machine: drop a photo, ask phrases

A METHOD is a run folder, refshapes, zero-shot, gradcam, yolo-clip, reclip, RN50 or a CLIP's file.
`visualize.py COMMAND --help` lists the options of a command."""
COMMANDS = ("figure", "compare", "serve")


def draw(command: str, words: list[str]) -> list[Path]:
    """The paths of the pictures that a command has drawn; what it needs is imported here, and nothing else."""
    if command == "serve":
        from grounding.webapp.serving import ServeConfig, serve

        serve(parse(ServeConfig, "visualize", words, positional="run", command=command, section=command))
        return []
    from grounding.visualization import commands

    config = parse(commands.VisualizeConfig, "visualize", words, positional="methods", command=command)
    return commands.compare(config) if command == "compare" else commands.figure(config)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    with exit_on_input_error():
        refuse_several("visualize.py")
        if arguments in ([], ["--help"], ["-h"]):
            print(HELP)
        else:
            command = arguments.pop(0) if arguments[0] in COMMANDS else "figure"
            for path in draw(command, arguments):
                print(path)
