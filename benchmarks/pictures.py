"""The pictures of README and docs: `python -m benchmarks.pictures`, with the decoder that comes with the package."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from benchmarks.measuring import run
from grounding.data.refcocog import RefCOCOg
from grounding.visualization.commands import VisualizeConfig, compare, figure

SEED = 3  # the first examples that it draws are shown, whatever they look like
SCENES = 24


def main(data: Path = Path("data/refshapes"), output: Path = Path("docs/images")) -> None:
    """Draw examples of the test split.

    Args:
        data: root folder of RefShapes.
        output: folder of the pictures; earlier ones are replaced.
    """

    def asking(methods: list[str], count: int) -> VisualizeConfig:
        return VisualizeConfig(methods, output, data=data, count=count, seed=SEED, device="cpu")

    drawn = {
        "figure": figure(asking(["refshapes"], 2)),
        "compare": compare(asking(["refshapes", "zero-shot", "gradcam", "yolo-clip"], 3)),
    }
    for name, (path,) in drawn.items():
        path.replace(output / f"{name}.png")
    scenes(RefCOCOg(data, "train", group_by="image", subset=SCENES), output / "scenes.jpg")


def scenes(dataset: RefCOCOg, path: Path) -> None:
    """Draw each image of a data set with one phrase, the first, and its annotated box."""
    columns = 4
    rows = -(-len(dataset) // columns)
    sheet = Figure((4 * columns, 3.6 * rows), layout="constrained")
    for index, axes in enumerate(sheet.subplots(rows, columns).flat):
        axes.axis("off")
        if index < len(dataset):
            example = dataset[index]
            expression = example.expressions[0]
            x1, y1, x2, y2 = expression.box_xyxy
            axes.imshow(example.image)
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="white", linewidth=4))
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="black", linewidth=1.5))
            axes.set_title(fill(expression.phrase, 42), fontsize=11)
    sheet.savefig(path, dpi=60, pil_kwargs={"quality": 88})


if __name__ == "__main__":
    run(main)
