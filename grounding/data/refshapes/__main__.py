"""`python -m grounding.data.refshapes --root DIR`: writes the benchmark in RefCOCOg's own layout."""

from __future__ import annotations

import sys
from pathlib import Path

from jsonargparse import auto_cli

from grounding.data.refshapes.writer import IMAGES, write_refshapes
from grounding.runtime.cli import exit_on_input_error


def main(
    root: Path, train: int = IMAGES["train"], val: int = IMAGES["val"], test: int = IMAGES["test"], seed: int = 0
) -> None:
    """Write RefShapes, generated referring-expression scenes, in the layout of RefCOCOg.

    Args:
        root: folder to make; a complete one that is there already is kept.
        train: number of training images.
        val: number of validation images.
        test: number of test images.
        seed: the same seed gives the same files.
    """
    write_refshapes(root, {"train": train, "val": val, "test": test}, seed=seed)
    print(f"RefShapes is in {root}")


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False, prog="python -m grounding.data.refshapes")
