"""The commands of visualize.py that ask methods: figure and compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, product
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from pydantic import NonNegativeInt, PositiveInt
from tqdm import tqdm

from grounding.data.dataset import NOWHERE
from grounding.data.images import images_in, read_image
from grounding.data.open_dataset import open_dataset
from grounding.evaluation.evaluate import parts
from grounding.evaluation.registry import named_methods
from grounding.extraction import ExtractionConfig
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder
from grounding.methods.grounder import EncodingGrounder
from grounding.methods.own import MethodNames, given_by_name
from grounding.methods.proposals import ProposalsConfig
from grounding.runtime.config_io import refuse_wrong_values
from grounding.runtime.distributed import join_launch
from grounding.runtime.errors import InputError
from grounding.types import Example, Expression
from grounding.visualization.drawing import save_figure
from grounding.visualization.figures import MethodAnswer, answers, draw_comparison, draw_figure

PRINT_DPI = 150
ROWS = 6  # examples of a data set that share a picture
Read = Callable[[], Example]  # reads an image with its expressions; where nobody knows the box, it is NaN


@dataclass(frozen=True)
class VisualizeConfig:
    """Draw what methods answer: about images of yours, or a split of a data set.

    Attributes:
        methods: folders of training runs, "refshapes", "zero-shot", "gradcam", "yolo-clip", "reclip", CLIPs ("RN50",
            a file), or "package.module:Class" of a method of your own.
        output: folder for the pictures.
        image: one image file, or a folder: all images in it are asked `phrases`.
        phrases: what to look for in `image`: one phrase, or several as '["the red car", "a dog"]'.
        data: a data set, a folder or a table (docs/data.md): `count` expressions, each of another image, at random.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split that they are drawn from.
        count: how many.
        seed: of the draw.
        format: of the pictures: "png", or "svg" or "pdf" for print.
        extraction: how boxes are made from heatmaps, in place of the methods' own ways.
        model: the CLIP and its input size for training-free methods where no method is a run; the first run's else.
        proposals: the detector of "yolo-clip" and "reclip".
        device: "auto" (a GPU if there is one) or "cpu".
    """

    methods: MethodNames
    output: Path
    image: Path | None = None
    phrases: list[str] | str = field(default_factory=list)
    data: Path | None = None
    split_by: str = "umd"
    split: str = "test"
    count: PositiveInt = 6
    seed: NonNegativeInt = 0
    format: Literal["png", "svg", "pdf"] = "png"
    extraction: ExtractionConfig | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    device: Literal["auto", "cpu"] = "auto"


def figure(config: VisualizeConfig) -> list[Path]:
    """A figure of every sheet for every method: image, similarity map, heatmap, boxes. Returns their paths."""
    asked, methods = sheets(config), _load(config)

    def draw() -> Iterator[tuple[str, Figure]]:
        for method, (name, sheet) in product(methods, asked.items()):
            answered = [answer for read in sheet for answer in answers(method, read())]
            title = _title(f"{name}, {method.name}: {method.weights}", answered)
            yield f"{name}_{method.name}", draw_figure(answered, title=title)

    return _write(config, draw(), count=len(methods) * len(asked))


def compare(config: VisualizeConfig) -> list[Path]:
    """A figure of every sheet with a column per method. Returns their paths."""
    asked, methods = sheets(config), _load(config)
    side_by_side = "_".join(method.name for method in methods)

    def draw() -> Iterator[tuple[str, Figure]]:
        for name, sheet in asked.items():
            answered = [[answers(method, example) for method in methods] for example in (read() for read in sheet)]
            rows = [row for of_image in answered for row in zip(*of_image, strict=True)]
            title = _title(f"{name}, {methods[0].weights}", chain(*rows))
            yield f"{name}_{side_by_side}_compared", draw_comparison(rows, title=title)

    return _write(config, draw(), count=len(asked))


def sheets(config: VisualizeConfig) -> dict[str, Sequence[Read]]:
    """All pictures that the configuration asks for: their names, and what each shows, which is read later."""
    refuse_wrong_values(replace(config, methods=given_by_name(config.methods)))
    if (config.image is None) == (config.data is None):
        said = "nothing" if config.data is None else "--image and --data"
        raise InputError(f"{said} given to look at: give either --image FILE with --phrases, or --data ROOT")
    if config.image is not None:
        phrases = [config.phrases] if isinstance(config.phrases, str) else config.phrases
        if not phrases:
            raise InputError('--image needs something to look for: add --phrases "the red car"')
        return {name: [partial(_example, file, phrases)] for name, file in named(images_in(config.image))}
    if config.phrases:
        raise InputError("--phrases goes with --image: --data brings phrases of its own")
    assert config.data is not None
    dataset = open_dataset(config.data, config.split, split_by=config.split_by, group_by="sentence")
    of_image: dict[int, int] = {}
    for index in np.random.default_rng(config.seed).permutation(len(dataset)).tolist():
        of_image.setdefault(dataset.expressions[index].image_id, index)
    groups = parts([partial(dataset.__getitem__, index) for index in of_image.values()][: config.count], ROWS)
    name = f"{config.data.absolute().stem}_{config.split}"
    return {f"{name}_{number}" if len(groups) > 1 else name: group for number, group in enumerate(groups, 1)}


def _example(path: Path, phrases: list[str]) -> Example:
    expressions = [Expression(phrase, NOWHERE, 0, index, index, index, path) for index, phrase in enumerate(phrases)]
    return Example(read_image(path), tuple(expressions))


def named(paths: list[Path]) -> list[tuple[str, Path]]:
    """A name for each file's picture: its stem, and a number where another one has that already."""
    named: dict[str, tuple[str, Path]] = {}
    for path in paths:
        name, number = path.stem, 2
        while name.casefold() in named:  # on some disks "A.png" and "a.png" are one file
            name, number = f"{path.stem}_{number}", number + 1
        named[name.casefold()] = name, path
    return list(named.values())


def _title(title: str, answered: Iterable[MethodAnswer]) -> str:
    """With what the answers warn of, each warning once."""
    return "; ".join([title, *dict.fromkeys(each.grounding.warning for each in answered if each.grounding.warning)])


def _load(config: VisualizeConfig) -> list[EncodingGrounder]:
    methods = named_methods(config.methods, config.model, config.proposals, join_launch(config.device).device)
    if config.extraction is not None:
        for method in (each for each in methods if isinstance(each, DenseGrounder)):
            method.extraction, method.calibration = config.extraction, None  # which was fitted to the run's own boxes
    return methods


def _write(config: VisualizeConfig, drawn: Iterable[tuple[str, Figure]], *, count: int) -> list[Path]:
    """Write each figure, under its name, as soon as it is drawn."""
    paths = []
    for name, picture in tqdm(drawn, desc="pictures", unit="picture", total=count, disable=count < 2):
        paths.append(config.output / f"{name}.{config.format}")
        save_figure(picture, paths[-1], dpi=PRINT_DPI if config.format != "png" else None)
    return paths
