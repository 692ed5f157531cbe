"""The commands of visualize.py that ask methods: figure, compare and steps."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain
from pathlib import Path

from matplotlib.figure import Figure
from tqdm import tqdm

from grounding.errors import InputError
from grounding.evaluation.registry import MethodSettings, load_method
from grounding.methods.dense import DenseGrounder
from grounding.methods.grounder import Grounder
from grounding.methods.load import shared_model
from grounding.methods.names import method_names
from grounding.methods.own import own_method
from grounding.runtime.distributed import join_launch
from grounding.visualization.drawing import save_figure
from grounding.visualization.figures import MethodAnswer, answers, draw_comparison, draw_figure
from grounding.visualization.inputs import Sheet, VisualizeConfig, sheets
from grounding.visualization.steps import draw_steps

PRINT_DPI = 150


def figure(config: VisualizeConfig) -> list[Path]:
    """A figure of every sheet for every method: image, similarity map, heatmap, boxes. Returns their paths.

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
        InputError: as `figure`.
    """
    wanted, methods = sheets(config), _load(config)

    def draw(sheet: Sheet) -> Figure:
        rows: list[list[MethodAnswer]] = []
        for read in sheet.examples:
            example = read()
            rows += map(list, zip(*(answers(method, example) for method in methods), strict=True))
        return draw_comparison(rows, title=_title(f"{sheet.name}, {methods[0].weights}", chain(*rows)))

    side_by_side = "_".join(method.name for method in methods)
    return _write(config, {f"{sheet.name}_{side_by_side}_compared": partial(draw, sheet) for sheet in wanted})


def _of_each_method(
    config: VisualizeConfig, suffix: str, draw: Callable[..., Figure], *, needs_heatmap: bool = False
) -> list[Path]:
    wanted, methods = sheets(config), _load(config)
    for method in methods:
        if needs_heatmap and not isinstance(method, DenseGrounder):
            raise InputError(
                f"{method.name} makes no boxes from a heatmap, so there are no steps to show: give another method"
            )

    def draw_sheet(method: Grounder, sheet: Sheet) -> Figure:
        answered = [answer for read in sheet.examples for answer in answers(method, read())]
        return draw(answered, title=_title(f"{sheet.name}, {method.name}: {method.weights}", answered))

    return _write(config, {f"{sheet.name}_{method.name}{suffix}": partial(draw_sheet, method, sheet)
                           for method in methods for sheet in wanted})  # fmt: skip


def _title(title: str, answered: Iterable[MethodAnswer]) -> str:
    """With what the answers warn of, each warning once."""
    return "; ".join([title, *dict.fromkeys(each.grounding.warning for each in answered if each.grounding.warning)])


def _load(config: VisualizeConfig) -> list[Grounder]:
    if not config.methods:
        raise InputError("no method is named: give run folders or names, such as refshapes or zero-shot")
    settings = MethodSettings(shared_model(config.methods, config.model), config.proposals, config.scoring,
                              join_launch(config.device).device, config.precision)  # fmt: skip
    asked = [own_method(each) or each for each in config.methods]
    methods = [load_method(each, settings) for each in asked]
    for method, name in zip(methods, method_names(asked), strict=True):
        method.name = name
    if config.extraction is not None:
        for method in (each for each in methods if isinstance(each, DenseGrounder)):
            method.extraction, method.calibration = config.extraction, None  # which was fitted to the run's own boxes
    return methods


def _write(config: VisualizeConfig, drawn: Mapping[str, Callable[[], Figure]]) -> list[Path]:
    """Draw and write one figure after the other, given by the names of their files."""
    paths = []
    for name, draw in tqdm(drawn.items(), desc="pictures", unit="picture", disable=len(drawn) < 2):
        path = config.output / f"{name}.{config.format}"
        save_figure(draw(), path, dpi=PRINT_DPI if config.format != "png" else None)
        paths.append(path)
    if config.show:
        for path in paths:
            webbrowser.open(path.resolve().as_uri())
    return paths
