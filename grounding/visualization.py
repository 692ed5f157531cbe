"""`visualize.py`: heatmaps and boxes over photographs, one image or a gallery of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from accelerate import Accelerator
from jsonargparse.typing import PositiveInt
from matplotlib.figure import Figure

from grounding.config import ModelConfig
from grounding.data.refcocog import RefCOCOg
from grounding.errors import InputError
from grounding.grounder import Grounder
from grounding.loading import load
from grounding.metrics import ious_with
from grounding.overlay import ANNOTATED_RGB, draw_boxes, heatmap_overlay
from grounding.types import Expression, Grounding


@dataclass(frozen=True)
class VisualizeConfig:
    """Draw where phrases are, in one image or in a gallery of a split.

    Attributes:
        run: folder of a training run, or "zero-shot", "gradcam", "yolo-clip", "reclip".
        output: folder for the pictures.
        image: file of one image; its phrases are given by `phrases`.
        phrases: what to look for in `image`: one phrase, or several as '["the red car", "a dog"]'.
        data: root folder of a data set in RefCOCOg's layout, for a gallery where `image` is not given.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split of the gallery.
        count: expressions in the gallery, each of another image.
        seed: of the choice of expressions.
        model: the CLIP and its input size for training-free methods; a run brings its own.
        device: "auto" (a GPU if there is one) or "cpu".
    """

    run: str
    output: Path
    image: Path | None = None
    phrases: list[str] | str = field(default_factory=list)
    data: Path | None = None
    split_by: str = "umd"
    split: str = "test"
    count: PositiveInt = 12
    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)
    device: Literal["auto", "cpu"] = "auto"


def visualize(config: VisualizeConfig) -> list[Path]:
    """Write the pictures and return their paths.

    Raises:
        InputError: neither an image with phrases nor a data set is given, or one of them cannot be used.
    """
    device = Accelerator(cpu=config.device == "cpu").device
    if config.image is not None:
        if not config.phrases:
            raise InputError('--image needs something to look for: add --phrases "the red car"')
        grounder = load(config.run, model=config.model, device=device)
        phrases = [config.phrases] if isinstance(config.phrases, str) else config.phrases
        groundings = grounder.ground(config.image, phrases)
        config.output.mkdir(parents=True, exist_ok=True)
        path = config.output / f"{config.image.stem}_grounded.png"
        panels = [Panel(grounding) for grounding in groundings]
        draw_panels(panels, path, title=f"{config.image.name}, {grounder.name}\n{grounder.weights}")
        return [path]
    if config.data is None:
        raise InputError("nothing to draw: give --image FILE with --phrases, or --data ROOT for a gallery")
    dataset = RefCOCOg(config.data, config.split, split_by=config.split_by, group_by="image")
    grounder = load(config.run, model=config.model, device=device)
    panels = gallery_panels(grounder, dataset, count=config.count, seed=config.seed)
    config.output.mkdir(parents=True, exist_ok=True)
    path = config.output / f"gallery_{config.split}_{grounder.name}.png"
    draw_panels(
        panels,
        path,
        title=f"{grounder.name} on {config.split} of {config.data.name}, drawn at random\n{grounder.weights}",
    )
    return [path]


@dataclass(frozen=True)
class Panel:
    """One picture of a gallery: an answer and, where it is known, the annotation."""

    grounding: Grounding
    expression: Expression | None = None


def gallery_panels(grounder: Grounder, dataset: RefCOCOg, *, count: int, seed: int) -> list[Panel]:
    """One expression each of up to `count` images, all drawn at random, with the method's answers."""
    rng = np.random.default_rng(seed)
    panels = []
    for index in rng.permutation(len(dataset))[:count]:
        example = dataset[int(index)]
        expression = example.expressions[rng.integers(len(example.expressions))]
        panels.append(Panel(grounder.ground(example.image, [expression.phrase])[0], expression))
    return panels


def draw_panels(panels: Sequence[Panel], path: Path, *, title: str, columns: int = 4) -> None:
    """Write a grid of panels: the heatmap over the image, the best box, and the annotated box in green."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.6 * columns, 3.5 * rows + 0.9), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, panel in zip(axes.flat, panels, strict=False):
        grounding = panel.grounding
        picture = _enlarged(heatmap_overlay(grounding.image, grounding.heatmap))
        scale = picture.shape[0] / grounding.image.shape[0]
        label = f"{grounding.scores[0]:.2f}"
        caption = f'"{grounding.phrase}"'
        if panel.expression is not None:
            annotated = np.array([panel.expression.box_xyxy])
            picture = draw_boxes(picture, annotated * scale, rgb=ANNOTATED_RGB)
            caption += f"\nIoU {ious_with(grounding.boxes_xyxy[:1], annotated[0])[0]:.2f}"
        picture = draw_boxes(picture, grounding.boxes_xyxy[:1] * scale, [label])
        axis.imshow(picture)
        axis.set_title(caption, fontsize=9, wrap=True)
    figure.suptitle(f"{title}\nyellow: best box with its score; green: annotated box", fontsize=11)
    figure.savefig(path, dpi=100)


def _enlarged(picture: np.ndarray, least: int = 320) -> np.ndarray:
    """A small picture repeated pixel by pixel, so that lines and labels drawn on it stay fine."""
    factor = max(1, round(least / max(picture.shape[:2])))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)
