"""The pictures of README and docs: `python -m benchmarks.pictures`, with the decoder that comes with the package."""

from __future__ import annotations

import sys
from pathlib import Path

from jsonargparse import auto_cli

from grounding.extraction import ExtractionConfig
from grounding.methods.config import ModelConfig
from grounding.runtime.cli import exit_on_input_error
from grounding.visualization.commands import compare, figure, steps
from grounding.visualization.inputs import VisualizeConfig

SEED = 3  # the first examples that it draws are shown, whatever they look like


def main(data: Path = Path("data/refshapes"), output: Path = Path("docs/images")) -> None:
    """Draw examples of the test split.

    Args:
        data: root folder of RefShapes.
        output: folder of the pictures; earlier ones are replaced.
    """

    def asking(methods: list[str], count: int, extraction: ExtractionConfig | None = None) -> VisualizeConfig:
        return VisualizeConfig(methods, output, data=data, count=count, seed=SEED, extraction=extraction,
                               model=ModelConfig(), device="cpu")  # fmt: skip

    components = ExtractionConfig("components", relative=0.5)
    drawn = {
        "figure": figure(asking(["refshapes"], 2)),
        "compare": compare(asking(["refshapes", "zero-shot", "gradcam", "yolo-clip"], 3)),
        "steps": steps(asking(["zero-shot"], 2, components)),
    }
    for name, (path,) in drawn.items():
        path.replace(output / f"{name}.png")


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False)
