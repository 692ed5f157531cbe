"""The commands of visualize.py that ask methods: figure, compare and steps."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

from accelerate import Accelerator
from matplotlib.figure import Figure
from tqdm import tqdm

from grounding.errors import InputError
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder, Grounder
from grounding.methods.load import TRAINING_FREE, load, shared_model
from grounding.visualization.drawing import save_figure
from grounding.visualization.figures import MethodAnswer, answers, draw_comparison, draw_figure
from grounding.visualization.inputs import Sheet, VisualizeConfig, sheets
from grounding.visualization.steps import draw_steps

PRINT_DPI = 150


def figure(config: VisualizeConfig) -> list[Path]:
    """A figure of every sheet for every method: photograph, similarity map, heatmap, boxes. Returns their paths.

    Raises:
        InputError: nothing to look at is given, or a method, an image, a phrase or the data cannot be used.
    """
    return _of_each_method(config, "", draw_figure)


def steps(config: VisualizeConfig) -> list[Path]:
    """As `figure`, of how the boxes are made from the heatmap.

    Raises:
        InputError: as `figure`; or a method makes no boxes from a heatmap.
    """
    return _of_each_method(config, "_steps", draw_steps, needs_heatmap=True)


def compare(config: VisualizeConfig) -> list[Path]:
    """A figure of every sheet with a column per method. Returns their paths.

    Raises:
        InputError: as `figure`; or two methods have one name.
    """
    wanted = sheets(config)
    methods = _load(config)

    def draw(sheet: Sheet) -> Figure:
        rows: list[list[MethodAnswer]] = []
        for read in sheet.examples:
            example = read()
            rows += map(list, zip(*(answers(method, example) for method in methods), strict=True))
        return draw_comparison(rows, title=_title(sheet, methods[0].weights))

    return _write(config, [(sheet, f"{sheet.name}_compared", draw) for sheet in wanted])


def _of_each_method(
    config: VisualizeConfig, suffix: str, draw: Callable[..., Figure], *, needs_heatmap: bool = False
) -> list[Path]:
    wanted = sheets(config)
    methods = _load(config)
    for name, method in zip(config.methods, methods, strict=True):
        if needs_heatmap and not isinstance(method, DenseGrounder):
            raise InputError(
                f"{name} makes no boxes from a heatmap, so there are no steps to show: give another method"
            )

    def draw_with(method: Grounder) -> Callable[[Sheet], Figure]:
        return lambda sheet: draw(
            [answer for read in sheet.examples for answer in answers(method, read())],
            title=_title(sheet, f"{method.name}: {method.weights}"),
        )

    jobs = [(sheet, f"{sheet.name}_{method.name}{suffix}", draw_with(method)) for method in methods for sheet in wanted]
    return _write(config, jobs)


def _load(config: VisualizeConfig) -> list[Grounder]:
    if not config.methods:
        raise InputError("no method is named: give run folders or names, such as refshapes or zero-shot")
    trusting = ModelConfig(trust_checkpoint=config.model.trust_checkpoint)
    shared = shared_model(config.methods, config.model)
    device = Accelerator(cpu=config.device == "cpu").device
    methods = [
        load(
            name,
            model=shared if name in TRAINING_FREE else trusting,
            proposals=config.proposals,
            scoring=config.scoring,
            device=device,
            precision=config.precision,
        )
        for name in config.methods
    ]
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two methods would both be called {name!r}: draw them in two calls")
    if config.extraction is not None:
        for method in (each for each in methods if isinstance(each, DenseGrounder)):
            method.extraction = config.extraction
    return methods


def _title(sheet: Sheet, words: str) -> str:
    return f"{sheet.name}, {words}"


def _write(config: VisualizeConfig, jobs: Sequence[tuple[Sheet, str, Callable[[Sheet], Figure]]]) -> list[Path]:
    paths = []
    for sheet, name, draw in tqdm(jobs, desc="pictures", unit="picture", disable=len(jobs) < 2):
        path = config.output / f"{name}.{config.format}"
        save_figure(draw(sheet), path, dpi=PRINT_DPI if config.format != "png" else None)
        paths.append(path)
    if config.show:
        for path in paths:
            webbrowser.open(path.resolve().as_uri())
    return paths
