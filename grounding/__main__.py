"""`python -m grounding`, and `ground` where the package is installed: boxes of phrases in pictures of one's own."""

from __future__ import annotations

import sys
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.errors import InputError


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; python -m grounding --help says how it is used")


def read_words(words: Sequence[str]) -> Namespace:
    """The command line: every word that is no option is taken as it stands, a path or a phrase."""
    parser = _Parser(prog="python -m grounding", allow_abbrev=False, description="Where phrases are in pictures: boxes,"
                     " scores, and whether anything there fits, as a table and as a file.")  # fmt: skip
    parser.add_argument("image", type=Path, metavar="PHOTO_OR_FOLDER", help="a picture, or a folder of them")
    parser.add_argument("phrases", nargs="+", metavar="PHRASE", help='what to look for, such as "the red car"')
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write boxes: .csv, .json or .jsonl")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="draw the boxes, a picture of each picture")
    parser.add_argument("--model", "--model.clip", default="RN50", metavar="MODEL",
                        help="a CLIP's name or file, the folder of a run, refshapes, zero-shot, gradcam, yolo-clip or "
                        "reclip; RN50, without training at several sizes, unless given")  # fmt: skip
    for flag, about in (("--skip_broken", "note files that cannot be read, and go on"),
                        ("--fast", "look at each picture once, and small: faster, and less exact"),
                        ("--trust_checkpoint", "read a CLIP in a TorchScript archive although OpenAI did not publish "
                         "it, which runs the archive's code")):  # fmt: skip
        parser.add_argument(flag, action="store_true", help=about)
    given = [word for before, word in zip(["", *words], words, strict=False)  # elsewhere such an option takes a value
             if not (before in ("--skip_broken", "--fast", "--trust_checkpoint") and word == "true")]  # fmt: skip
    return parser.parse_intermixed_args(given)


def main() -> None:
    """The command line of the process."""
    with exit_on_input_error():
        options = read_words(sys.argv[1:])
        from grounding.deployment.ground import ground_pictures  # PyTorch takes seconds, which help does not need

        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: tqdm.write(f"warning: {message}", file=sys.stderr)
            ground_pictures(options)


if __name__ == "__main__":
    main()
